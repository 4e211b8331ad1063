"""Compiled search for texts whose sets of terms are nearly equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)


@njit(cache=True, nogil=True)
def set_hashes(offsets: NDArray[np.int64], ids: NDArray[np.int32]) -> NDArray[np.uint64]:
    """[n] a hash of each text's ascending ids (the mixing steps of SplitMix64, Steele et al. 2014)."""
    out = np.zeros(offsets.size - 1, dtype=np.uint64)
    for text in range(out.size):
        mixed = np.uint64(0)
        for i in range(offsets[text], offsets[text + 1]):
            mixed = (mixed ^ np.uint64(ids[i])) + _GOLDEN
            mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_A
            mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_B
            mixed ^= mixed >> np.uint64(31)
        out[text] = mixed
    return out


@njit(cache=True, nogil=True)
def _common(ids: NDArray[np.int32], first: tuple[int, int], second: tuple[int, int], least: int) -> bool:
    """Whether two ascending runs share at least `least` ids; stops once that is out of reach."""
    a, a_end = first
    b, b_end = second
    found = 0
    while found < least and found + min(a_end - a, b_end - b) >= least:
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
def _alike(table: tuple[NDArray[np.int64], NDArray[np.int32]], first: int, second: int, fifths: int) -> bool:
    """Whether |A and B| / |A or B| >= fifths / 5, in whole numbers, of two texts with terms."""
    offsets, ids = table
    both = offsets[first + 1] - offsets[first] + offsets[second + 1] - offsets[second]
    least = -(-(fifths * both) // (5 + fifths))  # c / (both - c) >= fifths / 5
    runs = (offsets[first], offsets[first + 1]), (offsets[second], offsets[second + 1])
    return bool(_common(ids, runs[0], runs[1], least))


@njit(cache=True, nogil=True)
def _rarest(ids: NDArray[np.int32], rarity: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """The places in `rarity` of the `count` rarest of some terms, rarest first."""
    places = np.empty(ids.size)
    for i in range(ids.size):
        places[i] = rarity[ids[i]]
    return rarity[ids[np.argsort(places, kind="mergesort")[:count]]]  # a sort of floats, which others have compiled


@njit(cache=True, nogil=True)
def leaders(
    order: NDArray[np.int64],
    table: tuple[NDArray[np.int64], NDArray[np.int32]],
    rarity: NDArray[np.int32],
    fifths: int,
    most: int,
) -> NDArray[np.int64]:
    """[n] the leader of each text: the first in `order` that is alike, itself where there is none.

    Sets of at least `fifths` / 5 similarity share one of their rarest terms, so that only leaders with such a
    term are compared (prefix filter: Bayardo, Ma, Srikant 2007; Xiao et al. 2008). Of the leaders that share a
    term the `most` latest in `order` are looked at, which bounds the cost where all texts are made of few terms.

    Args:
        order: texts with terms, from few terms to many.
        table: offsets and ids of their terms, ascending within a text.
        rarity: [V] place of a term, 0 for the rarest.
        fifths: similarity in fifths.
        most: candidates a term.
    """
    offsets, ids = table
    out = np.arange(offsets.size - 1)
    seen = np.full(order.size, -1, dtype=np.int64)
    latest = np.full(rarity.size, -1, dtype=np.int64)
    owner = np.empty(ids.size, dtype=np.int64)
    before = np.empty(ids.size, dtype=np.int64)
    held = 0
    for place in range(order.size):
        text = order[place]
        own = ids[offsets[text] : offsets[text + 1]]
        # |A and B| >= fifths / 5 |A| for the longer, 2 fifths / (5 + fifths) |B| for the shorter
        probed = own.size - (fifths * own.size + 4) // 5 + 1
        best = order.size
        rarest = _rarest(own, rarity, probed)
        for term in rarest:
            entry = latest[term]
            for _ in range(most):
                if entry < 0:
                    break
                other = owner[entry]
                size = offsets[order[other] + 1] - offsets[order[other]]
                if 5 * size < fifths * own.size:
                    break
                if other < best and seen[other] != place and _alike(table, order[other], text, fifths):
                    best = other
                seen[other] = place
                entry = before[entry]
        if best < order.size:
            out[text] = order[best]
            continue
        kept = own.size - (2 * fifths * own.size + 4 + fifths) // (5 + fifths) + 1
        for term in rarest[:kept]:
            owner[held] = place
            before[held] = latest[term]
            latest[term] = held
            held += 1
    return out


@njit(cache=True, nogil=True)
def repeats(
    top_offsets: NDArray[np.int64], top_texts: NDArray[np.int32], group: NDArray[np.int64]
) -> NDArray[np.int64]:
    """[F] number of top texts of each feature whose group has a better-ranked one."""
    counts = np.zeros(top_offsets.size - 1, dtype=np.int64)
    stamps = np.full(group.size, -1, dtype=np.int64)
    for feature in range(counts.size):
        for entry in range(top_offsets[feature], top_offsets[feature + 1]):
            own = group[top_texts[entry]]
            if stamps[own] == feature:
                counts[feature] += 1
            stamps[own] = feature
    return counts
