"""Find the terms of several atoms that enough top texts of a feature hold.

A run of atoms is common only where the runs that it begins and ends with are. So lengths 1, 2, 3, ... are
counted in turn, each only at the places that are left.
"""

# Compiled functions take plain arrays, one a column: numba knows no dataclasses.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEAD, BEGIN = -1, 0
"""States of `phrase_rules`: no term goes on, not yet begun."""
PLACE, OWNER, STATE, RUN = range(4)
"""Rows of `left`, a column for each place where a common run begins: where, the rank of its text, the state of the
run, its number."""
AT, LENGTH, TEXTS, GROUPS, LAST, LAST_GROUP, HEAD, TAIL, SLOT, FORM, COVERED = range(11)
"""Columns of `runs`, a row for each distinct run: where it stands first, its atoms, texts that hold it and groups of
copies among them, the last such text and group, the numbers of the runs without its last and without its first atom,
its slot, whether it is a term, whether a longer token stands for it."""
TOKEN = 2
"""Form of a run that is a term, but no phrase."""


@njit(cache=True, nogil=True)
def hashed(value: np.uint64, atom: int) -> np.uint64:
    """Hash of a run with one atom more."""
    value = (value ^ np.uint64(atom)) * np.uint64(0x9E3779B97F4A7C15)
    return value ^ (value >> np.uint64(29))


@njit(cache=True, nogil=True)
def same_run(atoms: NDArray[np.int32], a: int, b: int, length: int) -> bool:
    """Whether the same atoms stand at two places; a blank before the first one does not count."""
    if atoms[a] >> 1 != atoms[b] >> 1:
        return False
    for i in range(1, length):  # noqa: SIM110 - numba compiles no generator expressions
        if atoms[a + i] != atoms[b + i]:
            return False
    return True


@njit(cache=True, nogil=True)
def common_phrases(
    top_offsets: NDArray[np.int64],
    top_texts: NDArray[np.int32],
    top_groups: NDArray[np.int32],
    features: tuple[int, int],
    atom_offsets: NDArray[np.int64],
    atoms: NDArray[np.int32],
    kinds: NDArray[np.int32],
    steps: NDArray[np.int16],
    forms: NDArray[np.int8],
    least_texts: NDArray[np.int64],
    longest: int,
    most: int,
    out: NDArray[np.int64],
) -> int:
    """Find the terms that enough top texts hold, feature by feature.

    A term whose top texts all hold it inside the same longer token is given as that token alone.

    Args:
        top_offsets: [F + 1], the top texts of the features within `top_texts`.
        top_texts: rows of texts, copies side by side.
        top_groups: number of the group of copies within the feature, ascending.
        features: first and last + 1.
        atom_offsets: [n + 1], the atoms of the texts within `atoms`.
        atoms: see `TermTable`.
        kinds: kind of each term and mark, see `phrase_rules`.
        steps: [states, 2 kinds], the automaton.
        forms: [states], whether the run is a term: 0 none, 1 a phrase, 2 a token.
        least_texts: [F], texts that must hold a term.
        longest: atoms of a term at most.
        most: terms of a feature that are kept: those in most texts, among equals the shorter ones, then the
            first ones in the first texts.
        out: [5, most times features] out, a column a find: feature, where it stands first, its atoms, top
            texts that hold it, groups of them.

    Returns:
        Number of finds.
    """
    widest = _widest(top_offsets, top_texts, features, atom_offsets)
    table_size = 4
    while table_size < 2 * widest + 2:
        table_size *= 2
    left = np.empty((4, widest), dtype=np.int64)
    hashes = np.empty(widest, dtype=np.uint64)
    runs = np.empty((longest * widest, 11), dtype=np.int64)
    slots = np.full(table_size, -1, dtype=np.int32)
    of_symbol = np.full(kinds.size, -1, dtype=np.int32)
    finds = 0
    for feature in range(features[0], features[1]):
        texts = top_texts[top_offsets[feature] : top_offsets[feature + 1]]
        groups = top_groups[top_offsets[feature] : top_offsets[feature + 1]]
        least = least_texts[feature]
        if least > texts.size:
            continue
        places, used = _single(texts, groups, atom_offsets, atoms, kinds, steps, forms, of_symbol, left, hashes, runs)
        places = _drop_rare(left, hashes, runs, places, least)
        for length in range(2, longest + 1):
            if places < 2:
                break
            first = used
            places, used = _lengthen(
                atoms, kinds, steps, forms, length, places, used, groups, left, hashes, runs, slots
            )
            for run in range(first, used):
                slots[runs[run, SLOT]] = -1
            places = _drop_rare(left, hashes, runs, places, least)
        finds = _emit(feature, used, least, most, finds, runs, out)
    return finds


@njit(cache=True, nogil=True)
def _widest(
    top_offsets: NDArray[np.int64],
    top_texts: NDArray[np.int32],
    features: tuple[int, int],
    atom_offsets: NDArray[np.int64],
) -> int:
    """Atoms in the top texts of a feature at most, 1 at least."""
    widest = 1
    for feature in range(features[0], features[1]):
        total = 0
        for entry in range(top_offsets[feature], top_offsets[feature + 1]):
            total += atom_offsets[top_texts[entry] + 1] - atom_offsets[top_texts[entry]]
        widest = max(widest, total)
    return widest


@njit(cache=True, nogil=True)
def _enter(runs: NDArray[np.int64], run: int, place: int, length: int) -> None:
    """Enter a run that no text holds yet."""
    runs[run, AT], runs[run, LENGTH] = place, length
    runs[run, TEXTS], runs[run, GROUPS], runs[run, LAST], runs[run, LAST_GROUP] = 0, 0, -1, -1
    runs[run, COVERED] = 0


