"""Set arithmetic on the terms of top texts."""

# Compiled functions take plain arrays, one a column: numba knows no dataclasses.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def distinct_terms(
    top_offsets: NDArray[np.int64],
    top_texts: NDArray[np.int32],
    term_offsets: NDArray[np.int64],
    term_ids: NDArray[np.int32],
    terms: int,
) -> NDArray[np.int64]:
    """[F] number of distinct terms in the top texts of each feature."""
    stamps = np.full(terms, -1, dtype=np.int64)
    counts = np.zeros(top_offsets.size - 1, dtype=np.int64)
    for feature in range(counts.size):
        for entry in range(top_offsets[feature], top_offsets[feature + 1]):
            text = top_texts[entry]
            for i in range(term_offsets[text], term_offsets[text + 1]):
                if stamps[term_ids[i]] != feature:
                    stamps[term_ids[i]] = feature
                    counts[feature] += 1
    return counts


@njit(cache=True, nogil=True)
def _common(ids: NDArray[np.int32], a: int, a_end: int, b: int, b_end: int, least: int) -> bool:
    """Whether two ascending runs share at least `least` ids; stops once that is out of reach."""
    found = 0
    while found < least and a < a_end and b < b_end and found + min(a_end - a, b_end - b) >= least:
        if ids[a] == ids[b]:
            found += 1
            a += 1
            b += 1
        elif ids[a] < ids[b]:
            a += 1
        else:
            b += 1
    return found >= least


@njit(cache=True, nogil=True)
def _alike(offsets: NDArray[np.int64], ids: NDArray[np.int32], first: int, second: int, fifths: int) -> bool:
    """Whether |A and B| / |A or B| >= fifths / 5, in whole numbers; two texts without terms are alike."""
    a, a_end, b, b_end = offsets[first], offsets[first + 1], offsets[second], offsets[second + 1]
    both = (a_end - a) + (b_end - b)
    least = -(-(fifths * both) // (5 + fifths))  # c / (both - c) >= fifths / 5
    if least > min(a_end - a, b_end - b):
        return False
    return bool(_common(ids, a, a_end, b, b_end, least))


@njit(cache=True, nogil=True)
def near_duplicates(
    top_offsets: NDArray[np.int64],
    top_texts: NDArray[np.int32],
    term_offsets: NDArray[np.int64],
    term_ids: NDArray[np.int32],
    fifths: int,
) -> NDArray[np.int64]:
    """[F] number of top texts whose terms nearly equal those of a better-ranked one."""
    counts = np.zeros(top_offsets.size - 1, dtype=np.int64)
    for feature in range(counts.size):
        start = top_offsets[feature]
        for later in range(start + 1, top_offsets[feature + 1]):
            for earlier in range(start, later):
                if _alike(term_offsets, term_ids, top_texts[earlier], top_texts[later], fifths):
                    counts[feature] += 1
                    break
    return counts
