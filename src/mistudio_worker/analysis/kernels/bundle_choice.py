"""Compiled choice of the texts that an explainer is shown and tested on; a near-duplicate group is used once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def choose_active(
    chosen: NDArray[np.int64],
    positives: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    group: NDArray[np.int64],
    stratum: int,
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]:
    """Pick texts of each chosen feature by rank, strongest first, equal ones by the lower text.

    A positive that nearly repeats a stronger one is left out. Of the others the first `stratum` are taken, then
    of the rest those in the middle of `stratum` equal spans of ranks, or all where there are fewer.

    Returns:
        [P, 2 stratum] texts, the strongest in the first half, -1 where there are fewer; [P, 2 stratum, 2] their
        activation and the share of the positives at or below it; [P] positives left out.
    """
    offsets, texts, values = positives
    picked = np.full((chosen.size, 2 * stratum), -1, dtype=np.int64)
    figures = np.zeros((chosen.size, 2 * stratum, 2))
    left_out = np.zeros(chosen.size, dtype=np.int64)
    stamps = np.full(group.size, -1, dtype=np.int64)
    for row in range(chosen.size):
        own_texts = texts[offsets[chosen[row]] : offsets[chosen[row] + 1]]
        own_values = values[offsets[chosen[row]] : offsets[chosen[row] + 1]]
        distinct, at_or_below = _distinct(own_texts, own_values, group, (stamps, row))
        left_out[row] = own_texts.size - distinct.size
        rest = distinct.size - stratum
        for slot in range(min(2 * stratum, distinct.size)):
            rank = slot
            if slot >= stratum and rest > stratum:
                rank = stratum + (2 * (slot - stratum) + 1) * rest // (2 * stratum)
            picked[row, slot] = own_texts[distinct[rank]]
            figures[row, slot, 0] = own_values[distinct[rank]]
            figures[row, slot, 1] = at_or_below[rank] / own_texts.size
    return picked, figures, left_out


@njit(cache=True, nogil=True)
def _distinct(
    texts: NDArray[np.int32],
    values: NDArray[np.float32],
    group: NDArray[np.int64],
    mark: tuple[NDArray[np.int64], int],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the strongest positive of each group, strongest first, and the positives at or below each."""
    stamps, row = mark
    order = np.argsort(-values.astype(np.float64), kind="mergesort")  # exact, and a sort that others have compiled
    places = np.empty(order.size, dtype=np.int64)
    at_or_below = np.empty(order.size, dtype=np.int64)
    held, greater = 0, 0
    for rank in range(order.size):
        if rank > 0 and values[order[rank]] < values[order[rank - 1]]:
            greater = rank
        own = group[texts[order[rank]]]
        if stamps[own] == row:
            continue
        stamps[own] = row
        places[held] = order[rank]
        at_or_below[held] = order.size - greater
        held += 1
    return places[:held], at_or_below[:held]


@njit(cache=True, nogil=True)
def choose_silent(
    chosen: NDArray[np.int64],
    columns: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]],
    pool: tuple[NDArray[np.int64], NDArray[Any]],
    others: tuple[NDArray[np.int64], NDArray[np.int64]],
    sizes: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pick texts that do not fire, nor nearly repeat one that does, for each chosen feature.

    Args:
        chosen: [P] features.
        columns: offsets and texts of the positives of all features, [n] near-duplicate group of each text.
        pool: [m] texts, ascending, and [P, m] how like the top texts each is; only what is over 0 is alike.
        others: [n] all texts in the order in which they are tried, and [P] the place of the first one to try.
        sizes: most alike texts to pick; texts to pick in all, less a third of those.

    Returns:
        [P, sizes[0]] the most alike, best first, equal ones by the lower text; [P, sizes[1]] others, in the order
        tried, fewer by the middle of each three alike ones, which are tested on too. -1 where there are fewer.
    """
    offsets, texts, group = columns
    alike = np.full((chosen.size, sizes[0]), -1, dtype=np.int64)
    ordinary = np.full((chosen.size, sizes[1]), -1, dtype=np.int64)
    stamps = np.full(group.size, -1, dtype=np.int64)
    for row in range(chosen.size):
        for i in range(offsets[chosen[row]], offsets[chosen[row] + 1]):
            stamps[group[texts[i]]] = row
        held = _most_alike(pool[0], pool[1][row], group, (stamps, row), alike[row])
        for text in alike[row, :held]:
            stamps[group[text]] = row
        room = sizes[1] - (held + 1) // 3
        taken = 0
        for step in range(group.size):
            if taken == room:
                break
            text = others[0][(others[1][row] + step) % group.size]
            if stamps[group[text]] != row:
                stamps[group[text]] = row
                ordinary[row, taken] = text
                taken += 1
    return alike, ordinary


@njit(cache=True, nogil=True)
def _most_alike(
    texts: NDArray[np.int64],
    likeness: NDArray[Any],
    group: NDArray[np.int64],
    mark: tuple[NDArray[np.int64], int],
    best: NDArray[np.int64],
) -> int:
    """Fill `best` with the most alike texts of different unmarked groups, most alike first; return how many."""
    stamps, row = mark
    scores = np.zeros(best.size, dtype=likeness.dtype)
    held = 0
    for i in range(texts.size):
        if likeness[i] <= 0 or stamps[group[texts[i]]] == row or (held == best.size and likeness[i] <= scores[-1]):
            continue
        place = held
        for other in range(held):
            if group[best[other]] == group[texts[i]]:
                place = other
        if place < held and likeness[i] <= scores[place]:
            continue
        held = max(held, min(place + 1, best.size))
        place = min(place, best.size - 1)
        while place > 0 and scores[place - 1] < likeness[i]:
            scores[place], best[place] = scores[place - 1], best[place - 1]
            place -= 1
        scores[place], best[place] = likeness[i], texts[i]
    return held
