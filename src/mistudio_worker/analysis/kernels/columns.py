"""Compiled passes over a row-major tile of feature activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def tile_moments(block: NDArray[np.float32]) -> NDArray[Any]:
    """Mean, M2, M3, M4, min, max and positives of each column of [r, c], r >= 1, as [7, c] float64."""
    rows, columns = block.shape
    out = np.zeros((7, columns))
    mean, m2, m3, m4, low, high, positives = out[0], out[1], out[2], out[3], out[4], out[5], out[6]
    for c in range(columns):
        low[c] = np.inf
        high[c] = -np.inf
    for r in range(rows):
        for c in range(columns):
            a = np.float64(block[r, c])
            mean[c] += a
            low[c] = min(low[c], a)
            high[c] = max(high[c], a)
            positives[c] += 1.0 if a > 0.0 else 0.0
    for c in range(columns):
        mean[c] = low[c] if low[c] == high[c] else mean[c] / rows
    for r in range(rows):
        for c in range(columns):
            d = np.float64(block[r, c]) - mean[c]
            square = d * d
            m2[c] += square
            m3[c] += square * d
            m4[c] += square * square
    return out


@njit(cache=True, nogil=True)
def gather_positives(
    block: NDArray[np.float32],
    first_row: int,
    skipped: NDArray[np.bool_],
    cursors: NDArray[np.int64],
    out: tuple[NDArray[np.int32], NDArray[np.float32]],
) -> None:
    """Append the cells > 0 of [r, c] to each column's run of `out` (texts, values) at its cursor, in row order."""
    texts, values = out
    rows, columns = block.shape
    for r in range(rows):
        for c in range(columns):
            a = block[r, c]
            if a > 0 and not skipped[c]:
                place = cursors[c]
                texts[place] = first_row + r
                values[place] = a
                cursors[c] = place + 1
