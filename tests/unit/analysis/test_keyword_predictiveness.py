from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest

from mistudio_worker.analysis import keyword_predictiveness
from mistudio_worker.analysis.candidate_words import candidate_words
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.keyword_predictiveness import KeywordChecks, check_predictiveness
from mistudio_worker.analysis.positives import Positives
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.analysis.top_examples import GroupedTop


def drawn_texts(count: int, seed: int = 1) -> list[str]:
    """Texts of eight words out of forty."""
    rng = np.random.default_rng(seed)
    vocabulary = [f"w{i:02d}" for i in range(40)]
    return [" ".join(rng.choice(vocabulary, 8)) + f" id{i}" for i in range(count)]


def checked(texts: list[str], fires: list[list[int]], top_k: int = 20, threads: int = 1) -> KeywordChecks:
    """Check features that fire on these texts, the first ones strongest."""
    table = build_term_table(texts)

    def offsets(lists: list[list[int]]) -> np.ndarray:
        return np.cumsum([0, *map(len, lists)]).astype(np.int64)

    def rows(lists: list[list[int]]) -> np.ndarray:
        return np.array([t for texts in lists for t in texts], dtype=np.int32)

    sorted_rows = [sorted(texts) for texts in fires]
    ones = np.ones(sum(map(len, fires)), dtype=np.float32)
    positives = Positives(len(texts), offsets(sorted_rows), rows(sorted_rows), ones)
    top = [texts[:top_k] for texts in fires]
    numbers = np.array([rank for texts in top for rank in range(len(texts))], dtype=np.int32)
    grouped = GroupedTop(offsets(top), rows(top), numbers)
    return check_predictiveness(texts, table, candidate_words(table), positives, grouped, Execution(threads=threads))


def by_hand(texts: list[str], fires: list[int], top_k: int) -> tuple[str, float]:
    """The same by sets of words."""
    words = [set(text.split()) for text in texts]
    half = [crc32(text.encode()) & 1 for text in texts]
    top = fires[:top_k]
    odd, even = top[::2], top[1::2]
    rest = [i for i in range(len(texts)) if half[i] and i not in top]

    def share(rows: list[int], word: str) -> float:
        return sum(word in words[i] for i in rows) / len(rows)

    candidates = sorted(set().union(*(words[i] for i in odd)))
    best = max(candidates, key=lambda word: (share(odd, word) - share(rest, word), [-ord(c) for c in word]))
    silent = [i for i in range(len(texts)) if not half[i] and i not in fires]
    return best, (1 + share(even, best) - share(silent, best)) / 2


def test_word_and_figure_are_those_of_the_definition() -> None:
    """Chosen on the odd ranks and one half of the rest, measured on the even ranks and the silent other half."""
    texts = drawn_texts(300)
    rng = np.random.default_rng(2)
    fires = [rng.choice(300, size, replace=False).tolist() for size in (5, 8, 21, 60, 150)]
    checks = checked(texts, fires)
    terms = build_term_table(texts).terms
    for feature, rows in enumerate(fires):
        word, auroc = by_hand(texts, rows, 20)
        assert terms[checks.term[feature]] == word
        assert checks.auroc[feature] == pytest.approx(auroc, abs=1e-12)
        assert checks.why_undefined(feature) == {}


def test_a_telling_word_is_found_and_chance_is_a_half() -> None:
    """A word of all its texts and no other gives 1; features of random texts scatter around 0.5."""
    texts = [f"{text} heron" if i < 20 else text for i, text in enumerate(drawn_texts(400))]
    rng = np.random.default_rng(3)
    checks = checked(texts, [list(range(20)), *(rng.choice(400, 20, replace=False).tolist() for _ in range(300))])
    assert build_term_table(texts).terms[checks.term[0]] == "heron"
    assert checks.auroc[0] == 1.0
    assert abs(checks.auroc[1:].mean() - 0.5) < 0.02


def test_what_is_not_defined_has_a_reason() -> None:
    """Too few texts, no word, and no silent text are told apart."""
    texts = ["?!", "...", "12 3", "{}", "of the", *drawn_texts(3)]
    few, wordless, everywhere = [0, 1, 5], [0, 1, 2, 3, 4], [5, 6, 7, 0, 1, 2, 3, 4]
    checks = checked(texts, [[], few, wordless, everywhere])
    assert np.isnan(checks.auroc).all()
    reasons = [checks.why_undefined(feature) for feature in range(4)]
    assert "fewer than 4 distinct texts" in reasons[0]["held_out.keyword"]
    assert reasons[1] == reasons[0]
    assert "no word" in reasons[2]["held_out.keyword_auroc"]
    assert list(reasons[3]) == ["held_out.keyword_auroc"]
    assert "does not fire" in reasons[3]["held_out.keyword_auroc"]


def test_rows_threads_and_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts in another order, more threads and smaller tiles give the same words and figures."""
    texts = drawn_texts(200)
    rng = np.random.default_rng(4)
    fires = [rng.choice(200, 30, replace=False).tolist() for _ in range(12)]
    order = rng.permutation(200)
    place = np.argsort(order)
    whole = checked(texts, fires)
    monkeypatch.setattr(keyword_predictiveness, "FEATURE_TILE", 5)
    moved = checked([texts[i] for i in order], [[int(place[i]) for i in rows] for rows in fires], threads=3)
    np.testing.assert_array_equal(moved.term, whole.term)
    np.testing.assert_array_equal(moved.auroc, whole.auroc)
