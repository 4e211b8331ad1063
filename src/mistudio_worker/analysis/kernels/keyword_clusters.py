"""Compiled search for the place in a text where a feature's keywords stand closest together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

LETTER, UNSPACED = 1, 2
"""Bits of a character's class: part of a word; of a script that writes no blanks between words."""


@njit(cache=True, nogil=True)
def find_clusters(
    lines: tuple[NDArray[np.uint32], NDArray[np.int64]],
    classes: NDArray[np.uint8],
    searches: tuple[NDArray[np.int64], NDArray[np.int64]],
    keywords: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]],
    limits: tuple[int, int, int],
) -> NDArray[np.int64]:
    """Find the best run of occurrences that fits into a window, for each pair of a line and a feature.

    Args:
        lines: code points, case-folded, line after line; [lines + 1] where each begins.
        classes: code point -> bits.
        searches: line and feature of each search.
        keywords: [F + 1] first keyword of each feature, [K + 1] first code point of each keyword, code points.
        limits: keywords of a feature at most, occurrences of each, characters of a window.

    Returns:
        [searches, 2] start and end within the line; 0, 0 without an occurrence.
    """
    codes, line_offsets = lines
    first_keyword, first_code, pool = keywords
    most_keywords, occurrences_each, window = limits
    found = np.empty((most_keywords * occurrences_each, 3), dtype=np.int64)
    out = np.zeros((searches[0].size, 2), dtype=np.int64)
    for search in range(searches[0].size):
        line, feature = searches[0][search], searches[1][search]
        start, end = line_offsets[line], line_offsets[line + 1]
        held = 0
        last = min(first_keyword[feature + 1], first_keyword[feature] + most_keywords)
        for keyword in range(first_keyword[feature], last):
            own = (pool, first_code[keyword], first_code[keyword + 1])
            number = keyword - first_keyword[feature]
            held = _occurrences((codes, start, end, classes), own, number, (held, held + occurrences_each), found)
        out[search, 0], out[search, 1] = _densest(found, held, window)
    return out


@njit(cache=True, nogil=True)
def _occurrences(
    line: tuple[NDArray[np.uint32], int, int, NDArray[np.uint8]],
    keyword: tuple[NDArray[np.uint32], int, int],
    number: int,
    places: tuple[int, int],
    found: NDArray[np.int64],
) -> int:
    """Insert start, end and number of the first whole words, from the left without overlap, in order of start and end.

    `places`: occurrences in `found`, and how many it may hold. Returns how many it holds then.
    """
    codes, start, end, _ = line
    pool, first, last = keyword
    held, most = places
    length = last - first
    at = start
    while length > 0 and at + length <= end and held < most:
        if codes[at] != pool[first] or not _same(codes, at, pool, first, length):
            at += 1
            continue
        if _may_end(line, at) and _may_end(line, at + length):
            place = held
            while place > 0 and _after(found, place - 1, at - start, at + length - start):
                for column in range(3):
                    found[place, column] = found[place - 1, column]
                place -= 1
            found[place, 0], found[place, 1], found[place, 2] = at - start, at + length - start, number
            held += 1
        at += length
    return held


@njit(cache=True, nogil=True)
def _same(codes: NDArray[np.uint32], at: int, pool: NDArray[np.uint32], first: int, length: int) -> bool:
    for i in range(1, length):  # noqa: SIM110 - numba compiles no generator expressions
        if codes[at + i] != pool[first + i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _after(found: NDArray[np.int64], place: int, start: int, end: int) -> bool:
    return bool(found[place, 0] > start or (found[place, 0] == start and found[place, 1] > end))


@njit(cache=True, nogil=True)
def _may_end(line: tuple[NDArray[np.uint32], int, int, NDArray[np.uint8]], at: int) -> bool:
    """Whether no word goes on at a place; within a script without blanks every place is an end."""
    codes, start, end, classes = line
    if at in (start, end):
        return True
    before, after = classes[codes[at - 1]], classes[codes[at]]
    return bool(not (before & after & LETTER) or (before | after) & UNSPACED)


@njit(cache=True, nogil=True)
def _densest(found: NDArray[np.int64], held: int, window: int) -> tuple[int, int]:
    """Start and end of the run with most distinct keywords, then most occurrences, then the earliest."""
    best, best_start, best_end = -1, 0, 0
    first, distinct = 0, 0
    inside = np.zeros(found.shape[0], dtype=np.int64)
    for last in range(held):
        distinct += inside[found[last, 2]] == 0
        inside[found[last, 2]] += 1
        while found[last, 1] - found[first, 0] > window and first < last:
            inside[found[first, 2]] -= 1
            distinct -= inside[found[first, 2]] == 0
            first += 1
        score = distinct * (found.shape[0] + 1) + last - first + 1
        if score > best:
            best, best_start, best_end = score, found[first, 0], found[last, 1]
    return best_start, best_end
