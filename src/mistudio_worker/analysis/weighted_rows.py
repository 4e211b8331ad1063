"""Weighted sums of rows for many features at once, most of whose weights are zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from mistudio_worker.analysis.kernels.unit_rows import add_weighted
from mistudio_worker.analysis.kernels.weights import bounds, scatter

if TYPE_CHECKING:
    from numpy.typing import NDArray

DENSE_FROM = 0.25
"""Share of weights that are not zero from which a dense product is faster; at 0.08 it takes four times as long."""

Entries = tuple["NDArray[np.int64]", "NDArray[np.int32]", "NDArray[np.float32]"]


def weighted_rows(entries: Entries, feature: tuple[int, int], row: tuple[int, int], rows: torch.Tensor) -> torch.Tensor:
    """Return [f, c] float32: for each feature the sum of weight times row over its entries on the rows.

    On a GPU, and for features that fire on much of the rows, by a dense product; which one depends on the tile alone.

    Args:
        entries: offsets, texts (ascending within a feature) and weights of all features.
        feature: first and last + 1.
        row: first and last + 1 text.
        rows: [r, c] float32 of these texts.
    """
    begins, ends = bounds(*entries[:2], feature, row)
    if rows.device.type != "cpu" or int((ends - begins).sum()) >= DENSE_FROM * begins.size * rows.shape[0]:
        weight = np.zeros((begins.size, rows.shape[0]), dtype=np.float32)
        scatter(entries, feature, row, weight)
        return torch.from_numpy(weight).to(rows.device) @ rows
    out = np.zeros((begins.size, rows.shape[1]), dtype=np.float32)
    add_weighted((begins, ends, *entries[1:]), row[0], rows.numpy(), out)
    return torch.from_numpy(out)
