"""How much each text counts for a feature, and a small sample of its texts that stands for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.weights import draw, weigh_once

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.duplicates import DuplicateGroups
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.statistics import StatisticsTable

DRAWS = 40
FEATURE_TILE = 512


@dataclass(frozen=True, slots=True)
class Weights:
    """w = (a - min a) / (max a - min a) of every positive; near-duplicates count once.

    Attributes:
        offsets: [F + 1] int64, of the positives.
        texts: [entries] int32, of the positives.
        values: [entries] float32, 0 to 1: 0 for a text that nearly repeats a stronger one of the feature, and
            throughout where the activation does not vary.
        distinct: [F] int64, positives that do not repeat each other.
    """

    offsets: NDArray[np.int64]
    texts: NDArray[np.int32]
    values: NDArray[np.float32]
    distinct: NDArray[np.int64]

    @property
    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """Offsets, texts and values, as the kernels take them."""
        return self.offsets, self.texts, self.values


@dataclass(frozen=True, slots=True)
class Draws:
    """40 draws along the weight of each feature, strongest text first.

    Attributes:
        members: [F, 40] int32 texts, each once; -1 beyond the last.
        counts: [F, 40] int32 draws that fell on each text.
    """

    members: NDArray[np.int32]
    counts: NDArray[np.int32]


def weigh(
    positives: Positives, statistics: StatisticsTable, duplicates: DuplicateGroups, execution: Execution
) -> Weights:
    """Return the weights of all features: of a group of near-duplicates only the strongest has one.

    Raises:
        RefusedInput: `MEMORY_BUDGET_EXCEEDED`, the weights do not fit.
    """
    execution.require(positives.values.size * 4, f"the weights of {positives.values.size:,} positive activations")
    spread = statistics.high - statistics.low
    scale = np.where(spread > 0, 1.0 / np.where(spread > 0, spread, 1.0), 0.0)
    values = np.empty(positives.values.size, dtype=np.float32)
    columns = (positives.offsets, positives.texts, positives.values)
    distinct = weigh_once(columns, (statistics.low, scale), duplicates.group, values)
    return Weights(positives.offsets, positives.texts, values, distinct)


def draw_texts(weights: Weights, usable: NDArray[np.bool_], execution: Execution) -> Draws:
    """Draw the texts that stand for a feature: as many strong and weak ones as the weight has.

    Draw j falls on the text at the share (j + 1/2) / 40 of the weights, added up from the strongest, equal ones by
    the lower text index. So a text is drawn as often as its weight asks for, weak noise seldom, and the weakest
    never. No text gets more than a quarter: weights are cut to the level at which that holds. A feature with
    fewer than 4 texts that have a weight and are usable has no draws. The draws do not depend on top_k.
    """
    features = weights.distinct.size
    members = np.full((features, DRAWS), -1, dtype=np.int32)
    counts = np.zeros((features, DRAWS), dtype=np.int32)

    def work(tile: tuple[int, int]) -> None:
        draw(weights.entries, tile, usable, members[tile[0] : tile[1]], counts[tile[0] : tile[1]])

    for _ in map_tiles(work, spans(features, FEATURE_TILE), execution, tile_bytes=16 * usable.size):
        pass
    return Draws(members, counts)
