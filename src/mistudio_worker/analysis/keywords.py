"""Words that stand out in the top texts of a feature.

Family-wise error: for each feature at most 1 % over its family of terms. The family is fixed by what
does not depend on which texts are on top (Tarone 1990): all candidate terms whose corpus frequency
lets them reach significance at all with this many top texts. Within it p-values are one-sided
hypergeometric (Fisher's exact test) and adjusted by Holm.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from mistudio_worker.analysis.kernels.term_counts import significant_terms
from mistudio_worker.domain.feature_report import KeywordStatistic

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import TopExamples

FAMILY_WISE_ERROR = 0.01
PRIOR_SHARE = 0.25
"""alpha0 over the number of texts: the prior weighs a quarter of the corpus. A weak prior (alpha0 of
a few texts) would give a term that only the top texts hold a huge standard error, and so the last rank."""


@dataclass(frozen=True, slots=True)
class _Finds:
    """Terms that pass Holm's first step, as columns."""

    feature: NDArray[np.int32]
    term: NDArray[np.int32]
    count: NDArray[np.int32]
    log_p: NDArray[np.float64]


def default_stop_words() -> frozenset[str]:
    """Function words of English and some of its neighbours, from the package."""
    text = (files("mistudio_worker.analysis") / "data" / "stop_words.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def find_keywords(
    table: TermTable, top: TopExamples, *, limit: int = 10, stop_words: AbstractSet[str] | None = None
) -> list[tuple[KeywordStatistic, ...]]:
    """Keywords of all features, ranked by z, ties by the term's code points.

    Formula (Monroe, Colaresi, Quinn 2008, on document frequencies): with y of n top texts and y' of n'
    other texts holding the term, alpha0 = PRIOR_SHARE (n + n') and alpha = alpha0 (y + y') / (n + n'),
    d = ln((y+alpha)/(n+alpha0-y-alpha)) - ln((y'+alpha)/(n'+alpha0-y'-alpha)),
    z = d / sqrt(1/(y+alpha) + 1/(y'+alpha)).

    Args:
        table: terms of all n texts.
        top: top texts of all features.
        limit: most keywords a feature.
        stop_words: case-folded terms that are never keywords; None for the package's list.

    Returns:
        One tuple a feature; empty where no term is significant, as for a dead feature or one top text.
        Terms of one character, terms without a letter and stop words are never keywords.
    """
    stop = default_stop_words() if stop_words is None else stop_words
    n = table.offsets.size - 1
    finds, family = _test(table, top, _candidates(table, stop), n)
    k = np.diff(top.offsets)[finds.feature]
    d, z = _log_odds(finds.count, k, table.document_frequency[finds.term], n)
    order = np.lexsort((finds.term, -z, finds.feature))
    adjusted = _holm(finds, family[k])
    keywords: list[list[KeywordStatistic]] = [[] for _ in range(top.offsets.size - 1)]
    for i in order[adjusted[order] <= FAMILY_WISE_ERROR].tolist():
        mine = keywords[finds.feature[i]]
        if len(mine) < limit:
            term, y = int(finds.term[i]), int(finds.count[i])
            others = int(table.document_frequency[term]) - y
            mine.append(KeywordStatistic(table.terms[term], float(d[i]), float(z[i]), float(adjusted[i]), y, others))
    return [tuple(mine) for mine in keywords]


def _candidates(table: TermTable, stop_words: AbstractSet[str]) -> NDArray[np.bool_]:
    return np.fromiter(
        (len(t) > 1 and t not in stop_words and any(map(str.isalpha, t)) for t in table.terms),
        dtype=bool,
        count=len(table.terms),
    )


