from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mistudio_worker.analysis import pattern_search
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.pattern_search import find_matches

TEXTS = [
    "select a from b",
    "SELECT A FROM B",
    "one, two, three",
    "from 12:30 to 13:00",
    "naïve — Привет",
    "",
    "a|b (c) \\Q x",
    "b",
    "the end.",
]
EXPRESSIONS = [
    "(?i)select",
    "from",
    "^b$",
    r"\d{1,2}:\d\d",
    r"\p{Cyrillic}",
    "a|one",
    r"\Qa|b (c",
    r"(\w+, ){2,}",
    "[.]$",
    ".{2,20} to",
    "never",
    "(?i)THE|^$",
]


def alone(expression: str) -> list[int]:
    """Search for one expression in one text after another."""
    return [i for i, text in enumerate(TEXTS) if pc.match_substring_regex(pa.array([text]), expression)[0].as_py()]


@pytest.mark.parametrize("grouped", [1, 3, 5, 100])
@pytest.mark.parametrize("block", [1, 20, 1 << 22])
def test_groups_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, grouped: int, block: int) -> None:
    """Flags, anchors and alternatives of one expression do not leak into those that it is searched with."""
    monkeypatch.setattr(pattern_search, "GROUPED", grouped)
    monkeypatch.setattr(pattern_search, "BLOCK_CHARACTERS", block)
    found = find_matches(TEXTS, EXPRESSIONS, Execution(threads=2))
    assert {expression: rows.tolist() for expression, rows in found.items()} == {e: alone(e) for e in EXPRESSIONS}


def test_expressions_that_are_too_large_together_are_searched_alone() -> None:
    """Each takes half of what RE2 may use for a program."""
    large = [r"a\p{L}{300}", r"b\p{L}{300}", "o{1,20}.*e"]
    with pytest.raises(pa.ArrowInvalid):
        pc.match_substring_regex(pa.array([""]), "|".join(large[:2]))
    assert [rows.tolist() for rows in find_matches(["one", "two"], large, Execution()).values()] == [[], [], [0]]


def test_nothing_to_look_for_or_in() -> None:
    """No expressions find nothing, and no texts hold nothing."""
    assert find_matches(["a"], [], Execution()) == {}
    assert find_matches([], ["a"], Execution())["a"].tolist() == []
