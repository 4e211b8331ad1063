from __future__ import annotations

import math

import numpy as np
import pytest

from mistudio_worker.analysis.complexity import score_complexity
from mistudio_worker.analysis.label_hits import build_label_hits
from mistudio_worker.analysis.taxonomy import Taxonomy
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.analysis.top_examples import TopExamples

RULES = b"version='1'\n[categories.technical]\nwords=['api']\n[categories.temporal]\nwords=['day']\n"


def top_of(*features: list[int]) -> TopExamples:
    """Make equally strong top texts of features."""
    sizes = [len(f) for f in features]
    return TopExamples(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.array([t for f in features for t in f], dtype=np.int32),
        np.ones(sum(sizes), dtype=np.float32),
    )


def test_parts_follow_their_formulas() -> None:
    """Length, vocabulary, mixing and the technical share are worked by hand."""
    texts = ["api api day x", "day x", "", "?"]
    table = build_term_table(texts)
    hits = build_label_hits(texts, table, Taxonomy.load(RULES))
    both, dead, wordless = score_complexity(table, hits, top_of([0, 1], [], [2, 3]))
    assert both.parts is not None
    assert both.parts.length == pytest.approx(3 / 103)
    assert both.parts.vocabulary == pytest.approx(3 / 6)
    shares = (1 / 3, 2 / 3)
    assert both.parts.mixing == pytest.approx(-sum(s * math.log(s) for s in shares) / math.log(2))
    assert both.parts.technical == 0.5
    expected = 0.3 * both.parts.length + 0.3 * 0.5 + 0.2 * both.parts.mixing + 0.2 * 0.5
    assert both.score == pytest.approx(expected)
    assert (dead.score, dead.parts, dead.reason) == (None, None, "no top texts")
    assert (wordless.score, wordless.reason) == (None, "the top texts hold no words")


def test_scripts_without_blanks_have_words_too() -> None:
    """Pairs of characters count as words; one character is a word of its own."""
    texts = ["你好世界", "你好世界你好世界", "好"]
    table = build_term_table(texts)
    hits = build_label_hits(texts, table, Taxonomy.load(RULES))
    for found in score_complexity(table, hits, top_of([0, 1], [2], [0, 0])):
        assert found.parts is not None
        assert 0.0 < found.parts.length < 0.1
        assert 0.0 < found.parts.vocabulary <= 1.0
        assert (found.parts.mixing, found.parts.technical) == (0.0, 0.0)


def test_the_parts_reach_their_ends() -> None:
    """Many different words: length and vocabulary near 1; one word over and over: vocabulary near 0."""
    words = " ".join(f"word{i}" for i in range(50_000))
    texts = [words, "the " * 50_000]
    table = build_term_table(texts)
    hits = build_label_hits(texts, table, Taxonomy.load(RULES))
    rich, poor = score_complexity(table, hits, top_of([0], [1]))
    assert rich.parts is not None
    assert poor.parts is not None
    assert (rich.parts.length, rich.parts.vocabulary) == pytest.approx((1.0, 1.0), abs=0.01)
    assert poor.parts.vocabulary == pytest.approx(0.0, abs=1e-4)
    assert 0.0 <= (poor.score or 0.0) <= (rich.score or 0.0) <= 1.0
