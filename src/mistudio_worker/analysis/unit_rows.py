"""The original activations as mean-centred unit rows, tile by tile, never copied whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.domain.training_run import ActivationBlocks

ROW_TILE = 2048
COLUMN_TILE = 256
TILE_BYTES = 3 * ROW_TILE * COLUMN_TILE * 8
SAMPLE_ROWS = 256
_ZERO_NORM = 1e-6


@dataclass(frozen=True, slots=True)
class UnitRows:
    """p_i = (e_i - mean) / |e_i - mean|; hidden states share a direction that would fake similarity.

    Attributes:
        blocks: [n, d] the originals.
        mean: [d] float64, over the usable texts.
        norms: [n] float64, |e_i|; 0 for a text with NaN or infinite cells.
        inverse: [n] float64, 1 / |e_i - mean|; 0 for a text without a direction: not finite, or equal
            to the mean up to 1e-6 of its norm. Such a text takes no part in measures over this space.
        baseline: mean cosine over all pairs of usable texts; NaN below 2 of them.
        spread: standard deviation of the cosine of a pair, over up to 256 evenly spread texts.
    """

    blocks: ActivationBlocks
    mean: NDArray[np.float64]
    norms: NDArray[np.float64]
    inverse: NDArray[np.float64]
    baseline: float
    spread: float

    @property
    def usable(self) -> NDArray[np.bool_]:
        """[n] whether a text has a direction."""
        return self.inverse > 0.0

    def tile(self, row: tuple[int, int], column: tuple[int, int], device: str) -> torch.Tensor:
        """Return unit rows [r, c] as float32; rows without a direction are zero."""
        cells = self.blocks.rows(*row)[:, column[0] : column[1]].to(torch.float32, copy=True)
        return _unit(cells, self.mean[column[0] : column[1]], self.inverse[row[0] : row[1]]).to(device)

    def gather(self, texts: NDArray[np.int64], column: tuple[int, int]) -> torch.Tensor:
        """Return some unit rows [m, c] as float32 on the CPU; `texts` ascending."""
        out = torch.zeros((texts.size, column[1] - column[0]), dtype=torch.float32)
        for row in spans(self.blocks.shape[0], ROW_TILE):
            first, last = np.searchsorted(texts, row)
            if first == last:
                continue
            chosen = texts[first:last]
            cells = self.blocks.rows(*row)[torch.from_numpy(chosen - row[0]), column[0] : column[1]].to(
                torch.float32, copy=True
            )
            out[first:last] = _unit(cells, self.mean[column[0] : column[1]], self.inverse[chosen])
        return out


def unit_rows(blocks: ActivationBlocks, invalid_texts: Sequence[int], execution: Execution) -> UnitRows:
    """Measure mean and norms of the originals, column tile by column tile."""
    rows, columns = blocks.shape
    bad = np.zeros(rows, dtype=np.bool_)
    bad[list(invalid_texts)] = True
    mean, squares, centred = np.empty(columns), np.zeros(rows), np.zeros(rows)
    tiles = spans(columns, COLUMN_TILE)
    work_bytes = TILE_BYTES + 2 * rows * 8
    parts = map_tiles(lambda c: _measure(blocks, c, bad), tiles, execution, tile_bytes=work_bytes)
    for column, (tile_mean, tile_squares, tile_centred) in zip(tiles, parts, strict=True):
        mean[column[0] : column[1]] = tile_mean
        squares += tile_squares
        centred += tile_centred
    norms, lengths = np.sqrt(squares), np.sqrt(centred)
    has_direction = lengths > _ZERO_NORM * norms
    inverse = np.where(has_direction, 1.0 / np.where(has_direction, lengths, 1.0), 0.0)
    found = UnitRows(blocks, mean, norms, inverse, float("nan"), 0.0)
    baseline, spread = _pair_cosines(found, execution)
    return UnitRows(blocks, mean, norms, inverse, baseline, spread)


def _measure(
    blocks: ActivationBlocks, column: tuple[int, int], bad: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rows = blocks.shape[0]
    usable = np.where(bad, 0.0, 1.0)
    total = torch.zeros(column[1] - column[0], dtype=torch.float64)
    squares, centred = np.zeros(rows), np.zeros(rows)
    for row in spans(rows, ROW_TILE):
        cells = _cells(blocks, row, column, bad)
        total += cells.sum(dim=0)
        squares[row[0] : row[1]] = cells.square().sum(dim=1).numpy()
    mean = (total / max(usable.sum(), 1.0)).numpy()
    for row in spans(rows, ROW_TILE):
        cells = _cells(blocks, row, column, bad) - torch.from_numpy(mean)
        centred[row[0] : row[1]] = cells.square().sum(dim=1).numpy() * usable[row[0] : row[1]]
    return mean, squares, centred


def _cells(
    blocks: ActivationBlocks, row: tuple[int, int], column: tuple[int, int], bad: NDArray[np.bool_]
) -> torch.Tensor:
    cells = blocks.rows(*row)[:, column[0] : column[1]].to(torch.float64, copy=True)
    cells[torch.from_numpy(bad[row[0] : row[1]])] = 0.0
    return cells


def _unit(cells: torch.Tensor, mean: NDArray[np.float64], inverse: NDArray[np.float64]) -> torch.Tensor:
    """Centre and scale rows in place; a product with 0 would keep a NaN, so such rows are set to 0."""
    centre, scale = torch.from_numpy(mean).to(cells.dtype), torch.from_numpy(inverse).to(cells.dtype)
    cells.sub_(centre).mul_(scale[:, None])
    if not inverse.all():
        cells[torch.from_numpy(inverse == 0.0)] = 0.0
    return cells


def _pair_cosines(found: UnitRows, execution: Execution) -> tuple[float, float]:
    """Mean cosine of all pairs, (|sum p|^2 - m) / (m^2 - m), and the spread over a sample of pairs."""
    usable = np.flatnonzero(found.usable)
    m = usable.size
    if m < 2:
        return float("nan"), 0.0
    sample = usable[np.unique(np.linspace(0, m - 1, min(m, SAMPLE_ROWS)).astype(np.int64))]

    def work(column: tuple[int, int]) -> tuple[float, torch.Tensor]:
        total = torch.zeros(column[1] - column[0], dtype=torch.float64)
        for row in spans(found.blocks.shape[0], ROW_TILE):
            total += found.tile(row, column, "cpu").sum(dim=0, dtype=torch.float64)
        rows = found.gather(sample, column).double()
        return float(total.square().sum()), rows @ rows.T

    square, gram = 0.0, torch.zeros((sample.size, sample.size), dtype=torch.float64)
    tiles = spans(found.blocks.shape[1], COLUMN_TILE)
    for part_square, part_gram in map_tiles(work, tiles, execution, tile_bytes=TILE_BYTES + gram.nbytes):
        square += part_square
        gram += part_gram
    cosines = gram.numpy()[np.triu_indices(sample.size, 1)]
    return (square - m) / (m * m - m), float(cosines.std())
