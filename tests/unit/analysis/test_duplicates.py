from __future__ import annotations

import itertools

import numpy as np
import pytest

from mistudio_worker.analysis import duplicates
from mistudio_worker.analysis.duplicates import group_duplicates, group_top_texts, near_duplicate_shares
from mistudio_worker.analysis.terms import build_term_table
from mistudio_worker.analysis.top_examples import TopExamples


def groups_of(texts: list[str]) -> list[int]:
    """Group of each text."""
    found = group_duplicates(texts, build_term_table(texts))
    assert found.repeated_texts == len(texts) - len(set(found.group.tolist()))
    return [int(group) for group in found.group]


def jaccard(first: str, second: str) -> float:
    """Of the distinct words of two texts."""
    a, b = set(first.split()), set(second.split())
    return len(a & b) / len(a | b)


def drawn_texts(seed: int, count: int, words: int) -> list[str]:
    """Texts of 1 to 12 words, half of them changed copies of an earlier one."""
    random = np.random.default_rng(seed)
    vocabulary = [f"w{i}" for i in range(words)]
    texts: list[str] = []
    for _ in range(count):
        if texts and random.random() < 0.5:
            changed = texts[random.integers(len(texts))].split()
            changed[random.integers(len(changed))] = str(random.choice(vocabulary))
        else:
            changed = random.choice(vocabulary, random.integers(1, 13)).tolist()
        texts.append(" ".join(changed))
    return texts


def test_four_fifths_of_the_words_make_a_near_duplicate() -> None:
    """Exactly 0.8 does, less does not; the group is the lowest index, whatever order the words stand in."""
    assert groups_of(["a b c d e", "q", "a b c d", "E, d; c b a!", "a b c"]) == [0, 1, 0, 0, 4]


def test_texts_without_words_are_alike_where_they_are_equal() -> None:
    """Signs alone are compared as they stand, but for blanks."""
    assert groups_of(["", "?!", " ", "{}", "?!\n"]) == [0, 1, 0, 3, 1]


def test_scripts_without_blanks_are_compared_by_pairs_of_characters() -> None:
    """One changed character in twenty leaves 17 of 21 pairs."""
    text = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往"
    assert groups_of([text, text.replace("寒", "冷"), text[::-1]]) == [0, 0, 2]


@pytest.mark.parametrize(("words", "count"), [(12, 60), (60, 150), (400, 250)])
@pytest.mark.parametrize("seed", range(4))
def test_no_near_pair_is_overlooked(words: int, count: int, seed: int) -> None:
    """Against all pairs: leaders are far from each other, and every text is near its leader."""
    texts = drawn_texts(seed, count, words)
    groups = groups_of(texts)
    sizes = {group: [i for i, own in enumerate(groups) if own == group] for group in set(groups)}
    for members in sizes.values():
        assert any(all(jaccard(texts[i], texts[leader]) >= 0.8 for i in members) for leader in members)
    alone = [members[0] for members in sizes.values() if len(members) == 1]
    assert all(jaccard(texts[i], texts[j]) < 0.8 for i, j in itertools.combinations(alone, 2))


@pytest.mark.parametrize("seed", range(4))
def test_order_of_rows_does_not_change_the_groups(seed: int) -> None:
    """Permuted texts fall into the same groups."""
    texts = drawn_texts(seed, 120, 30)
    order = np.random.default_rng(seed).permutation(len(texts))
    before = np.array(groups_of(texts))[order]
    after = groups_of([texts[i] for i in order])
    pairs = set(zip(before.tolist(), after, strict=True))
    assert len(pairs) == len(set(after)) == len(set(before.tolist()))


def test_comparisons_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any candidate a term, only the bound stands between a text and its near-duplicate."""
    texts = ["a b c d e f g h i x", "a b c d e f g h i x w"]
    assert groups_of(texts) == [0, 0]
    monkeypatch.setattr(duplicates, "MOST_CANDIDATES", 0)
    assert groups_of(texts) == [0, 1]


def test_shares_count_the_repeats_of_better_ranked_texts() -> None:
    """The first of a group is no repeat; below two top texts there is no share."""
    texts = ["a b c d e", "a b c d", "a b c", "A, b; c d e!", "", "?"]
    lists: list[list[int]] = [[0, 1], [0, 2], [0, 3, 1], [4, 5], [0], [], [0, 4]]
    offsets = np.cumsum([0, *map(len, lists)])
    members = np.array([text for texts_ in lists for text in texts_], dtype=np.int32)
    top = TopExamples(offsets, members, np.ones(members.size, dtype=np.float32))
    shares = near_duplicate_shares(group_duplicates(texts, build_term_table(texts)), top)
    np.testing.assert_array_equal(shares, [0.5, 0.0, 2 / 3, 0.0, np.nan, np.nan, 0.0])


def test_repeats_among_top_texts_stand_side_by_side() -> None:
    """Groups keep the order of their best-ranked text; features stay apart; the best of each group is distinct."""
    texts = ["a b c d e", "q", "a b c d", "r", "a b c d e"]
    top = TopExamples(
        np.array([0, 4, 4, 6]), np.array([2, 1, 0, 3, 0, 4], dtype=np.int32), np.array([9, 8, 7, 6, 5, 4], np.float32)
    )
    found = group_top_texts(group_duplicates(texts, build_term_table(texts)), top)
    assert found.texts.tolist() == [2, 0, 1, 3, 0, 4]
    assert found.groups.tolist() == [0, 0, 1, 2, 0, 0]
    assert [column.tolist() for column in found.distinct()] == [[0, 3, 3, 4], [2, 1, 3, 0]]


def test_no_top_texts_have_no_groups() -> None:
    """Dead features alone are none to group."""
    top = TopExamples(np.array([0, 0, 0]), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))
    found = group_top_texts(group_duplicates(["a"], build_term_table(["a"])), top)
    assert [column.tolist() for column in found.distinct()] == [[0, 0, 0], []]
