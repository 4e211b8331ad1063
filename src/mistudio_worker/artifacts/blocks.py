"""Activations that are read row block by row block from a mapped tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class TensorBlocks:
    """The `ActivationBlocks` of a tensor; blocks are views in the stored dtype, nothing is copied.

    Only where an archive was packed anew by another tool, so that its elements lie at odd addresses, a block is a copy:
    compiled passes need aligned memory.
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        if matrix.dim() != 2:
            raise ValueError(f"expected a matrix, got {list(matrix.shape)}")
        self._matrix = matrix
        self._aligned = matrix.data_ptr() % matrix.element_size() == 0

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self._matrix.shape
        return rows, columns

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Return the rows `start` to `stop`; they must not be written to."""
        block = self._matrix[start:stop]
        return block if self._aligned else block.clone()
