"""How alike any two texts of the run are, in each space: what a feature's texts are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.execution import Execution, map_tiles, spans
from mistudio_worker.analysis.kernels.text_rows import cosines, row_total, to_vector
from mistudio_worker.analysis.permutation_null import PairMoments, pair_moments
from mistudio_worker.analysis.unit_rows import COLUMN_TILE, ROW_TILE, TILE_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.text_rows import TextRows
    from mistudio_worker.analysis.unit_rows import UnitRows

SAMPLE_TEXTS = 512
FEWEST_TEXTS = 3


@dataclass(frozen=True, slots=True)
class CorpusPairs:
    """Cosines of all pairs of texts that have a vector; near-duplicates count once.

    Attributes:
        texts: number of such texts.
        mean: of all pairs, exact; NaN below 2 texts.
        spread: standard deviation, over the pairs of a sample.
        moments: for the permutation null, over a sample; None below 3 texts.
    """

    texts: int
    mean: float
    spread: float
    moments: PairMoments | None


def text_pairs(rows: TextRows, distinct: NDArray[np.int64]) -> CorpusPairs:
    """Measure the pairs of TF-IDF rows: the mean over all texts, the rest over 512 of them.

    Args:
        rows: of all texts.
        distinct: one text of each group of near-duplicates, shuffled.
    """
    counted = distinct[rows.usable[distinct]]
    sample = counted[:SAMPLE_TEXTS]
    total = row_total(rows.rows, counted, rows.vocabulary)
    table = cosines(rows.rows, sample[None, :].astype(np.int32), rows.vocabulary)[0]
    return _pairs(table, to_vector(rows.rows, sample, total), float(total @ total), counted.size, lowest=0.0)


def activation_pairs(rows: UnitRows, distinct: NDArray[np.int64], execution: Execution) -> CorpusPairs:
    """Measure the pairs of original activations: the mean over all texts, the rest over 512 of them.

    The cost is one pass over the originals and one product [512, d] x [d, 512].
    """
    counted = distinct[rows.usable[distinct]]
    sample = np.sort(counted[:SAMPLE_TEXTS])
    once = torch.zeros(rows.usable.size, dtype=torch.float32)
    once[torch.from_numpy(counted)] = 1.0

    def work(column: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor, float]:
        total = torch.zeros(column[1] - column[0], dtype=torch.float64)
        for row in spans(rows.blocks.shape[0], ROW_TILE):
            unit = rows.tile(row, column, "cpu").mul_(once[row[0] : row[1], None])
            total += unit.sum(dim=0, dtype=torch.float64)
        chosen = rows.gather(sample, column)
        return (chosen @ chosen.T).double(), chosen.double() @ total, float(total @ total)

    table, to_total = torch.zeros((sample.size, sample.size), dtype=torch.float64), torch.zeros(sample.size).double()
    square = 0.0
    tiles = spans(rows.blocks.shape[1], COLUMN_TILE)
    for part, part_to_total, part_square in map_tiles(work, tiles, execution, tile_bytes=TILE_BYTES + 2 * table.nbytes):
        table += part
        to_total += part_to_total
        square += part_square
    return _pairs(table.numpy(), to_total.numpy(), square, counted.size, lowest=-1.0)


def _pairs(
    table: NDArray[np.float64], to_total: NDArray[np.float64], square: float, texts: int, *, lowest: float
) -> CorpusPairs:
    """From the sample's cosines, its products with the sum of all vectors, and the squared length of that sum."""
    if texts < 2:
        return CorpusPairs(texts, float("nan"), 0.0, None)
    mean = min(max((square - texts) / (texts * (texts - 1.0)), lowest), 1.0)  # rounding may lead beyond
    spread = float(table[np.triu_indices(len(table), 1)].std())
    if texts < FEWEST_TEXTS:
        return CorpusPairs(texts, mean, spread, None)
    return CorpusPairs(texts, mean, spread, pair_moments(table, (to_total - 1.0) / (texts - 1.0), mean, texts))
