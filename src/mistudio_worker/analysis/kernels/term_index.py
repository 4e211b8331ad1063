"""Cut case-folded code points into terms and number them by first appearance."""

# Compiled functions take plain arrays, one a column: numba knows no dataclasses.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLANK, WORD, UNSPACED, JOINER, MARK = 0, 1, 2, 3, 4

BREAK = -(1 << 31)
"""Stands in a sequence for a token that is too long to be a term."""


@njit(cache=True, nogil=True)
def _hash(codes: NDArray[np.uint32], start: int, end: int) -> np.uint64:
    value = np.uint64(14695981039346656037)
    for i in range(start, end):
        value = (value ^ np.uint64(codes[i])) * np.uint64(1099511628211)
    return value ^ (value >> np.uint64(32))


@njit(cache=True, nogil=True)
def _same(a: NDArray[np.uint32], start: int, pool: NDArray[np.uint32], at: int, length: int) -> bool:
    for i in range(length):  # noqa: SIM110 - numba compiles no generator expressions
        if a[start + i] != pool[at + i]:
            return False
    return True


@njit(cache=True, nogil=True)
def _number(
    codes: NDArray[np.uint32],
    start: int,
    end: int,
    slots: NDArray[np.int32],
    pool: NDArray[np.uint32],
    bounds: NDArray[np.int64],
    used: NDArray[np.int64],
) -> int:
    """Number of the term `codes[start:end]`, a new one where it was never seen."""
    mask = np.uint64(slots.size - 1)
    length = end - start
    slot = np.int64(_hash(codes, start, end) & mask)
    while slots[slot] >= 0:
        term = slots[slot]
        at = bounds[term]
        if bounds[term + 1] - at == length and _same(codes, start, pool, at, length):
            return int(term)
        slot = np.int64(np.uint64(slot + 1) & mask)
    term = used[0]
    slots[slot] = term
    at = bounds[term]
    for i in range(length):
        pool[at + i] = codes[start + i]
    bounds[term + 1] = at + length
    used[0] = term + 1
    return int(term)


@njit(cache=True, nogil=True)
def fill_slots(slots: NDArray[np.int32], pool: NDArray[np.uint32], bounds: NDArray[np.int64], terms: int) -> None:
    """Enter all known terms into a fresh, larger hash table (all slots -1, size a power of two)."""
    mask = np.uint64(slots.size - 1)
    for term in range(terms):
        slot = np.int64(_hash(pool, bounds[term], bounds[term + 1]) & mask)
        while slots[slot] >= 0:
            slot = np.int64(np.uint64(slot + 1) & mask)
        slots[slot] = term


@njit(cache=True, nogil=True)
def _word_end(classes: NDArray[np.uint8], codes: NDArray[np.uint32], start: int, end: int) -> int:
    i = start + 1
    while i < end:
        kind = classes[codes[i]]
        if kind == WORD:
            i += 1
        elif kind == JOINER and i + 1 < end and classes[codes[i + 1]] == WORD:
            i += 2
        else:
            break
    return i


@njit(cache=True, nogil=True)
def _run_end(classes: NDArray[np.uint8], codes: NDArray[np.uint32], start: int, end: int) -> int:
    i = start + 1
    while i < end and classes[codes[i]] == UNSPACED:
        i += 1
    return i


@njit(cache=True, nogil=True)
def _put(atoms: NDArray[np.int32], at: int, end: int, value: int) -> int:
    """Write where there is room; return the next place."""
    if at < end:
        atoms[at] = value
        return at + 1
    return at


@njit(cache=True, nogil=True)
def index_texts(
    codes: NDArray[np.uint32],
    text_ends: NDArray[np.int64],
    first_text: int,
    classes: NDArray[np.uint8],
    longest: int,
    slots: NDArray[np.int32],
    pool: NDArray[np.uint32],
    bounds: NDArray[np.int64],
    used: NDArray[np.int64],
    stamps: NDArray[np.int64],
    ids: NDArray[np.int32],
    distinct: NDArray[np.int64],
    lengths: NDArray[np.int32],
    most_atoms: int,
    atoms: NDArray[np.int32],
    atom_counts: NDArray[np.int64],
) -> tuple[int, int]:
    """Index a block of texts; the caller made every array large enough.

    Args:
        codes: case-folded code points of the block, text after text.
        text_ends: end of each text in `codes`.
        first_text: number of the block's first text in the corpus.
        classes: code point -> BLANK, WORD, UNSPACED, JOINER or MARK.
        longest: tokens with more code points are counted in `lengths` but are no terms.
        slots: open-addressing hash table of term numbers, -1 where free; a power of two.
        pool: code points of all terms.
        bounds: term t is `pool[bounds[t]:bounds[t + 1]]`.
        used: [1], the number of terms.
        stamps: term -> last text that held it, -1 at first.
        ids: out, distinct terms of each text in order of appearance.
        distinct: out, how many of them each text has.
        lengths: out, tokens of each text.
        most_atoms: atoms of a text that are kept.
        atoms: out, the texts as they read: 2 term + b for a term, -1 - (2 code point + b) for a mark, b = 1
            after a blank and at the start; BREAK for an overlong token.
        atom_counts: out, how many of them each text has.

    Returns:
        Entries written to `ids`, entries written to `atoms`.
    """
    written = 0
    placed = 0
    start = 0
    for t in range(text_ends.size):
        end = text_ends[t]
        before = written
        first_atom = placed
        full = placed + most_atoms
        tokens = 0
        blank = 1
        i = start
        while i < end:
            kind = classes[codes[i]]
            if kind == WORD:
                stop = _word_end(classes, codes, i, end)
                width = stop - i
                last = i
            elif kind == UNSPACED:
                stop = _run_end(classes, codes, i, end)
                width = min(2, stop - i)
                last = stop - width
            else:
                if kind != BLANK:
                    placed = _put(atoms, placed, full, -1 - (2 * int(codes[i]) + blank))
                blank = int(kind == BLANK)
                i += 1
                continue
            for at in range(i, last + 1):
                tokens += 1
                if width > longest:
                    placed = _put(atoms, placed, full, BREAK)
                    continue
                term = _number(codes, at, at + width, slots, pool, bounds, used)
                if stamps[term] != first_text + t:
                    stamps[term] = first_text + t
                    ids[written] = term
                    written += 1
                placed = _put(atoms, placed, full, 2 * term + blank)
                blank = 0
            i = stop
            blank = 0
        distinct[t] = written - before
        lengths[t] = tokens
        atom_counts[t] = placed - first_atom
        start = end
    return written, placed
