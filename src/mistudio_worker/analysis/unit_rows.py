"""The original activations as standardised unit rows, tile by tile, never copied whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.unit_rows import add_moments, squared_lengths, standardise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.domain.training_run import ActivationBlocks

ROW_TILE = 2048
COLUMN_TILE = 256
TILE_BYTES = 3 * ROW_TILE * COLUMN_TILE * 8
_ZERO_LENGTH = 1e-6
_ZERO_SPREAD = 1e-6


@dataclass(frozen=True, slots=True)
class UnitRows:
    """p_i = z_i / |z_i|, z = (e - mean) / standard deviation, dimension by dimension.

    Hidden states share a direction that would fake similarity, so the mean is taken off. A few rogue dimensions
    with a hundredfold spread would decide every cosine alone, so each dimension counts alike (Timkey & van
    Schijndel 2021, arXiv 2109.04404).

    Attributes:
        blocks: [n, d] the originals.
        mean: [d] float64, over the usable texts.
        scale: [d] float64, 1 / standard deviation (ddof 0) over them; 0 for a dimension that does not vary, that
            is by less than 1e-6 of its size.
        norms: [n] float64, |e_i|; 0 for a text with NaN or infinite cells.
        inverse: [n] float64, 1 / |z_i|; 0 for a text without a direction: not finite, or equal to the mean up
            to |z| = 1e-6. Such a text takes no part in measures over this space.
    """

    blocks: ActivationBlocks
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    norms: NDArray[np.float64]
    inverse: NDArray[np.float64]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """[n] whether a text has a direction."""
        return self.inverse > 0.0

    def tile(self, row: tuple[int, int], column: tuple[int, int], device: str) -> torch.Tensor:
        """Return unit rows [r, c] as float32; rows without a direction are zero."""
        out = np.empty((row[1] - row[0], column[1] - column[0]), dtype=np.float32)
        self._standardise(row, np.arange(*row), column, out)
        return torch.from_numpy(out).to(device)

    def gather(self, texts: NDArray[np.int64], column: tuple[int, int]) -> torch.Tensor:
        """Return some unit rows [m, c] as float32 on the CPU; `texts` ascending, zeros for each -1 before them."""
        out = np.empty((texts.size, column[1] - column[0]), dtype=np.float32)
        out[: np.searchsorted(texts, 0)] = 0.0
        for row in spans(self.blocks.shape[0], ROW_TILE):
            first, last = np.searchsorted(texts, row).tolist()
            if first < last:
                self._standardise(row, texts[first:last], column, out[first:last])
        return torch.from_numpy(out)

    def _standardise(
        self, row: tuple[int, int], texts: NDArray[np.int64], column: tuple[int, int], out: NDArray[np.float32]
    ) -> None:
        """Fill [m, c] with the unit rows of some texts of one tile."""
        mean, scale = (part[column[0] : column[1]].astype(np.float32) for part in (self.mean, self.scale))
        cells = read_columns(self.blocks, row, column)
        standardise(cells, texts - row[0], (mean, scale), self.inverse[texts].astype(np.float32), out)


def read_columns(
    blocks: ActivationBlocks, row: tuple[int, int], column: tuple[int, int]
) -> tuple[NDArray[np.float32], int, int]:
    """Return some columns of a row block as the kernels take them: flat cells, the length of a row, the first column.

    float32 rows that lie one after the other are not copied.
    """
    block = blocks.rows(*row)
    if block.dtype == torch.float32 and block.is_contiguous():
        return block.numpy().reshape(-1), block.shape[1], column[0]
    tile = block[:, column[0] : column[1]].to(torch.float32).contiguous()
    return tile.numpy().reshape(-1), tile.shape[1], 0


def unit_rows(blocks: ActivationBlocks, invalid_texts: Sequence[int], execution: Execution) -> UnitRows:
    """Measure means, spreads and norms of the originals, column tile by column tile."""
    rows, columns = blocks.shape
    bad = np.zeros(rows, dtype=np.bool_)
    bad[list(invalid_texts)] = True
    mean, scale, squares, lengths = np.empty(columns), np.empty(columns), np.zeros(rows), np.zeros(rows)
    tiles = spans(columns, COLUMN_TILE)
    work_bytes = TILE_BYTES + 2 * rows * 8
    parts = map_tiles(lambda c: _measure(blocks, c, bad), tiles, execution, tile_bytes=work_bytes)
    for column, (tile_mean, tile_scale, tile_squares, tile_lengths) in zip(tiles, parts, strict=True):
        mean[column[0] : column[1]], scale[column[0] : column[1]] = tile_mean, tile_scale
        squares += tile_squares
        lengths += tile_lengths
    length = np.sqrt(lengths)
    has_direction = length > _ZERO_LENGTH
    inverse = np.where(has_direction, 1.0 / np.where(has_direction, length, 1.0), 0.0)
    return UnitRows(blocks, mean, scale, np.sqrt(squares), inverse)


def _measure(
    blocks: ActivationBlocks, column: tuple[int, int], bad: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean and scale of the columns of one tile, |e|^2 and |z|^2 of the rows over them."""
    rows = blocks.shape[0]
    usable, count = ~bad, max(int((~bad).sum()), 1)
    total, total_square = np.zeros((2, column[1] - column[0]))
    squares, lengths = np.empty(rows), np.empty(rows)
    for row in spans(rows, ROW_TILE):
        own = slice(*row)
        add_moments(read_columns(blocks, row, column), usable[own], (total, total_square), squares[own])
    mean, mean_square = total / count, total_square / count
    variance = mean_square - mean * mean
    varies = variance > _ZERO_SPREAD**2 * mean_square
    scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
    for row in spans(rows, ROW_TILE):
        own = slice(*row)
        squared_lengths(read_columns(blocks, row, column), usable[own], (mean, scale), lengths[own])
    return mean, scale, squares, lengths
