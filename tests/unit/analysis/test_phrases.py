from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mistudio_worker.analysis import phrases
from mistudio_worker.analysis.candidate_words import candidate_words
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.phrase_rules import DEAD, MOST_ATOMS_OF_A_TERM, TOKEN, automaton
from mistudio_worker.analysis.phrases import find_common_phrases, kinds_of_atoms, phrase_text
from mistudio_worker.analysis.terms import TermTable, build_term_table
from mistudio_worker.analysis.top_examples import GroupedTop

if TYPE_CHECKING:
    import pytest

PIECES = st.sampled_from(
    ["heron", "pond", "the", "of", "7", '{"', '"', ":", "*", "/", ",", ".", "日本語", "😂", "-", "}"]
)
TEXTS = st.lists(st.lists(st.tuples(PIECES, st.sampled_from(["", " "])), max_size=14), min_size=1, max_size=8)


def written(pieces: list[list[tuple[str, str]]]) -> list[str]:
    """Join pieces with or without blanks."""
    return ["".join(piece + blank for piece, blank in text) for text in pieces]


def runs_of(table: TermTable, kinds: list[int], text: int) -> dict[tuple[int, ...], int]:
    """Terms of a text as tuples of atoms -> form, without any cleverness."""
    rules = automaton()
    start, end = table.atom_offsets[text : text + 2].tolist()
    found = {}
    for place in range(start, end):
        state, run = 0, []
        for at in range(place, min(end, place + MOST_ATOMS_OF_A_TERM)):
            atom = int(table.atoms[at]) & ~(at == place)
            if atom < 0:
                break
            state = int(rules.steps[state, 2 * kinds[atom >> 1] + (atom & 1)])
            if state in (DEAD, 1):
                break
            run.append(atom)
            if rules.forms[state]:
                found[tuple(run)] = int(rules.forms[state])
    return found


def inside(longer: tuple[int, ...], shorter: tuple[int, ...]) -> bool:
    """Whether the shorter run stands in the longer one; a blank before its first atom does not count."""
    width = len(shorter)
    windows = (longer[i : i + width] for i in range(len(longer) - width + 1))
    return width < len(longer) and any((window[0] & ~1, *window[1:]) == shorter for window in windows)


@settings(deadline=None, max_examples=150)
@given(TEXTS, st.integers(2, 3))
def test_common_phrases_are_those_of_a_plain_count(pieces: list[list[tuple[str, str]]], least: int) -> None:
    """What at least so many of the top texts hold, but for what a longer token stands for; counted over all texts."""
    texts = written(pieces)
    table = build_term_table(texts)
    kinds = kinds_of_atoms(table, candidate_words(table))
    held = [runs_of(table, kinds.tolist(), text) for text in range(len(texts))]
    top = list(range(0, len(texts), 2)) + list(range(1, len(texts), 2))[:2]
    groups = [rank // 2 for rank in range(len(top))]

    def distinct(run: tuple[int, ...]) -> int:
        return len({group for text, group in zip(top, groups, strict=True) if run in held[text]})

    forms = {run: form for text in held for run, form in text.items()}
    counts = {run: sum(run in held[text] for text in top) for run in forms}
    tokens = [run for run, form in forms.items() if form == TOKEN and counts[run] >= least]
    expected = {
        run: (counts[run], distinct(run), sum(run in text for text in held))
        for run in forms
        if counts[run] >= least and not any(counts[token] == counts[run] and inside(token, run) for token in tokens)
    }
    grouped = GroupedTop(np.array([0, len(top)]), np.array(top, dtype=np.int32), np.array(groups, dtype=np.int32))
    found = find_common_phrases(table, grouped, kinds, np.array([least]), Execution(threads=2))
    columns = (found.place, found.length, found.count, found.groups, found.frequency)
    seen = {}
    for place, length, *figures in zip(*(column.tolist() for column in columns), strict=True):
        run = table.atoms[place : place + length].tolist()
        seen[run[0] & ~1, *run[1:]] = tuple(figures)
    assert seen == expected


def test_tiles_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller tiles of features and texts, in threads, give the same finds."""
    rng = np.random.default_rng(3)
    words = ["heron", "pond", "grass:", '{"x":', "tall", "*/5"]
    table = build_term_table([" ".join(rng.choice(words, 8)) for _ in range(60)])
    kinds = kinds_of_atoms(table, candidate_words(table))
    top = GroupedTop(
        np.arange(0, 60, 6), rng.integers(0, 60, 54).astype(np.int32), np.tile(np.arange(6, dtype=np.int32), 9)
    )
    whole = find_common_phrases(table, top, kinds, np.full(9, 3), Execution())
    monkeypatch.setattr(phrases, "FEATURE_TILE", 2)
    monkeypatch.setattr(phrases, "TEXT_TILE", 7)
    parts = find_common_phrases(table, top, kinds, np.full(9, 3), Execution(threads=3))
    assert whole.place.size > 20
    for name in ("feature", "place", "length", "count", "groups", "frequency"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_a_feature_keeps_its_most_common_phrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more than may be kept, those in most texts are."""
    table = build_term_table(["red heron", "red heron", "red heron blue pond", "blue pond"])
    kinds = kinds_of_atoms(table, candidate_words(table))
    top = GroupedTop(np.array([0, 4]), np.arange(4, dtype=np.int32), np.arange(4, dtype=np.int32))
    monkeypatch.setattr(phrases, "MOST_PHRASES", 1)
    found = find_common_phrases(table, top, kinds, np.array([2]), Execution())
    assert [phrase_text(table, int(found.place[0]), int(found.length[0])), *found.count.tolist()] == ["red heron", 3]


def test_a_phrase_is_written_as_it_stands() -> None:
    """Blanks are single, pairs of characters overlap, marks keep their place."""
    table = build_term_table(["The  Red\nHeron 日本語API {'x':1}"])
    assert phrase_text(table, 0, table.atoms.size) == "the red heron 日本語api {'x':1}"
