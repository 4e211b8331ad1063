"""The positives of every feature, gathered once, and the moments over all texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.columns import gather_positives, tile_moments
from mistudio_worker.analysis.moments import Moments, concatenate, empty_moments, merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.domain.training_run import ActivationBlocks

ROW_TILE = 4096
FEATURE_TILE = 512
_TILE_BYTES = ROW_TILE * FEATURE_TILE * 4 + 16 * FEATURE_TILE * 8
_POSITIVE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Positives:
    """Texts that each feature fires on (a > 0), one run of entries a feature (CSC), in row order.

    Attributes:
        rows: n, all texts.
        offsets: [F + 1] int64; feature f owns `texts[offsets[f]:offsets[f + 1]]`.
        texts: [entries] int32 row indices, ascending within a feature.
        values: [entries] float32, > 0.
    """

    rows: int
    offsets: NDArray[np.int64]
    texts: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def counts(self) -> NDArray[np.int64]:
        """[F] number of positives of each feature."""
        return np.diff(self.offsets)


def gather(blocks: ActivationBlocks, invalid: Sequence[int], execution: Execution) -> tuple[Positives, Moments]:
    """Read the activations tile by tile: moments first, then the positives into their final place.

    The matrix is never held or converted whole. Invalid features have no positives and a count of 0.

    Args:
        blocks: [n, F], fp32, fp16 or bf16.
        invalid: features that are skipped, since they hold NaN, infinite or negative cells.
        execution: threads and budget.

    Raises:
        RefusedInput: `MEMORY_BUDGET_EXCEEDED`, the positives do not fit.
    """
    rows, features = blocks.shape
    skipped = np.zeros(features, dtype=np.bool_)
    skipped[list(invalid)] = True
    moments = _measure(blocks, skipped, execution)
    offsets = np.zeros(features + 1, dtype=np.int64)
    np.cumsum(moments.positives.astype(np.int64), out=offsets[1:])
    execution.require(int(offsets[-1]) * _POSITIVE_BYTES, f"the {int(offsets[-1]):,} positive activations")
    positives = Positives(rows, offsets, np.empty(offsets[-1], dtype=np.int32), np.empty(offsets[-1], dtype=np.float32))
    _fill(blocks, skipped, positives, execution)
    return positives, moments


def _measure(blocks: ActivationBlocks, skipped: NDArray[np.bool_], execution: Execution) -> Moments:
    rows, features = blocks.shape
    columns = spans(features, FEATURE_TILE)
    tiles = [(row, column) for column in columns for row in spans(rows, ROW_TILE)]

    def work(tile: tuple[tuple[int, int], tuple[int, int]]) -> tuple[int, Moments]:
        row, (first, last) = tile
        return first, _tile_moments(read_tile(blocks, row, (first, last)), skipped[first:last])

    merged = {first: empty_moments(last - first) for first, last in columns}
    for first, part in map_tiles(work, tiles, execution, tile_bytes=_TILE_BYTES):
        merged[first] = merge(merged[first], part)
    return concatenate(list(merged.values()))


def _tile_moments(block: NDArray[np.float32], skipped: NDArray[np.bool_]) -> Moments:
    figures = tile_moments(block)
    figures[:4, skipped] = 0.0
    figures[4, skipped], figures[5, skipped], figures[6, skipped] = np.inf, -np.inf, 0.0
    return Moments(np.where(skipped, 0.0, float(block.shape[0])), *figures)


def _fill(blocks: ActivationBlocks, skipped: NDArray[np.bool_], positives: Positives, execution: Execution) -> None:
    rows, features = blocks.shape

    def work(column: tuple[int, int]) -> None:
        first, last = column
        cursors = positives.offsets[first:last].copy()
        for row in spans(rows, ROW_TILE):
            block = read_tile(blocks, row, column)
            gather_positives(block, row[0], skipped[first:last], cursors, (positives.texts, positives.values))

    for _ in map_tiles(work, spans(features, FEATURE_TILE), execution, tile_bytes=_TILE_BYTES):
        pass


def read_tile(blocks: ActivationBlocks, row: tuple[int, int], column: tuple[int, int]) -> NDArray[np.float32]:
    """Return one tile as contiguous float32."""
    tile = blocks.rows(*row)[:, column[0] : column[1]].to(torch.float32)
    return np.ascontiguousarray(tile.numpy())
