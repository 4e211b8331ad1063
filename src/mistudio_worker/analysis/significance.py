"""Which terms stand in too many top texts of a feature to be chance.

P-values are one-sided hypergeometric (Fisher's exact test) and adjusted by Holm. Two families share the family-wise
error evenly: single words, and terms of several atoms. Both are fixed by what does not depend on which texts are on
top (Tarone 1990): the terms whose corpus frequency lets them reach significance at all with so many top texts.
Words are counted for that. Of the longer terms only those are ever counted that top texts share; but terms in r
texts or more are at most (places where any term stands) / r, and that bound is the size of their family.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from mistudio_worker.analysis.kernels.term_counts import log_tails, significant_terms
from mistudio_worker.analysis.phrases import count_terms, find_common_phrases

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import GroupedTop

FAMILIES = 2


@dataclass(frozen=True, slots=True)
class TermFinds:
    """Terms whose adjusted p-value is within the family-wise error, one column a find.

    Attributes:
        feature: [finds].
        term: [finds] number of the word; -1 for a term of several atoms.
        place: [finds] where a term of several atoms stands in the table's atoms; -1 for a word.
        length: [finds] atoms.
        count: [finds] top texts that hold it.
        groups: [finds] the same, copies counted once.
        frequency: [finds] texts of the corpus that hold it.
        p_value: [finds] adjusted over both families.
    """

    feature: NDArray[np.int64]
    term: NDArray[np.int64]
    place: NDArray[np.int64]
    length: NDArray[np.int64]
    count: NDArray[np.int64]
    groups: NDArray[np.int64]
    frequency: NDArray[np.int64]
    p_value: NDArray[np.float64]

    def where(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> TermFinds:
        """The finds of a mask, or those at some places in their order."""
        return TermFinds(*(getattr(self, name)[kept] for name in TermFinds.__slots__))


def significant_words(table: TermTable, top: GroupedTop, candidates: NDArray[np.bool_], error: float) -> TermFinds:
    """Test the candidate words that at least two top texts of a feature hold.

    Args:
        table: terms of all n texts.
        top: top texts of all features.
        candidates: [V] words that are tested.
        error: family-wise error a feature, both families together.
    """
    alpha = error / FAMILIES
    n = table.offsets.size - 1
    log_factorial = _log_factorials(n)
    frequencies, class_of = np.unique(table.document_frequency, return_inverse=True)
    members = np.bincount(class_of[candidates], minlength=frequencies.size)
    drawn = top.sizes
    testable = np.zeros((int(drawn.max(initial=0)) + 1, frequencies.size), dtype=bool)
    for k in np.unique(drawn).tolist():
        testable[k] = _testable(frequencies, members, k, log_factorial, alpha)
    family = testable @ members
    classes = np.where(candidates, class_of, -1).astype(np.int32)
    capacity = 64 * drawn.size
    while True:
        out = np.empty((4, capacity), dtype=np.int64)
        log_p = np.empty(capacity, dtype=np.float64)
        found = significant_terms(
            top.offsets,
            top.texts,
            top.groups,
            table.offsets,
            table.ids,
            table.document_frequency,
            classes,
            testable,
            family,
            log_factorial,
            alpha,
            out,
            log_p,
        )
        if found <= capacity:
            break
        capacity = found
    feature, term, count, groups = out[:, :found]
    frequency = table.document_frequency[term].astype(np.int64)
    p = holm(feature, log_p[:found], family[drawn[feature]]) * FAMILIES
    one = np.ones(found, dtype=np.int64)
    return _significant(TermFinds(feature, term, -one, one, count, groups, frequency, p), error)


def significant_phrases(
    table: TermTable, top: GroupedTop, kinds: NDArray[np.int32], error: float, execution: Execution
) -> TermFinds:
    """Test the terms of several atoms that enough top texts of a feature hold."""
    alpha = error / FAMILIES
    n = table.offsets.size - 1
    log_factorial = _log_factorials(n)
    places = count_terms(table, kinds)
    drawn = top.sizes
    by_size = [_least_texts(k, places, log_factorial, alpha) for k in range(int(drawn.max(initial=0)) + 1)]
    least = np.array(by_size, dtype=np.int64)[drawn]
    found = find_common_phrases(table, top, kinds, least, execution)
    k = drawn[found.feature]
    family = places // least[found.feature]
    p = holm(found.feature, log_tails(log_factorial, found.frequency, k, found.count), family) * FAMILIES
    columns = (found.place, found.length, found.count, found.groups, found.frequency)
    return _significant(TermFinds(found.feature, np.full(k.size, -1), *columns, p), error)


def join(words: TermFinds, phrases: TermFinds) -> TermFinds:
    """Both families one after the other."""
    pairs = ((getattr(words, name), getattr(phrases, name)) for name in TermFinds.__slots__)
    return TermFinds(*(np.concatenate(pair) for pair in pairs))


def _significant(finds: TermFinds, error: float) -> TermFinds:
    return finds.where(finds.p_value <= error)


def _log_factorials(n: int) -> NDArray[np.float64]:
    values: NDArray[np.float64] = gammaln(np.arange(n + 1, dtype=np.float64) + 1.0)
    return values


def _least_texts(k: int, places: int, log_factorial: NDArray[np.float64], alpha: float) -> int:
    """Fewest of k top texts that can make a term significant; k + 1 where none can.

    That is the smallest r at which the chance that all holders of a term in r texts are top texts is within alpha
    over the size of the family.
    """
    n = log_factorial.size - 1
    for r in range(2, k + 1):
        ways = log_factorial[k] - log_factorial[k - r] - log_factorial[n] + log_factorial[n - r]
        if ways <= np.log(alpha / max(places // r, 1)):
            return r
    return k + 1


def _testable(
    frequencies: NDArray[np.int32], members: NDArray[np.int64], k: int, log_factorial: NDArray[np.float64], alpha: float
) -> NDArray[np.bool_]:
    """Frequencies at which k top texts can give a p-value within Tarone's family.

    The smallest p-value of a term is that of as many holders on top as there can be. The family is
    the smallest K such that at most K terms have a smallest p-value within alpha / K.
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
        within = int(np.searchsorted(smallest[order], alpha / middle, side="right"))
        if (total[within - 1] if within else 0) <= middle:
            high = middle
        else:
            low = middle + 1
    mask: NDArray[np.bool_] = smallest <= alpha / low
    return mask


def holm(feature: NDArray[np.int64], log_p: NDArray[np.float64], family: NDArray[np.int64]) -> NDArray[np.float64]:
    """Adjusted p-values: p_(i) times the number of hypotheses not yet rejected, made ascending.

    Args:
        feature: [finds].
        log_p: [finds] natural logarithms; what is left out must have larger ones.
        family: [finds] size of the family of the find's feature.

    Returns:
        [finds] at most 1; equal p-values of a feature get equal ones.
    """
    order = np.lexsort((log_p, feature))
    of = feature[order]
    first = np.searchsorted(of, of, side="left")
    left = np.maximum(family[order] - (np.arange(order.size) - first), 1)
    raw: NDArray[np.float64] = np.minimum(np.exp(log_p[order]) * left, 1.0)
    for start, end in zip(*_runs(of), strict=True):
        np.maximum.accumulate(raw[start:end], out=raw[start:end])
    adjusted: NDArray[np.float64] = np.empty_like(raw)
    adjusted[order] = raw
    return adjusted


def _runs(feature: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    starts = np.flatnonzero(np.diff(feature, prepend=-1))
    return starts.tolist(), [*starts[1:].tolist(), feature.size] if starts.size else []
