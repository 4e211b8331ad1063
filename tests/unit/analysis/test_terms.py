from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistudio_worker.analysis import terms
from mistudio_worker.analysis.terms import TermTable, build_term_table


def terms_of(table: TermTable, text: int) -> list[str]:
    """Read the terms of one text."""
    return [table.terms[i] for i in table.ids[table.offsets[text] : table.offsets[text + 1]]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat, the CAT.", ["cat", "the"]),
        ("don't self-aware max_tokens 15min", ["15min", "don't", "max_tokens", "self-aware"]),
        ("--flag 'quoted' a--b", ["a", "b", "flag", "quoted"]),
        ("Straße ΣΊΣΥΦΟΣ", ["strasse", "σίσυφοσ"]),
        ("می\u200cخواهم \u200fشالوم", ["شالوم", "می\u200cخواهم"]),
        ("caf\u0065\u0301 हिन्दी", ["cafe\u0301", "हिन्दी"]),
        ("日本語API", ["api", "日本", "本語"]),
        ("火!", ["火"]),
        ("", []),
        (" \n\t!?", []),
    ],
)
def test_words_are_cut_at_unicode_borders(text: str, expected: list[str]) -> None:
    """Terms are whole case-folded words, and pairs of characters in scripts without blanks."""
    assert terms_of(build_term_table([text]), 0) == expected


def test_counts_are_of_texts_and_of_words() -> None:
    """Document frequency counts texts, length counts words with their repeats."""
    table = build_term_table(["a b a", "b", ""])
    assert table.terms == ("a", "b")
    assert table.document_frequency.tolist() == [1, 2]
    assert table.lengths.tolist() == [3, 1, 0]
    assert table.offsets.tolist() == [0, 2, 3, 3]


def test_overlong_words_are_no_terms() -> None:
    """A word of 200,000 letters counts as a word, and is not kept."""
    table = build_term_table(["x" * 200_000 + " y", "z" * 64, "z" * 65])
    assert table.terms == ("y", "z" * 64)
    assert table.lengths.tolist() == [2, 1, 1]


def test_no_texts_give_an_empty_table() -> None:
    """An empty corpus has no terms and no lengths."""
    table = build_term_table([])
    assert (table.terms, table.offsets.tolist(), table.lengths.size) == ((), [0], 0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(alphabet="abcdeé'’-_ .\n019ß", max_size=60), max_size=12))
def test_terms_agree_with_a_regular_expression(texts: list[str]) -> None:
    """The compiled pass finds what Python's own expression finds."""
    table = build_term_table(texts)
    for i, text in enumerate(texts):
        words = re.findall(r"\w+(?:['’-]\w+)*", text.casefold())
        assert terms_of(table, i) == sorted(w for w in set(words) if len(w) <= 64)
        assert table.lengths[i] == len(words)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=30), max_size=12), st.integers(1, 40))
def test_blocks_do_not_change_the_table(texts: list[str], block: int) -> None:
    """The size of the blocks is invisible in the result, whatever the characters."""
    whole = build_term_table(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terms, "BLOCK_CHARACTERS", block)
        parts = build_term_table(texts)
    assert parts.terms == whole.terms
    assert parts.marks == whole.marks
    for name in ("offsets", "ids", "document_frequency", "lengths", "atom_offsets", "atoms"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_every_code_point_is_read() -> None:
    """No character of Unicode, lone surrogates included, breaks the pass."""
    table = build_term_table(["".join(map(chr, range(0, sys.maxunicode + 1, 7)))])
    assert table.lengths[0] > 0


def read(table: TermTable, text: int) -> list[str]:
    """Atoms of a text as they read, `_` for a blank before."""
    symbols = [*table.terms, *table.marks]
    atoms = table.atoms[table.atom_offsets[text] : table.atom_offsets[text + 1]].tolist()
    return [("_" if atom & 1 else "") + symbols[atom >> 1] if atom >= 0 else "?" for atom in atoms]


def test_the_order_of_terms_and_marks_is_kept() -> None:
    """Repeats, marks and blanks stand where they stand in the text; an over-long word leaves a gap."""
    table = build_term_table(["The {x: the}", "", "z" * 65 + "-a 日本語", "a\u200f.b"])
    assert read(table, 0) == ["_the", "_{", "x", ":", "_the", "}"]
    assert read(table, 1) == []
    assert read(table, 2) == ["?", "_日本", "本語"]
    assert read(table, 3) == ["_a", "_.", "b"]
    assert table.marks == ".:{}"


def test_the_order_is_kept_of_the_start_of_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond MOST_ATOMS the terms still count, without their place."""
    monkeypatch.setattr(terms, "MOST_ATOMS", 3)
    table = build_term_table(["a, b, c", "d"])
    assert [read(table, 0), read(table, 1)] == [["_a", ",", "_b"], ["_d"]]
    assert terms_of(table, 0) == ["a", "b", "c"]
