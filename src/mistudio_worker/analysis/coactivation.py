"""Which features fire on the same texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.coactivation import coactive_tile, features_of_texts
from mistudio_worker.analysis.statistics import number_or_none
from mistudio_worker.domain.feature_report import CoactiveFeature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.statistics import StatisticsTable

CANDIDATES = 64
MIN_DRAWN = 128
PAIR_LIMIT = 1 << 32
"""Pairs of features on one text that are counted in all; some 0.6 ns each."""
FEATURE_TILE = 256
_ROW_BYTES = 4


@dataclass(frozen=True, slots=True)
class CoactivationTable:
    """The features that share most texts with each feature, best first, as columns.

    Attributes:
        ids: [F, 5] int32; -1 where there are fewer.
        jaccard: [F, 5] float64, texts that both fire on / texts that either fires on; over 0.
        correlation: [F, 5] float64, Pearson over all n texts, -1 to 1; NaN where either does not vary.
    """

    ids: NDArray[np.int32]
    jaccard: NDArray[np.float64]
    correlation: NDArray[np.float64]


def find_coactive(positives: Positives, statistics: StatisticsTable, execution: Execution) -> CoactivationTable:
    """Return the 5 features with the highest Jaccard similarity of the texts they fire on, ties by lower ids.

    For each feature the features of its own texts are counted: sum over the texts of (features that fire)^2
    steps, never an [F, F] matrix. It is exact up to 2^32 steps (16,384 features at 6 %). Beyond, a feature
    draws evenly spread texts of its own, as many as 2^32 steps allow, at least 128; its 128 best candidates
    are then compared exactly. A feature with no more texts than are drawn stays exact. The rule depends
    on the activations alone.
    """
    counts = positives.counts
    execution.require(positives.texts.size * _ROW_BYTES, "the features of every text")
    rows = features_of_texts(positives.offsets, positives.texts, positives.rows)
    drawn = texts_drawn(counts, np.diff(rows[0]))
    columns = (positives.offsets, positives.texts, positives.values)
    moments = (statistics.mean, statistics.variance)

    def work(tile: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
        found: tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]] = coactive_tile(
            tile, drawn, CANDIDATES, columns, rows, moments
        )
        return found

    tile_bytes = 4 * counts.size + 9 * positives.rows
    parts = list(map_tiles(work, spans(counts.size, FEATURE_TILE), execution, tile_bytes=tile_bytes))
    ids, jaccard, correlation = (np.concatenate(column) for column in zip(*parts, strict=True))
    return CoactivationTable(ids, jaccard, correlation)


def texts_drawn(counts: NDArray[np.int64], fired: NDArray[np.int64]) -> NDArray[np.int64]:
    """[F] texts of each feature to count on; `fired` [n] is the number of features that fire on each text.

    A text of a feature costs sum r^2 / sum r steps on average, r the features that fire on a text.

    >>> texts_drawn(np.array([3, 3]), np.array([2, 2, 2])).tolist()
    [3, 3]
    """
    steps = int(np.square(fired).sum())
    if steps <= PAIR_LIMIT:
        return counts
    each = int(PAIR_LIMIT * int(fired.sum()) // (steps * counts.size))
    return np.minimum(counts, max(each, MIN_DRAWN))


def coactive_records(table: CoactivationTable, feature: int) -> tuple[CoactiveFeature, ...]:
    """Return one feature's co-active features as published."""
    columns = (table.ids[feature].tolist(), table.jaccard[feature].tolist(), table.correlation[feature].tolist())
    return tuple(
        CoactiveFeature(other, jaccard, number_or_none(correlation))
        for other, jaccard, correlation in zip(*columns, strict=True)
        if other >= 0
    )
