"""Compiled TF-IDF rows of the texts, their sums and their cosines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def tfidf_rows(
    offsets: NDArray[np.int64], ids: NDArray[np.int32], document_frequency: NDArray[np.int32], kept: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Unit rows (CSR) of ln(n / df) over terms with 2 <= df <= n / 2, the `kept` rarest of a text.

    Equally rare terms are taken in the order of their ids; ids stay ascending within a text.
    """
    rows = offsets.size - 1
    out_offsets = np.zeros(rows + 1, dtype=np.int64)
    usable = np.zeros(document_frequency.size, dtype=np.bool_)
    for t in range(document_frequency.size):
        usable[t] = document_frequency[t] >= 2 and 2 * document_frequency[t] <= rows
    for r in range(rows):
        held = 0
        for i in range(offsets[r], offsets[r + 1]):
            held += usable[ids[i]]
        out_offsets[r + 1] = out_offsets[r] + min(held, kept)
    out_ids = np.empty(out_offsets[rows], dtype=np.int32)
    out_values = np.empty(out_offsets[rows])
    for r in range(rows):
        own = ids[offsets[r] : offsets[r + 1]]
        own = own[usable[own]]
        if own.size > kept:
            rarity = document_frequency[own].astype(np.float64)  # exact, and a sort that others have compiled
            own = np.sort(own[np.argsort(rarity, kind="mergesort")[:kept]])
        square = 0.0
        for i in range(own.size):
            value = math.log(rows / document_frequency[own[i]])
            square += value * value
        for i in range(own.size):
            out_ids[out_offsets[r] + i] = own[i]
            out_values[out_offsets[r] + i] = math.log(rows / document_frequency[own[i]]) / math.sqrt(square)
    return out_offsets, out_ids, out_values


@njit(cache=True, nogil=True)
def weighted_norms(
    features: tuple[int, int],
    entries: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    rows: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]],
    terms: int,
) -> NDArray[np.float64]:
    """|sum_i w_i p_i|^2 of features [first, last), p the sparse unit rows."""
    offsets, texts, weights = entries
    row_offsets, row_ids, row_values = rows
    first, last = features
    out = np.zeros(last - first)
    total = np.zeros(terms)
    touched = np.empty(terms, dtype=np.int32)
    seen = np.zeros(terms, dtype=np.bool_)
    for f in range(first, last):
        held = 0
        for i in range(offsets[f], offsets[f + 1]):
            w = np.float64(weights[i])
            if w <= 0.0:
                continue
            for j in range(row_offsets[texts[i]], row_offsets[texts[i] + 1]):
                t = row_ids[j]
                if not seen[t]:
                    seen[t] = True
                    touched[held] = t
                    held += 1
                total[t] += w * row_values[j]
        for h in range(held):
            t = touched[h]
            out[f - first] += total[t] * total[t]
            total[t] = 0.0
            seen[t] = False
    return out


@njit(cache=True, nogil=True)
def row_total(
    rows: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]], chosen: NDArray[np.int64], terms: int
) -> NDArray[np.float64]:
    """[V] sum of the chosen sparse rows."""
    offsets, ids, values = rows
    total = np.zeros(terms)
    for text in chosen:
        for j in range(offsets[text], offsets[text + 1]):
            total[ids[j]] += values[j]
    return total


@njit(cache=True, nogil=True)
def to_vector(
    rows: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]],
    chosen: NDArray[np.int64],
    vector: NDArray[np.float64],
) -> NDArray[np.float64]:
    """[m] product of each chosen sparse row with a dense vector."""
    offsets, ids, values = rows
    out = np.zeros(chosen.size)
    for i in range(chosen.size):
        for j in range(offsets[chosen[i]], offsets[chosen[i] + 1]):
            out[i] += values[j] * vector[ids[j]]
    return out


@njit(cache=True, nogil=True)
def cosines(
    rows: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]],
    members: NDArray[np.int32],
    terms: int,
) -> NDArray[np.float64]:
    """[g, k, k] cosines of each group of sparse unit rows [g, k]; 0 with a text without terms, or no text (-1).

    A list of the texts seen so far is kept for each term, so that only terms that two texts share cost anything.
    """
    offsets, ids, values = rows
    out = np.zeros((members.shape[0], members.shape[1], members.shape[1]))
    longest = 0
    for text in range(offsets.size - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    latest = np.full(terms, -1, dtype=np.int64)
    before = np.empty(members.shape[1] * longest, dtype=np.int64)
    owner = np.empty(before.size, dtype=np.int64)
    held_values = np.empty(before.size)
    for g in range(members.shape[0]):
        held = 0
        for place in range(members.shape[1]):
            text = members[g, place]
            if text < 0:
                continue
            for j in range(offsets[text], offsets[text + 1]):
                entry = latest[ids[j]]
                while entry >= 0:
                    out[g, owner[entry], place] += held_values[entry] * values[j]
                    entry = before[entry]
                owner[held], held_values[held], before[held] = place, values[j], latest[ids[j]]
                latest[ids[j]] = held
                held += 1
                out[g, place, place] += values[j] * values[j]
        for place in range(members.shape[1]):
            text = members[g, place]
            for j in range(offsets[text], offsets[text + 1]) if text >= 0 else range(0):
                latest[ids[j]] = -1
            for other in range(place):
                out[g, place, other] = out[g, other, place]
    return out
