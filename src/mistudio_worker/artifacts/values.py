"""Which columns and rows hold values that no training produces: NaN, infinite, negative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistudio_worker.domain.training_run import ActivationBlocks

BLOCK_ROWS = 4096
BLOCK_CELLS = 1 << 22


@dataclass(frozen=True, slots=True)
class BadColumns:
    """Cells that cannot come from a ReLU, counted by column.

    Attributes:
        not_finite: column -> NaN and infinite cells, columns ascending.
        negative: column -> finite cells below 0, columns ascending.
    """

    not_finite: dict[int, int]
    negative: dict[int, int]

    @property
    def columns(self) -> tuple[int, ...]:
        """All columns concerned, ascending."""
        return tuple(sorted(self.not_finite.keys() | self.negative.keys()))


def find_bad_columns(features: ActivationBlocks) -> BadColumns:
    """Scan all feature activations once, in blocks of rows."""
    columns = features.shape[1]
    not_finite = torch.zeros(columns, dtype=torch.int64)
    negative = torch.zeros(columns, dtype=torch.int64)
    for _, block in _blocks(features):
        low, high = torch.aminmax(block)
        if low >= 0 and high < torch.inf:  # false where there is a NaN
            continue
        not_finite += (~torch.isfinite(block)).sum(0)
        negative += ((block < 0) & torch.isfinite(block)).sum(0)
    return BadColumns(_counts(not_finite), _counts(negative))


def find_bad_rows(originals: ActivationBlocks) -> tuple[int, ...]:
    """Return the rows of the original activations that hold a NaN or an infinity, ascending."""
    found: list[int] = []
    for start, block in _blocks(originals):
        low, high = torch.aminmax(block)
        if low > -torch.inf and high < torch.inf:
            continue
        bad = (~torch.isfinite(block)).any(1).nonzero().flatten()
        found.extend((bad + start).tolist())
    return tuple(found)


def _blocks(matrix: ActivationBlocks) -> Iterator[tuple[int, torch.Tensor]]:
    rows, columns = matrix.shape
    step = max(1, min(BLOCK_ROWS, BLOCK_CELLS // max(columns, 1)))
    for start in range(0, rows, step):
        yield start, matrix.rows(start, min(start + step, rows))


def _counts(totals: torch.Tensor) -> dict[int, int]:
    columns = totals.nonzero().flatten().tolist()
    return dict(zip(columns, totals[columns].tolist(), strict=True))
