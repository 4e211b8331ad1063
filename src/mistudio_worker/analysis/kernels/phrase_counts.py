"""Number runs of atoms that are the same, and count the texts that hold each."""

# Compiled functions take plain arrays, one a column: numba knows no dataclasses.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from mistudio_worker.analysis.kernels.phrase_search import BEGIN, hashed, same_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLAWED = 1
"""State of `phrase_rules`: this run is no term and begins none."""


@njit(cache=True, nogil=True)
def number_runs(
    atoms: NDArray[np.int32],
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    slots: NDArray[np.int32],
    numbers: NDArray[np.int32],
    examples: NDArray[np.int32],
) -> int:
    """Give the same number to the same run of atoms, by first appearance.

    Args:
        atoms: see `TermTable`.
        places: where each run stands.
        lengths: its atoms.
        slots: out, hash table of numbers: all -1, a power of two, at least twice as many as runs.
        numbers: out, number of each run.
        examples: out, for each number a run that has it.

    Returns:
        How many numbers there are.
    """
    mask = np.uint64(slots.size - 1)
    used = 0
    for i in range(places.size):
        value = hashed(np.uint64(0), atoms[places[i]] >> 1)
        for at in range(places[i] + 1, places[i] + lengths[i]):
            value = hashed(value, atoms[at])
        slot = np.int64(value & mask)
        while slots[slot] >= 0:
            other = examples[slots[slot]]
            if lengths[other] == lengths[i] and same_run(atoms, places[other], places[i], lengths[i]):
                break
            slot = np.int64(np.uint64(slot + 1) & mask)
        if slots[slot] < 0:
            slots[slot] = used
            examples[used] = i
            used += 1
        numbers[i] = slots[slot]
    return used


@njit(cache=True, nogil=True)
def count_holders(
    texts: tuple[int, int],
    atom_offsets: NDArray[np.int64],
    atoms: NDArray[np.int32],
    kinds: NDArray[np.int32],
    steps: NDArray[np.int16],
    forms: NDArray[np.int8],
    longest: int,
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    slots: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Count the texts that hold each run.

    Args:
        texts: first and last + 1.
        atom_offsets: [n + 1], the atoms of the texts within `atoms`.
        atoms: see `TermTable`.
        kinds: kind of each term and mark, see `phrase_rules`.
        steps: [states, 2 kinds], the automaton.
        forms: [states], whether the run is a term: 0 none, 1 a phrase, 2 a token.
        longest: atoms of a term at most.
        places: [runs] where each numbered run stands; each is a term.
        lengths: [runs] its atoms.
        slots: the hash table that `number_runs` filled.

    Returns:
        [runs] texts of the span that hold it.
    """
    mask = np.uint64(slots.size - 1)
    counts = np.zeros(places.size, dtype=np.int32)
    stamps = np.full(places.size, -1, dtype=np.int32)
    for text in range(texts[0], texts[1]):
        end = atom_offsets[text + 1]
        for place in range(atom_offsets[text], end):
            state = BEGIN
            value = np.uint64(0)
            for at in range(place, min(end, place + longest)):
                if atoms[at] < 0:
                    break
                blank = atoms[at] & 1 if at > place else 0
                state = steps[state, 2 * kinds[atoms[at] >> 1] + blank]
                if state <= FLAWED:
                    break
                value = hashed(value, atoms[at] if at > place else atoms[at] >> 1)
                if forms[state] == 0:
                    continue
                slot = np.int64(value & mask)
                while slots[slot] >= 0:
                    run = slots[slot]
                    if lengths[run] == at - place + 1 and same_run(atoms, places[run], place, lengths[run]):
                        if stamps[run] != text:
                            stamps[run] = text
                            counts[run] += 1
                        break
                    slot = np.int64(np.uint64(slot + 1) & mask)
    return counts


@njit(cache=True, nogil=True)
def count_places(
    atom_offsets: NDArray[np.int64],
    atoms: NDArray[np.int32],
    kinds: NDArray[np.int32],
    steps: NDArray[np.int16],
    forms: NDArray[np.int8],
    longest: int,
) -> int:
    """Return the number of places where a term stands, terms of different length at one place counted each."""
    found = 0
    for text in range(atom_offsets.size - 1):
        end = atom_offsets[text + 1]
        for place in range(atom_offsets[text], end):
            state = BEGIN
            for at in range(place, min(end, place + longest)):
                if atoms[at] < 0:
                    break
                blank = atoms[at] & 1 if at > place else 0
                state = steps[state, 2 * kinds[atoms[at] >> 1] + blank]
                if state <= FLAWED:
                    break
                found += forms[state] > 0
    return found
