"""How alike the texts of a feature are: linear MonoSemanticity in two spaces.

With w = (a - min a) / (max a - min a) over all n texts and p_i the unit vector of text i:

    MS = sum_{i<j} w_i w_j cos(p_i, p_j) / sum_{i<j} w_i w_j
       = (|sum w_i p_i|^2 - sum w_i^2) / ((sum w_i)^2 - sum w_i^2)

so one product instead of all pairs. Sources: Pach et al. 2025 (arXiv 2504.02821); linear form:
MonoLoss (arXiv 2602.12403). Everything is accumulated in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.coherence import (
    row_total_square,
    sparse_cosines,
    tfidf_rows,
    weight_sums,
    weighted_norms,
)
from mistudio_worker.analysis.unit_rows import COLUMN_TILE, ROW_TILE, SAMPLE_ROWS, TILE_BYTES, UnitRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.domain.training_run import ActivationBlocks

FEATURE_TILE = 512
KEPT_TERMS = 64
MIN_PAIR_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class Weights:
    """w = (a - low) * scale of every feature; scale 0 where the activation does not vary.

    Attributes:
        low: [F] min a.
        scale: [F] 1 / (max a - min a), or 0.
        skipped: [F] invalid features, whose cells may be NaN.
    """

    low: NDArray[np.float64]
    scale: NDArray[np.float64]
    skipped: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SpaceCoherence:
    """MonoSemanticity of all features in one space.

    Attributes:
        score: [F] MS, at most 1; NaN where not defined.
        error: [F] standard error of MS when the same weights lie on texts drawn at random.
        baseline: MS with equal weights on all usable texts; NaN below 2 of them.
        usable_texts: [F] texts with w > 0 that have a vector in this space.
    """

    score: NDArray[np.float64]
    error: NDArray[np.float64]
    baseline: float
    usable_texts: NDArray[np.int64]


def weights_of(statistics: StatisticsTable, skipped: NDArray[np.bool_]) -> Weights:
    """Return the weights' parameters; a feature that does not vary has no weights."""
    spread = statistics.high - statistics.low
    return Weights(statistics.low, np.where(spread > 0, 1.0 / np.where(spread > 0, spread, 1.0), 0.0), skipped)


def activation_coherence(
    features: ActivationBlocks, positives: Positives, weights: Weights, rows: UnitRows, execution: Execution
) -> SpaceCoherence:
    """MonoSemanticity over mean-centred original activations, -1 to 1.

    Tiles of 512 features x 256 columns run over all texts; neither the centred originals nor the
    sums of all features [F, d] are ever whole in memory. A tile's product is taken in float32, so the
    result is within 1e-7 of the quadratic definition.
    """
    tiles = [(f, c) for f in spans(features.shape[1], FEATURE_TILE) for c in spans(rows.blocks.shape[1], COLUMN_TILE)]

    def work(tile: tuple[tuple[int, int], tuple[int, int]]) -> NDArray[np.float64]:
        return _squared_sums(features, weights, rows, tile, execution.device)

    squares = np.zeros(features.shape[1])
    work_bytes = TILE_BYTES + 2 * FEATURE_TILE * (ROW_TILE + COLUMN_TILE) * 8
    for (feature, _), part in zip(tiles, map_tiles(work, tiles, execution, tile_bytes=work_bytes), strict=True):
        squares[feature[0] : feature[1]] += part
    return _monosemanticity(squares, _sums(positives, weights, rows.usable), rows.baseline, rows.spread)


def _squared_sums(
    features: ActivationBlocks,
    weights: Weights,
    rows: UnitRows,
    tile: tuple[tuple[int, int], tuple[int, int]],
    device: str,
) -> NDArray[np.float64]:
    """|sum w_i p_i|^2 over the columns of one tile, for its features."""
    (first, last), column = tile
    low = torch.from_numpy(weights.low[first:last]).float()
    scale = torch.from_numpy(weights.scale[first:last]).float()
    skipped = torch.from_numpy(np.flatnonzero(weights.skipped[first:last]))
    total = torch.zeros((last - first, column[1] - column[0]), dtype=torch.float64, device=device)
    for row in spans(features.shape[0], ROW_TILE):
        weight = features.rows(*row)[:, first:last].to(torch.float32, copy=True).sub_(low).mul_(scale)
        weight.index_fill_(1, skipped, 0.0)
        # the product of one tile in float32, twice as fast; the tiles add up in float64
        total += weight.to(device).T @ rows.tile(row, column, device)
    squares: NDArray[np.float64] = total.square().sum(dim=1).cpu().numpy()
    return squares


def text_coherence(positives: Positives, weights: Weights, terms: TermTable, execution: Execution) -> SpaceCoherence:
    """MonoSemanticity over TF-IDF rows of the texts, 0 to 1; independent of the autoencoder.

    A row holds ln(n / df) of a text's distinct terms, scaled to length 1: terms that stand in one text
    only or in more than half of the texts are left out, and only the 64 rarest of a text are kept
    (Spearman 0.999 to all terms).
    """
    rows = tfidf_rows(terms.offsets, terms.ids, terms.document_frequency, KEPT_TERMS)
    usable = np.diff(rows[0]) > 0
    vocabulary = len(terms.terms)
    columns = (positives.offsets, positives.texts, positives.values)

    def work(features: tuple[int, int]) -> NDArray[np.float64]:
        norms: NDArray[np.float64] = weighted_norms(features, columns, (weights.low, weights.scale), rows, vocabulary)
        return norms

    tiles = spans(positives.counts.size, FEATURE_TILE // 4)
    parts = list(map_tiles(work, tiles, execution, tile_bytes=13 * vocabulary))
    texts = np.flatnonzero(usable)
    m = texts.size
    sums = _sums(positives, weights, usable)
    if m < 2:
        return _monosemanticity(np.concatenate(parts), sums, float("nan"), 0.0)
    baseline = min(max(0.0, (row_total_square(rows[1], rows[2], vocabulary) - m) / (m * m - m)), 1.0)
    sample = texts[np.unique(np.linspace(0, m - 1, min(m, SAMPLE_ROWS)).astype(np.int64))]
    found = _monosemanticity(np.concatenate(parts), sums, baseline, float(sparse_cosines(*rows, sample).std()))
    # no weight is negative, so what lies below 0 is the rounding of texts that share no term
    return replace(found, score=np.maximum(found.score, 0.0))


def _sums(positives: Positives, weights: Weights, usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = weight_sums(
        (positives.offsets, positives.texts, positives.values), weights.low, weights.scale, usable
    )
    return sums


def _monosemanticity(
    squares: NDArray[np.float64], sums: NDArray[np.float64], baseline: float, spread: float
) -> SpaceCoherence:
    """Turn sums into MS; NaN where less than 1e-6 of the weight lies on pairs.

    error = spread sqrt((S2^2 - S4) / 2) / ((S1^2 - S2) / 2), Sk = sum w^k: the cosines of different
    pairs of centred unit vectors are uncorrelated, so only the squares of the pair weights add up.
    """
    s1, s2, s4, count = sums.T
    pairs = s1 * s1 - s2
    defined = (count >= 2) & (pairs > MIN_PAIR_SHARE * s1 * s1) & np.isfinite(baseline)
    safe = np.where(defined, pairs, 1.0)
    score = np.where(defined, np.clip((squares - s2) / safe, -1.0, 1.0), np.nan)
    error = np.where(defined, spread * np.sqrt(2.0 * np.maximum(s2 * s2 - s4, 0.0)) / safe, np.nan)
    return SpaceCoherence(score, error, baseline, count.astype(np.int64))
