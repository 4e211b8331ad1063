"""Compiled passes over the original activations: a block of whole rows, flat, of which some columns are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def standardise(
    cells: tuple[NDArray[np.float32], int, int],
    rows: NDArray[np.int64],
    scaling: tuple[NDArray[np.float32], NDArray[np.float32]],
    inverse: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fill [m, c] with (e - mean) * scale * inverse of some rows; 0 where `inverse` [m] is 0, whatever stands there.

    `cells`: the block, the length of its rows, the first column to read. `scaling`: mean and scale [c].
    """
    flat, width, first = cells
    mean, scale = scaling
    for i in range(rows.size):
        begin = rows[i] * width + first
        if inverse[i] == 0.0:
            for c in range(mean.size):
                out[i, c] = 0.0
            continue
        for c in range(mean.size):
            out[i, c] = (flat[begin + c] - mean[c]) * scale[c] * inverse[i]


@njit(cache=True, nogil=True)
def add_moments(
    cells: tuple[NDArray[np.float32], int, int],
    usable: NDArray[np.bool_],
    totals: tuple[NDArray[np.float64], NDArray[np.float64]],
    squares: NDArray[np.float64],
) -> None:
    """Add the usable rows and their squares to `totals` [c], and put the sum of each row's squares into `squares` [r].

    A row that is not usable adds nothing, and gets 0.
    """
    flat, width, first = cells
    total, total_square = totals
    row = np.empty(total.size)
    for r in range(usable.size):
        squares[r] = 0.0
        if usable[r]:
            begin = r * width + first
            for c in range(total.size):
                cell = np.float64(flat[begin + c])
                total[c] += cell
                row[c] = cell * cell
                total_square[c] += row[c]
            squares[r] = pairwise_sum(row)


@njit(cache=True, nogil=True)
def squared_lengths(
    cells: tuple[NDArray[np.float32], int, int],
    usable: NDArray[np.bool_],
    scaling: tuple[NDArray[np.float64], NDArray[np.float64]],
    lengths: NDArray[np.float64],
) -> None:
    """Fill [r] with the sum over the columns of ((e - mean) * scale)^2; 0 for a row that is not usable."""
    flat, width, first = cells
    mean, scale = scaling
    row = np.empty(mean.size)
    for r in range(usable.size):
        lengths[r] = 0.0
        if usable[r]:
            begin = r * width + first
            for c in range(mean.size):
                cell = (np.float64(flat[begin + c]) - mean[c]) * scale[c]
                row[c] = cell * cell
            lengths[r] = pairwise_sum(row)


@njit(cache=True, nogil=True)
def pairwise_sum(values: NDArray[np.float64]) -> float:
    """Sum in place by halves: in an order of its own, and many at once."""
    size = values.size
    while size > 1:
        half = (size + 1) // 2
        for i in range(size // 2):
            values[i] += values[half + i]
        size = half
    return float(values[0]) if size else 0.0


@njit(cache=True, nogil=True)
def add_weighted(
    entries: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    first: int,
    rows: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Add to [f, c] the weighted sum of the rows [r, c] that each feature has entries on, in their order.

    `entries`: where those of each feature begin and end, their texts and weights; `first`: text of the first row.
    """
    begins, ends, texts, weights = entries
    for f in range(begins.size):
        i, end = begins[f], ends[f]
        own = out[f]
        while i + 4 <= end:  # four at a time: the sums are loaded and stored once for them
            a, b = rows[texts[i] - first], rows[texts[i + 1] - first]
            c, d = rows[texts[i + 2] - first], rows[texts[i + 3] - first]
            wa, wb, wc, wd = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
            for k in range(own.size):
                own[k] += (wa * a[k] + wb * b[k]) + (wc * c[k] + wd * d[k])
            i += 4
        while i < end:
            a, wa = rows[texts[i] - first], weights[i]
            for k in range(own.size):
                own[k] += wa * a[k]
            i += 1
