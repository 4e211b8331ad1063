from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from mistudio_worker.analysis.significance import TermFinds
from mistudio_worker.analysis.term_lengths import LEAST_ODDS, LENGTH_ERROR, beyond_length
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.analysis.top_examples import GroupedTop


def verdicts(words: list[int], top: list[int], count: list[int], frequency: list[int]) -> list[bool]:
    """Judge terms of given counts in texts of given numbers of words."""
    table = build_term_table([" ".join(f"w{i}" for i in range(n)) for n in words])
    numbers = np.arange(len(top), dtype=np.int32)
    grouped = GroupedTop(np.array([0, len(top)]), np.array(top, dtype=np.int32), numbers)
    zeros = np.zeros(len(count), dtype=np.int64)
    held = np.array(count)
    finds = TermFinds(zeros, zeros, zeros, zeros, held, held, np.array(frequency), zeros.astype(np.float64))
    return [bool(verdict) for verdict in beyond_length(table, grouped, finds)]


@pytest.mark.parametrize("frequency", [20, 60, 250])
def test_equally_long_texts_are_judged_by_the_corpus_rate(frequency: int) -> None:
    """With texts of one length the expected rate is df / n, and both bounds are those of the docstring."""
    rate = frequency / 500
    counts = list(range(1, 21))
    expected = [
        (y + 0.5) / (20 - y + 0.5) >= LEAST_ODDS * rate / (1 - rate) and binom.sf(y - 1, 20, rate) <= LENGTH_ERROR
        for y in counts
    ]
    assert verdicts([30] * 500, list(range(20)), counts, [frequency] * 20) == expected


def test_long_texts_need_more() -> None:
    """What is telling in texts of usual length is not in texts ten times as long."""
    words = [200] * 20 + [20] * 480
    long, usual = list(range(20)), list(range(20, 40))
    assert verdicts(words, usual, [8], [50]) == [True]
    assert verdicts(words, long, [8], [50]) == [False]


def test_a_term_of_every_text_is_never_telling() -> None:
    """Nothing is beyond what all texts have."""
    assert verdicts([30] * 50, list(range(20)), [20], [50]) == [False]
