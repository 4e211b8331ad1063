"""Choose a term on half of a feature's top texts, and try it on the other half."""

# Compiled functions take plain arrays, one a column: numba knows no dataclasses.
# ruff: noqa: PLR0913, PLR0917

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHECKED, FEW_TEXTS, NO_TERM, NONE_SILENT = range(4)
"""Outcomes of a feature."""


@njit(cache=True, nogil=True)
def _holds(ids: NDArray[np.int32], start: int, stop: int, term: int) -> bool:
    """Whether an ascending run holds a term."""
    end = stop
    while start < end:
        middle = (start + end) // 2
        if ids[middle] < term:
            start = middle + 1
        else:
            end = middle
    return bool(start < stop and ids[start] == term)


@njit(cache=True, nogil=True)
def _best_term(
    texts: NDArray[np.int32],
    offsets: NDArray[np.int64],
    ids: NDArray[np.int32],
    candidates: NDArray[np.bool_],
    choosing: NDArray[np.bool_],
    choosers: int,
    frequency: NDArray[np.int64],
    seen: NDArray[np.int32],
) -> int:
    """Return the candidate with the highest share of odd-ranked texts less share of others, ties to the lowest; or -1.

    Others are the choosing texts that are not on top. `seen` [2, V] is zero before and after.
    """
    rest = choosers
    for rank in range(texts.size):
        rest -= choosing[texts[rank]]
        for i in range(offsets[texts[rank]], offsets[texts[rank] + 1]):
            seen[0, ids[i]] += rank % 2 == 0
            seen[1, ids[i]] += choosing[texts[rank]]
    best, best_score = -1, -1.0
    for rank in range(0, texts.size, 2):
        for i in range(offsets[texts[rank]], offsets[texts[rank] + 1]):
            term = ids[i]
            if candidates[term]:
                share = seen[0, term] / ((texts.size + 1) // 2)
                score = share - (frequency[term] - seen[1, term]) / max(rest, 1)
                if score > best_score or (score == best_score and term < best):
                    best, best_score = term, score
    for text in texts:
        for i in range(offsets[text], offsets[text + 1]):
            seen[0, ids[i]] = seen[1, ids[i]] = 0
    return best


@njit(cache=True, nogil=True)
def check_keywords(
    features: tuple[int, int],
    top: tuple[NDArray[np.int64], NDArray[np.int32]],
    positives: tuple[NDArray[np.int64], NDArray[np.int32]],
    terms: tuple[NDArray[np.int64], NDArray[np.int32]],
    candidates: NDArray[np.bool_],
    choosing: NDArray[np.bool_],
    frequency: NDArray[np.int64],
    fewest: int,
    out_term: NDArray[np.int32],
    out_auroc: NDArray[np.float64],
    out_outcome: NDArray[np.int8],
) -> None:
    """Choose and try a term for each feature.

    Args:
        features: first and last + 1.
        top: offsets [F + 1] and rows of the top texts, strongest first.
        positives: offsets [F + 1] and rows of the texts that a feature fires on.
        terms: offsets [n + 1] and ascending ids of the terms of the texts.
        candidates: [V] terms that may be chosen.
        choosing: [n] texts that terms are chosen on; the others are for trying them.
        frequency: [2, V] trying and choosing texts that hold each term.
        fewest: top texts needed.
        out_term: out, [F] the term, -1 where none was chosen.
        out_auroc: out, [F]; NaN where not defined.
        out_outcome: out, [F], see above.
    """
    seen = np.zeros((2, candidates.size), dtype=np.int32)
    choosers = 0
    for text in range(choosing.size):
        choosers += int(choosing[text])
    for feature in range(features[0], features[1]):
        out_term[feature], out_auroc[feature] = -1, np.nan
        texts = top[1][top[0][feature] : top[0][feature + 1]]
        if texts.size < fewest:
            out_outcome[feature] = FEW_TEXTS
            continue
        term = _best_term(texts, terms[0], terms[1], candidates, choosing, choosers, frequency[1], seen)
        if term < 0:
            out_outcome[feature] = NO_TERM
            continue
        silent, holders = choosing.size - choosers, frequency[0, term]
        for entry in range(positives[0][feature], positives[0][feature + 1]):
            text = positives[1][entry]
            if not choosing[text]:
                silent -= 1
                holders -= _holds(terms[1], terms[0][text], terms[0][text + 1], term)
        out_term[feature] = term
        if silent == 0:
            out_outcome[feature] = NONE_SILENT
            continue
        hits = 0
        for rank in range(1, texts.size, 2):
            text = texts[rank]
            hits += _holds(terms[1], terms[0][text], terms[0][text + 1], term)
        out_auroc[feature] = (1.0 + hits / (texts.size // 2) - holders / silent) / 2.0
        out_outcome[feature] = CHECKED
