from __future__ import annotations

import pytest

from bench.truth.baseline import frequent_words, word_overlap
from bench.truth.figure import Figure
from bench.truth.keyword_truth import holders, names
from bench.truth.table import END, START, between_markers


def test_word_overlap_by_hand() -> None:
    """Jaccard of {a b}, {b c} is 1/3; a pair of empty texts has none; a single text has no pair."""
    assert word_overlap(["a b", "B c"]) == pytest.approx(1 / 3)
    assert word_overlap(["", ""]) == 0
    assert word_overlap(["a b"]) == 0


def test_frequent_words_are_those_of_most_texts() -> None:
    """Repeats in one text do not count, short words neither; ties by code point."""
    assert frequent_words(["lamp lamp the", "tree lamp", "tree bush"]) == ("lamp", "tree", "bush")


def test_holders_respect_word_boundaries() -> None:
    """Whole words, phrases over separators, structural tokens, unspaced scripts."""
    texts = ("A statesman spoke.", "The States, united", '{"type": 1}', "他在机场")
    assert holders("states", texts) == (False, True, False, False)
    assert holders("states united", texts) == (False, True, False, False)
    assert holders('{"type"', texts) == (False, False, True, False)
    assert holders("机场", texts) == (False, False, False, True)


def test_a_keyword_names_the_planted_word() -> None:
    """Itself, one of its words, or a part in an unspaced script."""
    assert names("united states", "states")
    assert names('{"type"', "type")
    assert names("โรงพ", "โรงพยาบาล")
    assert not names("statesman", "states")


def test_a_figure_without_a_value_misses_its_target() -> None:
    """What is not published cannot be met; what has no target cannot be missed."""
    assert Figure("a", 0.9, None, None, at_most=False, corpora=()).met is False
    assert Figure("a", None, 0.1, None, at_most=False, corpora=()).met is None
    assert Figure("a", 0.1, 0.1, None, at_most=True, corpora=()).met is True
    assert Figure("a", 0.1, 0.2, None, at_most=True, corpora=()).met is False


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    """A page without markers is refused."""
    assert between_markers(f"a\n{START}\nold\n{END}\nb\n", "new\n") == f"a\n{START}\nnew\n{END}\nb\n"
    with pytest.raises(ValueError, match="lacks"):
        between_markers("a", "new")
