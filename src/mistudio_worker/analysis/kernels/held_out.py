"""Compiled parts of the checks on held-out texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def halves(
    top: tuple[NDArray[np.int64], NDArray[np.int32]], group: NDArray[np.int64], usable: NDArray[np.bool_], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Odd-ranked and even-ranked top texts [F, width] (-1: fewer), ranked without repeats and unusable texts.

    A text repeats where a better-ranked one is of its group.
    """
    offsets, texts = top
    odd = np.full((offsets.size - 1, width), -1, dtype=np.int64)
    even = np.full((offsets.size - 1, width), -1, dtype=np.int64)
    seen = np.full(group.size, -1, dtype=np.int64)
    for f in range(offsets.size - 1):
        held = 0
        for text in texts[offsets[f] : offsets[f + 1]]:
            if usable[text] and seen[group[text]] != f:
                seen[group[text]] = f
                half = even if held % 2 else odd
                half[f, held // 2] = text
                held += 1
    return odd, even


@njit(cache=True, nogil=True)
def fires_on(
    positives: tuple[NDArray[np.int64], NDArray[np.int32]], pool: NDArray[np.int64], rows: int
) -> NDArray[np.bool_]:
    """[F, s] whether each feature fires on each text of a pool; `rows` is the number of all texts."""
    offsets, texts = positives
    places = np.full(rows, -1, dtype=np.int64)
    for place in range(pool.size):
        places[pool[place]] = place
    fires = np.zeros((offsets.size - 1, pool.size), dtype=np.bool_)
    for f in range(offsets.size - 1):
        for text in texts[offsets[f] : offsets[f + 1]]:
            if places[text] >= 0:
                fires[f, places[text]] = True
    return fires


@njit(cache=True, nogil=True)
def aurocs(
    own: NDArray[np.float64],
    counts: NDArray[np.int64],
    others: NDArray[np.float64],
    fires: NDArray[np.bool_],
    tie: float,
) -> NDArray[np.float64]:
    """[f] share of the pairs of an own figure and a silent text's in which the own one is higher; ties count half.

    Args:
        own: [f, w] of which the first `counts` [f] stand.
        counts: number of own figures; NaN comes back for 0.
        others: [f, s] of a pool of texts.
        fires: [f, s] texts of the pool that are not silent; NaN comes back where none is.
        tie: figures that differ by no more are equal.
    """
    out = np.full(counts.size, np.nan)
    for f in range(counts.size):
        wins, pairs = 0.0, 0
        for s in range(others.shape[1]):
            if fires[f, s]:
                continue
            for w in range(counts[f]):
                difference = own[f, w] - others[f, s]
                wins += 0.5 if abs(difference) <= tie else (1.0 if difference > 0.0 else 0.0)
            pairs += counts[f]
        if pairs:
            out[f] = wins / pairs
    return out
