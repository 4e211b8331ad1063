"""Count terms over the top texts of every feature and find those that cannot be chance."""

# Compiled functions take plain arrays, one a column: numba knows no dataclasses.
# ruff: noqa: PLR0913, PLR0917, C901

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def log_tail(log_factorial: NDArray[np.float64], total: int, marked: int, drawn: int, least: int) -> float:
    """Natural logarithm of P(X >= least), X hypergeometric: marked ones among `drawn` of `total`, no replacement."""
    whole = log_factorial[total] - log_factorial[drawn] - log_factorial[total - drawn]
    most = min(drawn, marked)
    top = -np.inf
    share = 0.0
    for x in range(most, max(least, drawn - (total - marked)) - 1, -1):
        ways = (
            log_factorial[marked]
            - log_factorial[x]
            - log_factorial[marked - x]
            + log_factorial[total - marked]
            - log_factorial[drawn - x]
            - log_factorial[total - marked - drawn + x]
            - whole
        )
        if ways > top:
            share = share * np.exp(top - ways) + 1.0
            top = ways
        else:
            share += np.exp(ways - top)
    if share == 0.0:
        return -np.inf
    return float(min(0.0, top + np.log(share)))


@njit(cache=True, nogil=True)
def log_tails(
    log_factorial: NDArray[np.float64], marked: NDArray[np.int64], drawn: NDArray[np.int64], least: NDArray[np.int64]
) -> NDArray[np.float64]:
    """`log_tail` of many, of as many in all as there are factorials."""
    tails = np.empty(marked.size, dtype=np.float64)
    for i in range(marked.size):
        tails[i] = log_tail(log_factorial, log_factorial.size - 1, marked[i], drawn[i], least[i])
    return tails


@njit(cache=True, nogil=True)
def mean_shares(
    top_offsets: NDArray[np.int64],
    top_texts: NDArray[np.int32],
    words: NDArray[np.float64],
    feature: NDArray[np.int64],
    theta: NDArray[np.float64],
) -> NDArray[np.float64]:
    """[finds] mean of 1 - exp(-theta words) over the top texts of the find's feature."""
    means = np.empty(feature.size, dtype=np.float64)
    for i in range(feature.size):
        start, end = top_offsets[feature[i]], top_offsets[feature[i] + 1]
        total = 0.0
        for entry in range(start, end):
            total += 1.0 - np.exp(-theta[i] * words[top_texts[entry]])
        means[i] = total / (end - start)
    return means


@njit(cache=True, nogil=True)
def significant_terms(
    top_offsets: NDArray[np.int64],
    top_texts: NDArray[np.int32],
    top_groups: NDArray[np.int32],
    term_offsets: NDArray[np.int64],
    term_ids: NDArray[np.int32],
    frequencies: NDArray[np.int32],
    frequency_class: NDArray[np.int32],
    testable: NDArray[np.bool_],
    family_size: NDArray[np.int64],
    log_factorial: NDArray[np.float64],
    alpha: float,
    out: NDArray[np.int64],
    out_log_p: NDArray[np.float64],
) -> int:
    """Test every candidate term that at least two top texts of a feature hold.

    Args:
        top_offsets: [F + 1], the top texts of the features within `top_texts`.
        top_texts: rows of texts, copies side by side.
        top_groups: number of the group of copies within the feature, ascending.
        term_offsets: [n + 1], the terms of the texts within `term_ids`.
        term_ids: distinct terms of each text.
        frequencies: [V], texts that hold the term.
        frequency_class: [V], column of `testable`; -1 for terms that are no candidates.
        testable: [most top texts + 1, classes], whether a term can reach significance at all.
        family_size: [most top texts + 1], number of testable terms.
        log_factorial: [n + 1].
        alpha: family-wise error.
        out: [4, capacity] out, a column a find: feature, term, top texts that hold it, groups of them; may be too
            short, see Returns.
        out_log_p: out, ln of its one-sided p-value.

    Returns:
        Number of finds; more than the capacity means that only so many were written. A find
        has p <= alpha / (family - its feature's finds at most), what Holm could still accept.
    """
    n = term_offsets.size - 1
    counts = np.zeros(frequencies.size, dtype=np.int32)
    groups = np.zeros(frequencies.size, dtype=np.int32)
    last = np.empty(frequencies.size, dtype=np.int32)
    touched = np.empty(frequencies.size, dtype=np.int32)
    finds = 0
    for feature in range(top_offsets.size - 1):
        start, end = top_offsets[feature], top_offsets[feature + 1]
        k = end - start
        seen = 0
        for entry in range(start, end):
            text = top_texts[entry]
            for i in range(term_offsets[text], term_offsets[text + 1]):
                term = term_ids[i]
                if counts[term] == 0:
                    touched[seen] = term
                    seen += 1
                    groups[term], last[term] = 0, -1
                counts[term] += 1
                if last[term] != top_groups[entry]:
                    last[term] = top_groups[entry]
                    groups[term] += 1
        repeated = 0
        for i in range(seen):
            repeated += counts[touched[i]] >= 2
        limit = np.log(alpha / max(1, family_size[k] - repeated))
        for i in range(seen):
            term = touched[i]
            y = counts[term]
            counts[term] = 0
            column = frequency_class[term]
            if y < 2 or column < 0 or not testable[k, column]:
                continue
            if np.int64(y) * n <= np.int64(frequencies[term]) * k:
                continue
            log_p = log_tail(log_factorial, n, frequencies[term], k, y)
            if log_p <= limit:
                if finds < out_log_p.size:
                    out[0, finds], out[1, finds], out[2, finds], out[3, finds] = feature, term, y, groups[term]
                    out_log_p[finds] = log_p
                finds += 1
    return finds
