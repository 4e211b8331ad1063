"""How alike the texts of a feature are: linear MonoSemanticity in two spaces.

With the weights w_i of `Weights` and p_i the unit vector of text i:

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
from mistudio_worker.analysis.kernels.null import weight_sums
from mistudio_worker.analysis.kernels.text_rows import weighted_norms
from mistudio_worker.analysis.permutation_null import percentiles
from mistudio_worker.analysis.unit_rows import COLUMN_TILE, ROW_TILE, TILE_BYTES, UnitRows
from mistudio_worker.analysis.weighted_rows import weighted_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.corpus_pairs import CorpusPairs
    from mistudio_worker.analysis.text_rows import TextRows
    from mistudio_worker.analysis.weights import Weights

FEATURE_TILE = 512
MIN_PAIR_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class SpaceCoherence:
    """MonoSemanticity of all features in one space.

    Attributes:
        score: [F] MS, at most 1; NaN where not defined.
        percentile: [F] share of random placements of the weights that give a lower MS, 0 to 1; NaN where the null
            is not known.
        baseline: MS with equal weights on all usable texts, near-duplicates once; NaN below 2 of them.
        usable_texts: [F] texts with w > 0 that have a vector in this space.
    """

    score: NDArray[np.float64]
    percentile: NDArray[np.float64]
    baseline: float
    usable_texts: NDArray[np.int64]


def activation_coherence(weights: Weights, rows: UnitRows, pairs: CorpusPairs, execution: Execution) -> SpaceCoherence:
    """MonoSemanticity over standardised original activations, -1 to 1.

    Tiles of 512 features x 256 columns run over all texts; neither the standardised originals nor the
    sums of all features [F, d] are ever whole in memory. A tile's sums are taken in float32, so the
    result is within 1e-7 of the quadratic definition.
    """
    features = weights.distinct.size
    tiles = [(f, c) for f in spans(features, FEATURE_TILE) for c in spans(rows.blocks.shape[1], COLUMN_TILE)]

    def work(tile: tuple[tuple[int, int], tuple[int, int]]) -> NDArray[np.float64]:
        return _squared_sums(weights, rows, tile, execution.device)

    squares = np.zeros(features)
    work_bytes = TILE_BYTES + 2 * FEATURE_TILE * (ROW_TILE + COLUMN_TILE) * 8
    for (feature, _), part in zip(tiles, map_tiles(work, tiles, execution, tile_bytes=work_bytes), strict=True):
        squares[feature[0] : feature[1]] += part
    return _monosemanticity(squares, weights, rows.usable, pairs)


def _squared_sums(
    weights: Weights, rows: UnitRows, tile: tuple[tuple[int, int], tuple[int, int]], device: str
) -> NDArray[np.float64]:
    """|sum w_i p_i|^2 over the columns of one tile, for its features."""
    feature, column = tile
    total = torch.zeros((feature[1] - feature[0], column[1] - column[0]), dtype=torch.float64, device=device)
    for row in spans(rows.blocks.shape[0], ROW_TILE):
        # the sums of one tile in float32, twice as fast; the tiles add up in float64
        total += weighted_rows(weights.entries, feature, row, rows.tile(row, column, device))
    squares: NDArray[np.float64] = total.square().sum(dim=1).cpu().numpy()
    return squares


def text_coherence(weights: Weights, rows: TextRows, pairs: CorpusPairs, execution: Execution) -> SpaceCoherence:
    """MonoSemanticity over TF-IDF rows of the texts, 0 to 1; independent of the autoencoder."""

    def work(features: tuple[int, int]) -> NDArray[np.float64]:
        norms: NDArray[np.float64] = weighted_norms(features, weights.entries, rows.rows, rows.vocabulary)
        return norms

    tiles = spans(weights.distinct.size, FEATURE_TILE // 4)
    parts = list(map_tiles(work, tiles, execution, tile_bytes=13 * rows.vocabulary))
    found = _monosemanticity(np.concatenate(parts), weights, rows.usable, pairs)
    # no weight is negative, so what lies below 0 is the rounding of texts that share no term
    return replace(found, score=np.maximum(found.score, 0.0))


def _monosemanticity(
    squares: NDArray[np.float64], weights: Weights, usable: NDArray[np.bool_], pairs: CorpusPairs
) -> SpaceCoherence:
    """Turn sums into MS; NaN where less than 1e-6 of the weight lies on pairs."""
    plain, central = weight_sums(weights.entries, usable, pairs.texts)
    s1, s2, count = plain.T
    room = s1 * s1 - s2
    defined = (count >= 2) & (room > MIN_PAIR_SHARE * s1 * s1) & np.isfinite(pairs.mean)
    score = np.where(defined, np.clip((squares - s2) / np.where(defined, room, 1.0), -1.0, 1.0), np.nan)
    percentile = np.full(score.size, np.nan)
    if pairs.moments is not None:
        percentile = percentiles(squares - s2 - pairs.mean * room, central, pairs.moments, pairs.texts)
    return SpaceCoherence(score, np.where(defined, percentile, np.nan), pairs.mean, count.astype(np.int64))