def _test(
    table: TermTable, top: TopExamples, candidates: NDArray[np.bool_], n: int
) -> tuple[_Finds, NDArray[np.int64]]:
    """Significant terms of all features, and the family's size by number of top texts."""
    log_factorial = gammaln(np.arange(n + 1, dtype=np.float64) + 1.0)
    frequencies, class_of = np.unique(table.document_frequency, return_inverse=True)
    members = np.bincount(class_of[candidates], minlength=frequencies.size)
    sizes = np.diff(top.offsets)
    testable = np.zeros((int(sizes.max(initial=0)) + 1, frequencies.size), dtype=bool)
    for k in np.unique(sizes).tolist():
        testable[k] = _testable(frequencies, members, k, log_factorial)
    family = testable @ members
    classes = np.where(candidates, class_of, -1).astype(np.int32)
    capacity = 64 * sizes.size
    while True:
        feature, term, count = np.empty((3, capacity), dtype=np.int32)
        out = _Finds(feature, term, count, np.empty(capacity, dtype=np.float64))
        found = significant_terms(
            top.offsets,
            top.texts,
            table.offsets,
            table.ids,
            table.document_frequency,
            classes,
            testable,
            family,
            log_factorial,
            FAMILY_WISE_ERROR,
            out.feature,
            out.term,
            out.count,
            out.log_p,
        )
        if found <= capacity:
            return _Finds(out.feature[:found], out.term[:found], out.count[:found], out.log_p[:found]), family
        capacity = found


def _testable(
    frequencies: NDArray[np.int32], members: NDArray[np.int64], k: int, log_factorial: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Frequencies at which k top texts can give a p-value within Tarone's family.

    The smallest p-value of a term is that of as many holders on top as there can be. The family is
    the smallest K such that at most K terms have a smallest p-value within FAMILY_WISE_ERROR / K.
    """
    n = log_factorial.size - 1
    df = frequencies.astype(np.int64)
    y = np.minimum(df, k)
    ways = log_factorial[df] - log_factorial[y] - log_factorial[df - y]
    ways += log_factorial[n - df] - log_factorial[k - y] - log_factorial[n - df - k + y]
    smallest = np.exp(np.minimum(ways - (log_factorial[n] - log_factorial[k] - log_factorial[n - k]), 0.0))
    order = np.argsort(smallest, kind="stable")
    total = np.cumsum(members[order])
    low, high = 1, max(int(members.sum()), 1)
    while low < high:
        middle = (low + high) // 2
        within = int(np.searchsorted(smallest[order], FAMILY_WISE_ERROR / middle, side="right"))
        if (total[within - 1] if within else 0) <= middle:
            high = middle
        else:
            low = middle + 1
    mask: NDArray[np.bool_] = smallest <= FAMILY_WISE_ERROR / low
    return mask


def _log_odds(
    y: NDArray[np.int32], k: NDArray[np.int64], frequency: NDArray[np.int32], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    prior = PRIOR_SHARE * n
    alpha = PRIOR_SHARE * frequency
    others = frequency - y
    d = np.log((y + alpha) / (k + prior - y - alpha)) - np.log((others + alpha) / (n - k + prior - others - alpha))
    return d, d / np.sqrt(1.0 / (y + alpha) + 1.0 / (others + alpha))


def _holm(finds: _Finds, family: NDArray[np.int64]) -> NDArray[np.float64]:
    """Adjusted p-values: p_(i) times the number of hypotheses not yet rejected, made ascending."""
    order = np.lexsort((finds.term, finds.log_p, finds.feature))
    feature = finds.feature[order]
    first = np.searchsorted(feature, feature, side="left")
    left = family[order] - (np.arange(order.size) - first)
    raw: NDArray[np.float64] = np.minimum(np.exp(finds.log_p[order]) * left, 1.0)
    for start, end in zip(*_runs(feature), strict=True):
        np.maximum.accumulate(raw[start:end], out=raw[start:end])
    adjusted: NDArray[np.float64] = np.empty_like(raw)
    adjusted[order] = raw
    return adjusted


def _runs(feature: NDArray[np.int32]) -> tuple[list[int], list[int]]:
    starts = np.flatnonzero(np.diff(feature, prepend=-1))
    return starts.tolist(), [*starts[1:].tolist(), feature.size] if starts.size else []
