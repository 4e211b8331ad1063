"""Terms that stand out in the top texts of a feature: words, phrases and structural tokens.

What may be a keyword is tested in `significance.py`; here the significant terms are ranked, and of several forms of
one thing (`type`, `{"type"`, `"type":`) the strongest is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.kernels.term_choice import choose_terms
from mistudio_worker.analysis.phrase_rules import MOST_ATOMS_OF_A_TERM
from mistudio_worker.analysis.phrases import kinds_of_atoms, phrase_text
from mistudio_worker.analysis.significance import join, significant_phrases, significant_words
from mistudio_worker.analysis.term_lengths import beyond_length
from mistudio_worker.domain.feature_report import KeywordStatistic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.significance import TermFinds
    from mistudio_worker.analysis.terms import TermTable
    from mistudio_worker.analysis.top_examples import GroupedTop

FAMILY_WISE_ERROR = 0.01
LEAST_SHARE, LEAST_TEXTS = 0.15, 3
"""A keyword stands in so many of the distinct top texts: what fewer share, or only copies of one text, is no concept
of the feature, though it may be no chance."""
PRIOR_SHARE = 0.25
"""alpha0 over the number of texts: the prior weighs a quarter of the corpus. A weak prior (alpha0 of
a few texts) would give a term that only the top texts hold a huge standard error, and so the last rank."""


def find_keywords(
    table: TermTable,
    top: GroupedTop,
    candidates: NDArray[np.bool_],
    *,
    limit: int = 10,
    execution: Execution | None = None,
) -> list[tuple[KeywordStatistic, ...]]:
    """Keywords of all features, ranked by z.

    Formula (Monroe, Colaresi, Quinn 2008, on document frequencies): with y of n top texts and y' of n'
    other texts holding the term, alpha0 = PRIOR_SHARE (n + n') and alpha = alpha0 (y + y') / (n + n'),
    d = ln((y+alpha)/(n+alpha0-y-alpha)) - ln((y'+alpha)/(n'+alpha0-y'-alpha)),
    z = d / sqrt(1/(y+alpha) + 1/(y'+alpha)).

    A term is left out where a better one shares a word with it that is no stop word, or one holds the other.
    Ties: longer structural tokens (and strings of a script without blanks) before shorter ones, then words, then
    shorter phrases, then by code points.

    Args:
        table: terms of all n texts.
        top: top texts of all features.
        candidates: [V] words that may be keywords, and begin and end phrases.
        limit: most keywords a feature.
        execution: threads; one where left out. The result is the same for any.

    Returns:
        One tuple a feature; empty where no term is significant, as for a dead feature or one top text.
    """
    finds = _telling(table, top, candidates, execution or Execution())
    n = table.offsets.size - 1
    k = top.sizes[finds.feature]
    d, z = _log_odds(finds.count, k, finds.frequency, n)
    members = _members(table, finds)
    order = np.lexsort((*members.T[::-1], _form(table, finds, members), -z, finds.feature))
    content = np.concatenate([candidates, np.zeros(len(table.marks), dtype=np.bool_)])
    chosen = order[choose_terms(finds.feature[order], members[order], content, limit)]
    return _records(table, finds.where(chosen), d[chosen], z[chosen], top.sizes.size)


def _telling(table: TermTable, top: GroupedTop, candidates: NDArray[np.bool_], execution: Execution) -> TermFinds:
    """Terms that cannot be chance, and are more than copies, length or a few texts."""
    kinds = kinds_of_atoms(table, candidates)
    finds = join(
        significant_words(table, top, candidates, FAMILY_WISE_ERROR),
        significant_phrases(table, top, kinds, FAMILY_WISE_ERROR, execution),
    )
    distinct = np.diff(top.distinct()[0])[finds.feature]
    enough = finds.groups >= np.maximum(LEAST_TEXTS, LEAST_SHARE * distinct)
    return finds.where(enough & beyond_length(table, top, finds))


def _members(table: TermTable, finds: TermFinds) -> NDArray[np.int32]:
    """[finds, 6] symbols of each term, -1 after its end."""
    members = np.full((finds.feature.size, MOST_ATOMS_OF_A_TERM), -1, dtype=np.int32)
    members[:, 0] = finds.term
    longer = np.flatnonzero(finds.term < 0)
    for i in range(MOST_ATOMS_OF_A_TERM):
        holds = longer[finds.length[longer] > i]
        members[holds, i] = table.atoms[finds.place[holds] + i] >> 1
    return members


def _form(table: TermTable, finds: TermFinds, members: NDArray[np.int32]) -> NDArray[np.int64]:
    """Rank of a term's form among equally good ones, the lowest first."""
    plain = (members < len(table.terms)).all(axis=1)
    second = np.minimum(finds.place + 1, table.atoms.size - 1)
    spaced = plain & ((finds.term >= 0) | (table.atoms[second] & 1 == 1))
    return np.where(spaced, finds.length, -finds.length)


def _records(
    table: TermTable, finds: TermFinds, d: NDArray[np.float64], z: NDArray[np.float64], features: int
) -> list[tuple[KeywordStatistic, ...]]:
    texts = [
        table.terms[term] if term >= 0 else phrase_text(table, place, length)
        for term, place, length in zip(finds.term.tolist(), finds.place.tolist(), finds.length.tolist(), strict=True)
    ]
    counts = (finds.count.tolist(), (finds.frequency - finds.count).tolist())
    columns = (texts, d.tolist(), z.tolist(), finds.p_value.tolist(), *counts)
    keywords: list[list[KeywordStatistic]] = [[] for _ in range(features)]
    for feature, *values in zip(finds.feature.tolist(), *columns, strict=True):
        keywords[feature].append(KeywordStatistic(*values))
    return [tuple(mine) for mine in keywords]


def _log_odds(
    y: NDArray[np.int64], k: NDArray[np.int64], frequency: NDArray[np.int64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    prior = PRIOR_SHARE * n
    alpha = PRIOR_SHARE * frequency
    others = frequency - y
    d = np.log((y + alpha) / (k + prior - y - alpha)) - np.log((others + alpha) / (n - k + prior - others - alpha))
    return d, d / np.sqrt(1.0 / (y + alpha) + 1.0 / (others + alpha))
