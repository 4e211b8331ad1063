from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import hypergeom

from mistudio_worker.analysis.candidate_words import candidate_words
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.kernels.term_counts import log_tail
from mistudio_worker.analysis.phrases import count_terms, kinds_of_atoms
from mistudio_worker.analysis.significance import FAMILIES, holm, significant_phrases, significant_words
from mistudio_worker.analysis.terms import TermTable, build_term_table
from mistudio_worker.analysis.top_examples import GroupedTop

ERROR = 0.01
TEN = GroupedTop(np.array([0, 10]), np.arange(10, dtype=np.int32), np.arange(10, dtype=np.int32) // 2)


def corpus() -> TermTable:
    """300 texts, of which the first ten hold a phrase of common words."""
    words = [f"{'state' if i % 3 else 'union'} v{i % 50} filler" for i in range(300)]
    return build_term_table([f"{word} state of the union" if i < 10 else word for i, word in enumerate(words)])


@pytest.mark.parametrize(("total", "marked", "drawn", "least"), [(1000, 10, 10, 3), (50, 40, 20, 17), (8, 8, 4, 4)])
def test_tail_is_the_hypergeometric_one(total: int, marked: int, drawn: int, least: int) -> None:
    """The p-value is that of scipy's distribution."""
    log_factorial = np.array([math.lgamma(i + 1) for i in range(total + 1)])
    expected = hypergeom.sf(least - 1, total, marked, drawn)
    assert math.exp(log_tail(log_factorial, total, marked, drawn, least)) == pytest.approx(expected, rel=1e-9)


def test_p_values_are_adjusted_by_holm() -> None:
    """Each p-value is multiplied by the hypotheses still standing, and never below a smaller one's."""
    p = np.array([0.002, 0.001, 0.0021, 0.5, 0.001])
    adjusted = holm(np.array([0, 0, 0, 0, 1]), np.log(p), np.array([10, 10, 10, 10, 4]))
    np.testing.assert_allclose(adjusted, [0.018, 0.01, 0.018, 1.0, 0.004], rtol=1e-12)


def test_a_phrase_pays_for_its_whole_family() -> None:
    """Its p-value is multiplied by the most phrases that there can be as frequent as testable ones, and by two."""
    table = corpus()
    kinds = kinds_of_atoms(table, candidate_words(table))
    found = significant_phrases(table, TEN, kinds, ERROR, Execution())
    places = count_terms(table, kinds)
    least = next(r for r in range(2, 11) if hypergeom.pmf(r, 300, r, 10) <= ERROR / FAMILIES / (places // r))
    whole = found.frequency == 10
    assert found.count[whole].tolist() == [10] * int(whole.sum())
    expected = FAMILIES * (places // least) * hypergeom.sf(9, 300, 10, 10)
    assert found.p_value[whole].max() == pytest.approx(expected, rel=1e-6)


def test_words_are_counted_by_texts_and_by_groups_of_copies() -> None:
    """The test counts every top text, beside it stands how many distinct ones there are."""
    table = corpus()
    found = significant_words(table, TEN, candidate_words(table), ERROR)
    assert [table.terms[term] for term in found.term] == ["union"]
    assert (found.count.tolist(), found.groups.tolist()) == ([10], [5])
    assert found.frequency.tolist() == [int(table.document_frequency[table.terms.index("union")])]


def test_what_cannot_be_significant_is_not_looked_for() -> None:
    """In a corpus of a dozen texts ten top texts tell nothing."""
    table = build_term_table(["red heron: 1"] * 10 + ["blue pond"] * 2)
    kinds = kinds_of_atoms(table, candidate_words(table))
    assert significant_phrases(table, TEN, kinds, ERROR, Execution()).term.size == 0
    assert significant_words(table, TEN, candidate_words(table), ERROR).term.size == 0
