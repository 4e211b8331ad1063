"""Compiled passes over the weights of every feature's positives (CSC)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_SHARE = 4
"""No text has more than 1 / 4 of the draws: the most that always leaves a cut between a quarter and three."""


@njit(cache=True, nogil=True)
def weigh_once(
    positives: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    shape: tuple[NDArray[np.float64], NDArray[np.float64]],
    group: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Fill w = mean of (a - low) * scale over a group's texts, at its strongest text, 0 at its others.

    Of equally strong texts the first in entry order stands for the group. Returns [F] groups that fire.
    """
    offsets, texts, values = positives
    low, scale = shape
    distinct = np.zeros(offsets.size - 1, dtype=np.int64)
    sizes = np.bincount(group, minlength=group.size)
    strongest = np.full(group.size, -1, dtype=np.int64)
    total = np.zeros(group.size)
    for f in range(distinct.size):
        for i in range(offsets[f], offsets[f + 1]):
            own = group[texts[i]]
            weights[i] = 0.0
            if strongest[own] < offsets[f]:
                distinct[f] += 1
                total[own] = 0.0
                strongest[own] = i
            elif values[i] > values[strongest[own]]:
                strongest[own] = i
            total[own] += (np.float64(values[i]) - low[f]) * scale[f]
        for i in range(offsets[f], offsets[f + 1]):
            own = group[texts[i]]
            weights[strongest[own]] = total[own] / sizes[own]
    return distinct


@njit(cache=True, nogil=True)
def bounds(
    offsets: NDArray[np.int64], texts: NDArray[np.int32], features: tuple[int, int], rows: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last + 1 entry of features [first, last) on rows [start, stop)."""
    first, last = features
    begins, ends = np.empty(last - first, dtype=np.int64), np.empty(last - first, dtype=np.int64)
    for f in range(first, last):
        own = texts[offsets[f] : offsets[f + 1]]
        begins[f - first] = offsets[f] + np.searchsorted(own, rows[0])
        ends[f - first] = offsets[f] + np.searchsorted(own, rows[1])
    return begins, ends


@njit(cache=True, nogil=True)
def scatter(
    entries: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    features: tuple[int, int],
    rows: tuple[int, int],
    out: NDArray[np.float32],
) -> None:
    """Fill [f, r], which must be zero, with the weights of features [first, last) on rows [start, stop)."""
    offsets, texts, weights = entries
    first, last = features
    start, stop = rows
    for f in range(first, last):
        own = texts[offsets[f] : offsets[f + 1]]
        for i in range(np.searchsorted(own, start), np.searchsorted(own, stop)):
            out[f - first, own[i] - start] = weights[offsets[f] + i]


@njit(cache=True, nogil=True)
def _strongest_first(weights: NDArray[np.float32], texts: NDArray[np.int32], usable: NDArray[np.bool_]) -> Any:
    """Entries with a weight on a usable text, by falling weight, equal ones in entry order."""
    entries = np.empty(weights.size, dtype=np.int64)
    falling = np.empty(weights.size)
    held = 0
    for i in range(weights.size):
        if weights[i] > 0.0 and usable[texts[i]]:
            entries[held], falling[held] = i, -np.float64(weights[i])  # exact, and a sort that others have compiled
            held += 1
    return entries[np.argsort(falling[:held], kind="mergesort")]


@njit(cache=True, nogil=True)
def _most_weight(ordered: NDArray[np.float64]) -> float:
    """The weight c at which min(w, c) leaves no text more than a quarter of the sum; w falling, at least 4."""
    rest = ordered.sum()
    for above in range(LARGEST_SHARE - 1):
        most = rest / (LARGEST_SHARE - above)
        if ordered[above] <= most:
            return float(most)
        rest -= ordered[above]
    return float(ordered[LARGEST_SHARE - 1 :].sum())


@njit(cache=True, nogil=True)
def draw(
    entries: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    features: tuple[int, int],
    usable: NDArray[np.bool_],
    members: NDArray[np.int32],
    counts: NDArray[np.int32],
) -> None:
    """Draw evenly along the weight: fill [f, k] with texts, strongest first, and how often each is drawn.

    Draw j of k falls on the text at the share (j + 1/2) / k of the weights added up from the strongest. Places
    without a text are left as they are; a feature with fewer than 4 usable texts has none.
    """
    offsets, texts, weights = entries
    first, last = features
    draws = members.shape[1]
    for f in range(first, last):
        own = weights[offsets[f] : offsets[f + 1]]
        order = _strongest_first(own, texts[offsets[f] : offsets[f + 1]], usable)
        if order.size < LARGEST_SHARE:
            continue
        ordered = own[order].astype(np.float64)
        most = _most_weight(ordered)
        total = np.minimum(ordered, most).sum()
        place, reached, taken = -1, 0.0, -1
        for j in range(draws):
            while place < 0 or (reached < (2 * j + 1) * total / (2 * draws) and place + 1 < order.size):
                place += 1
                reached += min(ordered[place], most)
            if taken < 0 or members[f - first, taken] != texts[offsets[f] + order[place]]:
                taken += 1
                members[f - first, taken] = texts[offsets[f] + order[place]]
            counts[f - first, taken] += 1
