"""Compiled passes of the matching: overlaps of sparse features, and the best partners of a tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Entries = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


@njit(cache=True, nogil=True)
def add_products(rows: NDArray[np.int64], a: Entries, b: Entries, out: NDArray[np.float64]) -> None:
    """Add sum_t a_t b_t to `out` [r, F of B] for some features of A, in float64, texts in the order of A's entries.

    Args:
        rows: [r] features of A.
        a: offsets [F of A + 1], texts and values, one run of entries a feature.
        b: offsets [texts + 1], features and values, one run of entries a text.
        out: zeros.
    """
    offsets, texts, values = a
    text_offsets, features, others = b
    for r in range(rows.size):
        for i in range(offsets[rows[r]], offsets[rows[r] + 1]):
            value = np.float64(values[i])
            for j in range(text_offsets[texts[i]], text_offsets[texts[i] + 1]):
                out[r, features[j]] += value * np.float64(others[j])


@njit(cache=True, nogil=True)
def add_minima(rows: NDArray[np.int64], a: Entries, b: Entries, out: NDArray[np.float64]) -> None:
    """Add sum_t min(a_t, b_t) to `out` [r, F of B]; arguments as for `add_products`."""
    offsets, texts, values = a
    text_offsets, features, others = b
    for r in range(rows.size):
        for i in range(offsets[rows[r]], offsets[rows[r] + 1]):
            for j in range(text_offsets[texts[i]], text_offsets[texts[i] + 1]):
                out[r, features[j]] += np.float64(min(values[i], others[j]))


@njit(cache=True, nogil=True)
def keep_best(
    tile: NDArray[np.float64],
    rows: NDArray[np.int64],
    comparable: NDArray[np.bool_],
    held: tuple[NDArray[np.int64], NDArray[np.float64]],
    best: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> None:
    """Fill the best features of B [r, k] for each row of a tile [r, F of B]; id -1 where there are fewer.

    Equal similarities keep the lower id. A feature of B that holds a better partner is passed over.

    Args:
        tile: similarities.
        rows: [r] features of A.
        comparable: [F of B] others are passed over.
        held: [F of B] the feature of A that each holds (-1: none) and how similar it is.
        best: ids, all -1, and values, to be filled.
    """
    (holders, held_values), (ids, values) = held, best
    kept = ids.shape[1]
    for r in range(tile.shape[0]):
        for c in range(tile.shape[1]):
            value = tile[r, c]
            if not comparable[c] or (ids[r, kept - 1] >= 0 and value <= values[r, kept - 1]):
                continue
            if holders[c] >= 0 and (held_values[c] > value or (held_values[c] == value and holders[c] <= rows[r])):
                continue
            place = kept - 1
            while place > 0 and (ids[r, place - 1] < 0 or values[r, place - 1] < value):
                ids[r, place] = ids[r, place - 1]
                values[r, place] = values[r, place - 1]
                place -= 1
            ids[r, place] = c
            values[r, place] = value
