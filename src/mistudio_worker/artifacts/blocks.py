"""Activations that are read row block by row block from a mapped tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class TensorBlocks:
    """The `ActivationBlocks` of a tensor; blocks are views in the stored dtype, nothing is copied."""

    def __init__(self, matrix: torch.Tensor) -> None:
        if matrix.dim() != 2:
            raise ValueError(f"expected a matrix, got {list(matrix.shape)}")
        self._matrix = matrix

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self._matrix.shape
        return rows, columns

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Return a view of the rows `start` to `stop`; it must not be written to."""
        return self._matrix[start:stop]
