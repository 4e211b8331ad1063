"""Distinct terms of top texts."""

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
