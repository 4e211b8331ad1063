"""Keep one form of what several terms say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _holds(longer: NDArray[np.int32], shorter: NDArray[np.int32]) -> bool:
    """Whether the symbols of one term stand in a row in another; -1 ends a term."""
    for start in range(longer.size):
        same = True
        for i in range(shorter.size):
            if shorter[i] < 0:
                break
            if start + i >= longer.size or longer[start + i] != shorter[i]:
                same = False
                break
        if same:
            return True
    return False


@njit(cache=True, nogil=True)
def _says_the_same(a: NDArray[np.int32], b: NDArray[np.int32], content: NDArray[np.bool_]) -> bool:
    """Whether two terms share a content word, or one holds the other."""
    for symbol in a:
        if symbol >= 0 and content[symbol]:
            for other in b:
                if other == symbol:
                    return True
    return bool(_holds(a, b) or _holds(b, a))


@njit(cache=True, nogil=True)
def choose_terms(
    feature: NDArray[np.int64], members: NDArray[np.int32], content: NDArray[np.bool_], limit: int
) -> NDArray[np.bool_]:
    """Go through the terms of each feature, best first, and leave out what a better one says already.

    Args:
        feature: [finds] ascending; the terms of a feature best first.
        members: [finds, most atoms] symbols of each term, -1 after its end.
        content: [terms and marks] words that no other term of the feature may hold too.
        limit: terms of a feature at most.

    Returns:
        [finds] whether the term is kept.
    """
    kept = np.zeros(feature.size, dtype=np.bool_)
    mine = np.empty(limit, dtype=np.int64)
    held = 0
    for i in range(feature.size):
        if i == 0 or feature[i] != feature[i - 1]:
            held = 0
        if held == limit:
            continue
        new = True
        for j in range(held):
            if _says_the_same(members[mine[j]], members[i], content):
                new = False
                break
        if new:
            mine[held] = i
            held += 1
            kept[i] = True
    return kept
