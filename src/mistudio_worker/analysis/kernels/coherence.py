"""Compiled sums of coherence: weights of activation, and TF-IDF rows over them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def weight_sums(
    positives: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    low: NDArray[np.float64],
    scale: NDArray[np.float64],
    usable: NDArray[np.bool_],
) -> NDArray[Any]:
    """[F, 4] over usable texts: sums of w, w^2, w^4 and the number of w > 0, w = (a - low) * scale."""
    offsets, texts, values = positives
    features = offsets.size - 1
    out = np.zeros((features, 4))
    for f in range(features):
        for i in range(offsets[f], offsets[f + 1]):
            if usable[texts[i]]:
                w = (np.float64(values[i]) - low[f]) * scale[f]
                square = w * w
                out[f, 0] += w
                out[f, 1] += square
                out[f, 2] += square * square
                out[f, 3] += 1.0 if w > 0.0 else 0.0
    return out


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
    positives: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
    weights: tuple[NDArray[np.float64], NDArray[np.float64]],
    rows: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]],
    terms: int,
) -> NDArray[np.float64]:
    """|sum_i w_i p_i|^2 of features [first, last), p the sparse unit rows."""
    offsets, texts, values = positives
    low, scale = weights
    row_offsets, row_ids, row_values = rows
    first, last = features
    out = np.zeros(last - first)
    total = np.zeros(terms)
    touched = np.empty(terms, dtype=np.int32)
    seen = np.zeros(terms, dtype=np.bool_)
    for f in range(first, last):
        held = 0
        for i in range(offsets[f], offsets[f + 1]):
            w = (np.float64(values[i]) - low[f]) * scale[f]
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
def row_total_square(row_ids: NDArray[np.int32], row_values: NDArray[np.float64], terms: int) -> float:
    """|sum of all sparse rows|^2."""
    total = np.zeros(terms)
    for j in range(row_ids.size):
        total[row_ids[j]] += row_values[j]
    return float((total * total).sum())


@njit(cache=True, nogil=True)
def sparse_cosines(
    offsets: NDArray[np.int64], ids: NDArray[np.int32], values: NDArray[np.float64], sample: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cosine of every pair of the sampled sparse unit rows, ids ascending within a row."""
    out = np.zeros(sample.size * (sample.size - 1) // 2)
    pair = 0
    for x in range(sample.size):
        for y in range(x + 1, sample.size):
            i, j = offsets[sample[x]], offsets[sample[y]]
            while i < offsets[sample[x] + 1] and j < offsets[sample[y] + 1]:
                if ids[i] == ids[j]:
                    out[pair] += values[i] * values[j]
                    i += 1
                    j += 1
                elif ids[i] < ids[j]:
                    i += 1
                else:
                    j += 1
            pair += 1
    return out
