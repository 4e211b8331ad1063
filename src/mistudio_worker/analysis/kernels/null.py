"""Compiled sums of the weights that the permutation null of coherence is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _add(sums: NDArray[np.float64], times: float, c: float, v: float) -> None:
    """Add c^2, c^3, c v, (c v)^2, c v^2, c v^4, v^2, v^3, v^4, v^6 of `times` equal texts."""
    square = v * v
    terms = (c * c, c * c * c, c * v, c * c * square, c * square, c * square * square)
    for i in range(6):
        sums[i] += times * terms[i]
    sums[6] += times * square
    sums[7] += times * square * v
    sums[8] += times * square * square
    sums[9] += times * square * square * square


@njit(cache=True, nogil=True)
def weight_sums(
    entries: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    usable: NDArray[np.bool_],
    population: int,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """[F, 3] sum of w, sum of w^2, number of w > 0 over usable texts; [F, 10] sums of `_add`.

    v = w - mean w and c = 2 w (S1 - w) less its mean, over the `population` of texts, most of them with w = 0.
    """
    offsets, texts, weights = entries
    plain = np.zeros((offsets.size - 1, 3))
    central = np.zeros((offsets.size - 1, 10))
    for f in range(offsets.size - 1):
        for i in range(offsets[f], offsets[f + 1]):
            if usable[texts[i]] and weights[i] > 0.0:
                w = np.float64(weights[i])
                plain[f, 0] += w
                plain[f, 1] += w * w
                plain[f, 2] += 1.0
        s1, s2, count = plain[f]
        if population == 0:
            continue
        mean, mean_c = s1 / population, 2.0 * (s1 * s1 - s2) / population
        for i in range(offsets[f], offsets[f + 1]):
            if usable[texts[i]] and weights[i] > 0.0:
                w = np.float64(weights[i])
                _add(central[f], 1.0, 2.0 * w * (s1 - w) - mean_c, w - mean)
        _add(central[f], max(population - count, 0.0), -mean_c, -mean)
    return plain, central
