"""Whether a feature's texts have one thing in common, or fall into two halves that have little to do with each other.

A high mean cosine does not tell one concept from two: half of the pairs of two tight concepts are alike too. So the
texts are cut in two where they part most easily, and the likeness of texts across the cut is compared with the
likeness of texts on one side of it:

    unity = (B - error) / W

    B: mean cosine of pairs across the cut, less the mean of all pairs of the run
    W: the same of pairs on one side
    error: 1.5 standard errors of a mean over as many pairs of random texts

1: the halves are as alike as each is in itself, so that the cut means nothing. 0: the halves have in common what
random texts have. Below 0: they differ more than that; random texts come near -1, since a cut is always found that
parts them. The figure has no unit: it does not matter how alike texts are in a space, only how evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.best_cut import Cut, best_cut
from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.grams import activation_grams
from mistudio_worker.analysis.kernels.text_rows import cosines
from mistudio_worker.analysis.unit_rows import COLUMN_TILE
from mistudio_worker.analysis.weights import DRAWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mistudio_worker.analysis.corpus_pairs import CorpusPairs
    from mistudio_worker.analysis.text_rows import TextRows
    from mistudio_worker.analysis.unit_rows import UnitRows
    from mistudio_worker.analysis.weights import Draws

FEATURE_TILE = 256
ERRORS = 1.5
_TILE_BYTES = 12 * FEATURE_TILE * DRAWS * DRAWS * 8


@dataclass(frozen=True, slots=True)
class Unity:
    """Unity of all features in one space.

    Attributes:
        value: [F] -1 to 1, higher is better; NaN where not defined.
        without: [F, 40] the same without each of the drawn texts, the cut being left where it is; NaN where there
            is no text. How much they differ tells how sure the value is.
    """

    value: NDArray[np.float64]
    without: NDArray[np.float64]


def unity_in_activations(draws: Draws, rows: UnitRows, pairs: CorpusPairs, execution: Execution) -> Unity:
    """Measure the drawn texts over their standardised original activations."""
    gathered = min(FEATURE_TILE * DRAWS, rows.blocks.shape[0]) + FEATURE_TILE * DRAWS
    return _unity(
        draws,
        lambda members: activation_grams(members, rows, execution.device),
        pairs,
        execution,
        gathered * COLUMN_TILE * 8,
    )


def unity_in_texts(draws: Draws, rows: TextRows, pairs: CorpusPairs, execution: Execution) -> Unity:
    """Measure the drawn texts over their TF-IDF rows; a text without any is like no other."""

    def grams(members: NDArray[np.int32]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = cosines(rows.rows, members, rows.vocabulary)
        return found

    return _unity(draws, grams, pairs, execution, 8 * rows.vocabulary)


def _unity(
    draws: Draws,
    grams: Callable[[NDArray[np.int32]], NDArray[np.float64]],
    pairs: CorpusPairs,
    execution: Execution,
    work_bytes: int,
) -> Unity:
    """Measure tile by tile; `grams` turns texts [f, k] into cosines [f, k, k] and needs `work_bytes`."""
    features = draws.counts.shape[0]
    value, without = np.full(features, np.nan), np.full(draws.counts.shape, np.nan)

    def work(tile: tuple[int, int]) -> None:
        rows = slice(*tile)
        counts = draws.counts[rows].astype(np.float64)
        cut = best_cut(grams(draws.members[rows]) - pairs.mean, counts)
        error = ERRORS * pairs.spread * _error_share(counts)
        value[rows] = np.where(cut.found, _ratio(cut.across, cut.inside, error), np.nan)
        left = _ratio(*_without(cut, counts), error[:, None])
        without[rows] = np.where((counts > 0) & cut.found[:, None], left, np.nan)

    if np.isfinite(pairs.mean):
        for _ in map_tiles(work, spans(features, FEATURE_TILE), execution, tile_bytes=_TILE_BYTES + work_bytes):
            pass
    return Unity(value, without)


def _error_share(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error of a mean over pairs, in standard deviations of one: cosines of different pairs are uncorrelated.

    sqrt(2 sum_{i != j} h_i^2 h_j^2) / sum_{i != j} h_i h_j, h the number of draws.
    """
    s1, s2, s4 = (np.sum(counts**power, axis=1) for power in (1, 2, 4))
    room = s1 * s1 - s2
    return np.where(room > 0, np.sqrt(2.0 * np.maximum(s2 * s2 - s4, 0.0)) / np.where(room > 0, room, 1.0), 0.0)


def _ratio(across: NDArray[np.float64], inside: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """-1 where not even texts on one side are more alike than random ones."""
    alike = inside > 0
    return np.where(alike, np.clip((across - error) / np.where(alike, inside, 1.0), -1.0, 1.0), -1.0)


def _without(cut: Cut, counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[f, k] likeness across and inside without each text; unchanged where a side would be empty."""
    own = np.where(cut.first, 1.0, 0.0) * counts
    first, second = own.sum(axis=1, keepdims=True), (counts - own).sum(axis=1, keepdims=True)
    same = np.where(cut.first, first, second)
    other = first + second - same
    across_left = first * second - counts * other
    inside_left = cut.inside_weight[:, None] - 2.0 * counts * (same - counts)
    across = cut.across[:, None] * first * second - cut.text_across
    inside = (cut.inside * cut.inside_weight)[:, None] - 2.0 * cut.text_inside
    full = (across_left > 0) & (inside_left > 0)
    return (
        np.where(full, across / np.where(full, across_left, 1.0), cut.across[:, None]),
        np.where(full, inside / np.where(full, inside_left, 1.0), cut.inside[:, None]),
    )