@njit(cache=True, nogil=True)
def _count(runs: NDArray[np.int64], run: int, owner: int, group: int) -> None:
    """Count a text that holds the run, once, and its group, once."""
    if runs[run, LAST] != owner:
        runs[run, LAST] = owner
        runs[run, TEXTS] += 1
    if runs[run, LAST_GROUP] != group:
        runs[run, LAST_GROUP] = group
        runs[run, GROUPS] += 1


@njit(cache=True, nogil=True)
def _single(
    texts: NDArray[np.int32],
    groups: NDArray[np.int32],
    atom_offsets: NDArray[np.int64],
    atoms: NDArray[np.int32],
    kinds: NDArray[np.int32],
    steps: NDArray[np.int16],
    forms: NDArray[np.int8],
    of_symbol: NDArray[np.int32],
    left: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    runs: NDArray[np.int64],
) -> tuple[int, int]:
    """Enter every atom of the texts as a run of one; return the number of places and of runs."""
    places = used = 0
    for owner in range(texts.size):
        for place in range(atom_offsets[texts[owner]], atom_offsets[texts[owner] + 1]):
            if atoms[place] < 0:
                continue
            symbol = atoms[place] >> 1
            run = of_symbol[symbol]
            state = steps[BEGIN, 2 * kinds[symbol]]
            if run < 0:
                run = of_symbol[symbol] = used
                used += 1
                _enter(runs, run, place, 1)
                runs[run, HEAD], runs[run, TAIL] = -1, -1
                runs[run, FORM] = 0 if state == DEAD else forms[state]
            _count(runs, run, owner, groups[owner])
            left[PLACE, places], left[OWNER, places], left[STATE, places], left[RUN, places] = place, owner, state, run
            hashes[places] = hashed(np.uint64(0), symbol)
            places += 1
    for run in range(used):
        of_symbol[atoms[runs[run, AT]] >> 1] = -1
    return places, used


@njit(cache=True, nogil=True)
def _drop_rare(
    left: NDArray[np.int64], hashes: NDArray[np.uint64], runs: NDArray[np.int64], places: int, least: int
) -> int:
    """Keep the places whose run stands in enough texts; return how many."""
    alive = 0
    for i in range(places):
        if runs[left[RUN, i], TEXTS] >= least:
            for row in range(left.shape[0]):  # no slices: what their error would say takes seconds to compile
                left[row, alive] = left[row, i]
            hashes[alive] = hashes[i]
            alive += 1
    return alive


@njit(cache=True, nogil=True)
def _lengthen(
    atoms: NDArray[np.int32],
    kinds: NDArray[np.int32],
    steps: NDArray[np.int16],
    forms: NDArray[np.int8],
    length: int,
    places: int,
    used: int,
    groups: NDArray[np.int32],
    left: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    runs: NDArray[np.int64],
    slots: NDArray[np.int32],
) -> tuple[int, int]:
    """Lengthen every run by an atom where the run that begins one atom later is left too.

    Returns:
        Number of places and of runs. The list of places shrinks in place: of place i nothing is read
        after it was written over, since at most i places are written before it.
    """
    mask = np.uint64(slots.size - 1)
    written = 0
    for i in range(places - 1):
        place, owner = left[PLACE, i], left[OWNER, i]
        if left[PLACE, i + 1] != place + 1 or left[OWNER, i + 1] != owner or left[STATE, i] == DEAD:
            continue
        atom = atoms[place + length - 1]
        state = steps[left[STATE, i], 2 * kinds[atom >> 1] + (atom & 1)]
        if state == DEAD:
            continue
        value = hashed(hashes[i], atom)
        slot = np.int64(value & mask)
        while slots[slot] >= 0 and not same_run(atoms, runs[slots[slot], AT], place, length):
            slot = np.int64(np.uint64(slot + 1) & mask)
        run = slots[slot]
        if run < 0:
            run = slots[slot] = used
            used += 1
            _enter(runs, run, place, length)
            runs[run, HEAD], runs[run, TAIL], runs[run, SLOT] = left[RUN, i], left[RUN, i + 1], slot
            runs[run, FORM] = forms[state]
        _count(runs, run, owner, groups[owner])
        left[PLACE, written], left[OWNER, written], left[STATE, written], left[RUN, written] = place, owner, state, run
        hashes[written] = value
        written += 1
    return written, used


@njit(cache=True, nogil=True)
def _emit(
    feature: int, used: int, least: int, most: int, finds: int, runs: NDArray[np.int64], out: NDArray[np.int64]
) -> int:
    """Write the terms of one feature that no longer token stands for; return the number of finds so far."""
    given = np.empty(used, dtype=np.int64)
    number, most_texts = 0, 0
    for run in range(used - 1, -1, -1):  # longer runs have higher numbers: what stands for a run was seen before it
        if runs[run, TEXTS] < least:
            continue
        if runs[run, FORM] == TOKEN or runs[run, COVERED]:
            for shorter in (runs[run, HEAD], runs[run, TAIL]):
                if shorter >= 0 and runs[shorter, TEXTS] == runs[run, TEXTS]:
                    runs[shorter, COVERED] = 1
        if runs[run, FORM] and not runs[run, COVERED]:
            given[number] = run
            number += 1
            most_texts = max(most_texts, runs[run, TEXTS])
    last = finds + most
    for texts in range(most_texts, least - 1, -1):
        for i in range(number - 1, -1, -1):
            run = given[i]
            if finds < last and runs[run, TEXTS] == texts:
                out[0, finds], out[1, finds], out[2, finds] = feature, runs[run, AT], runs[run, LENGTH]
                out[3, finds], out[4, finds] = texts, runs[run, GROUPS]
                finds += 1
    return finds
