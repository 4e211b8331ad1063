from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mistudio_worker.analysis import contexts
from mistudio_worker.analysis.contexts import LONGEST_CONTEXT, context_windows
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.top_examples import TopExamples

if TYPE_CHECKING:
    import pytest

FILLER = "lorem ipsum dolor sit amet consectetur " * 20


def context_window(text: str, keywords: list[str]) -> str:
    """The window of the only top text of the only feature."""
    top = TopExamples(np.array([0, 1]), np.zeros(1, dtype=np.int32), np.ones(1, dtype=np.float32))
    [window] = context_windows([text], top, [keywords], Execution())
    return window


def test_a_short_text_stays_whole() -> None:
    """A text that fits is kept, on one line."""
    assert context_window("  one\n two\tthree ", ["two"]) == "one two three"
    assert context_window(" \n", ["x"]) == ""


def test_without_keywords_the_start_is_shown() -> None:
    """Nothing to look for means the beginning, cut between words."""
    window = context_window(FILLER, [])
    assert FILLER.startswith(window.removesuffix("…"))
    assert window.endswith("…")
    assert not window.startswith("…")
    assert FILLER[len(window) - 1] == " "


def test_the_densest_cluster_is_shown() -> None:
    """Two different keywords together win over one that stands alone earlier."""
    text = f"heron {FILLER} a Heron stands in the pond here {FILLER}"
    window = context_window(text, ["heron", "pond"])
    assert "a Heron stands in the pond here" in window
    assert window.startswith("…")
    assert window.endswith("…")


def test_the_earliest_of_equal_clusters_is_shown() -> None:
    """Equal clusters are ranked by their place in the text."""
    window = context_window(f"{FILLER} first heron {FILLER} second heron {FILLER}", ["heron"])
    assert "first heron" in window


def test_keywords_are_whole_words() -> None:
    """A keyword inside another word is no occurrence."""
    window = context_window(f"{FILLER} reuse house {FILLER} we use it {FILLER}", ["use"])
    assert "we use it" in window


def test_pairs_of_characters_are_found_inside_a_run() -> None:
    """In scripts without blanks a keyword stands inside a run."""
    assert "許諾" in context_window("利用" * 300 + "許諾" + "条項" * 300, ["許諾"])


def test_the_end_of_a_text_is_reached() -> None:
    """A keyword in the last words gives a window that ends with the text."""
    window = context_window(f"{FILLER}heron", ["heron"])
    assert window.endswith("heron")
    assert len(window) > LONGEST_CONTEXT // 2


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=600), st.lists(st.text(min_size=1, max_size=8).map(str.casefold), max_size=4))
@example("e\u0301" * 400, ["e\u0301"])
@example("x" * 1000, ["x"])
@example("ß" * 500, ["ss"])
@example("a " * 20_000, ["a"])
def test_windows_are_parts_of_the_text(text: str, keywords: list[str]) -> None:
    """Every window is short, a part of the text, and never begins with a combining mark of its own."""
    line = " ".join(text.split())
    window = context_window(text, keywords)
    inner = window.removeprefix("…").removesuffix("…")
    assert len(window) <= LONGEST_CONTEXT
    assert inner in line
    if window.startswith("…") and "…" not in line and inner:
        assert not unicodedata.combining(inner[0])


def test_structural_keywords_are_found_beside_letters() -> None:
    """A keyword that begins or ends with a mark needs no border there, one of letters does."""
    for keyword in ('{"type":', "*/5", "state of the union"):
        assert keyword in context_window(f"{FILLER} the {keyword}x {FILLER}", [keyword]) or keyword[-1].isalnum()
    text = f"{FILLER} x{{'a':1 {FILLER} *{{'a':1"
    assert "x{'a':1" in context_window(text, ["{'a':"])
    assert context_window(f"{FILLER} union_states {FILLER}", ["union"]).startswith("lorem")


def test_each_top_text_has_the_window_of_its_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that several features share are searched for the keywords of each, whatever the blocks and threads."""
    texts = [f"{FILLER} heron {FILLER} pond {FILLER}", "short", f"{FILLER}\n\nheron {FILLER} pond", " "]
    keywords = [["pond"], [], ["heron", "reed"], ["pond", "heron"]]
    offsets, rows = np.array([0, 3, 3, 6, 10]), np.array([2, 0, 1, 1, 0, 2, 3, 2, 1, 0], dtype=np.int32)
    top = TopExamples(offsets, rows, np.ones(rows.size, dtype=np.float32))
    owner = np.repeat(np.arange(4), np.diff(offsets))
    expected = [context_window(texts[row], keywords[f]) for row, f in zip(rows, owner, strict=True)]
    assert len(set(expected)) == 5
    for characters in (1, 1000, 1 << 20):
        monkeypatch.setattr(contexts, "BLOCK_CHARACTERS", characters)
        assert context_windows(texts, top, keywords, Execution(threads=2)) == expected


def test_without_top_texts_there_are_no_windows() -> None:
    """A run whose features are all dead has none."""
    none = TopExamples(np.zeros(3, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))
    assert context_windows(["a"], none, [[], []], Execution()) == []
