"""Compiled decoding of sparse feature activations, and how far what comes out lies from the originals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from mistudio_worker.analysis.kernels.unit_rows import pairwise_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def add_decoded(
    stored: tuple[NDArray[np.float32], int, int],
    directions: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Add to [r, c] for each row the sum of activation times direction [f, c]; only finite, positive ones are such.

    `stored`: the activations, the length of their rows, the first feature.
    """
    flat, width, first = stored
    active = np.empty(directions.shape[0], dtype=np.int64)
    for r in range(out.shape[0]):
        begin, held = r * width + first, 0
        for f in range(active.size):
            active[held] = f
            held += 0.0 < flat[begin + f] < np.inf
        row, i = out[r], 0
        while i + 4 <= held:  # four at a time: the sums are loaded and stored once for them
            a, b = directions[active[i]], directions[active[i + 1]]
            c, d = directions[active[i + 2]], directions[active[i + 3]]
            ha, hb = flat[begin + active[i]], flat[begin + active[i + 1]]
            hc, hd = flat[begin + active[i + 2]], flat[begin + active[i + 3]]
            for k in range(row.size):
                row[k] += (ha * a[k] + hb * b[k]) + (hc * c[k] + hd * d[k])
            i += 4
        while i < held:
            a, ha = directions[active[i]], flat[begin + active[i]]
            for k in range(row.size):
                row[k] += ha * a[k]
            i += 1


@njit(cache=True, nogil=True)
def squared_distances(
    cells: tuple[NDArray[np.float32], int, int],
    decoded: NDArray[np.float64],
    centre: tuple[NDArray[np.float64], NDArray[np.float64]],
    out: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Fill [r] with |e - decoded - bias|^2 and [r] with |e - mean|^2 over the columns; `centre`: bias and mean [c]."""
    flat, width, first = cells
    bias, mean = centre
    error, distance = np.empty(mean.size), np.empty(mean.size)
    for r in range(decoded.shape[0]):
        begin = r * width + first
        for c in range(mean.size):
            cell = np.float64(flat[begin + c])
            error[c] = cell - (decoded[r, c] + bias[c])
            error[c] *= error[c]
            distance[c] = cell - mean[c]
            distance[c] *= distance[c]
        out[0][r], out[1][r] = pairwise_sum(error), pairwise_sum(distance)
