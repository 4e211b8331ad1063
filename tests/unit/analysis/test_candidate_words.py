from __future__ import annotations

import pytest

from mistudio_worker.analysis.candidate_words import candidate_words, stop_words
from mistudio_worker.analysis.terms import build_term_table


def candidates_of(texts: list[str], also: frozenset[str] = frozenset()) -> list[str]:
    """Words of the texts that may be keywords."""
    table = build_term_table(texts)
    return [term for term, may in zip(table.terms, candidate_words(table, also), strict=True) if may]


def test_words_without_meaning_are_left_out() -> None:
    """Stop words, single letters, numbers and what begins with a combining mark."""
    assert candidates_of(["the heron 2024 q 15min", "ปีที่"]) == ["15min", "heron", "ที", "ปี"]
    assert candidates_of(["the heron stands"], frozenset({"heron"})) == ["stands"]


def test_words_of_another_language_stop_where_they_are_common() -> None:
    """In a German corpus `nicht` is a stop word; in an English one it tells the few German texts apart."""
    assert "nicht" in candidates_of(["nicht wahr"] * 10 + ["not true"] * 190)
    assert "nicht" not in candidates_of(["nicht wahr"] * 20 + ["not true"] * 180)


@pytest.mark.parametrize("name", ["stop_words.txt", "stop_words_other.txt"])
def test_stop_words_are_terms(name: str) -> None:
    """The lists hold terms as the table writes them: case-folded, whole."""
    words = sorted(stop_words(name))
    assert len(words) > 200
    assert words == sorted(word for word in words if build_term_table([word]).terms == (word,))


def test_no_word_of_programs_stops() -> None:
    """Words of other languages that are words of programs or of English stay candidates."""
    other = stop_words("stop_words_other.txt")
    assert not other & {"die", "son", "os", "com", "min", "dos", "var", "io", "era", "sin", "door", "car"}
