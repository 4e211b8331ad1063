from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis import shared_top_texts
from mistudio_worker.analysis.shared_top_texts import find_shared_top_texts
from mistudio_worker.analysis.top_examples import TopExamples
from mistudio_worker.domain.find_result import SharedTopTexts

if TYPE_CHECKING:
    import pytest


def shared_in(lists: list[list[int]], texts: int = 200) -> tuple[SharedTopTexts, ...]:
    """Pairs of the features with the given top texts."""
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    entries = np.array([text for top in lists for text in top], dtype=np.int32)
    return find_shared_top_texts(TopExamples(offsets, entries, np.ones(entries.size, dtype=np.float32)), texts)


def test_half_of_the_smaller_is_enough() -> None:
    """3 of 6 is half, 2 of 5 is not; the order of the ranks does not matter."""
    found = shared_in([[1, 2, 3, 4, 5, 6], [6, 5, 4, 10, 11, 12, 13], [20, 21, 22, 1, 2]])
    assert found == (SharedTopTexts((0, 1), 3, 0.5),)


def test_most_shared_first_then_lower_ids() -> None:
    """Seven shared texts come before five of five; equal ones by their ids."""
    five, eight = [1, 2, 3, 4, 5], [11, 12, 13, 14, 15, 16, 17, 18]
    found = shared_in([five, eight, five, [*eight[:7], 30], five])
    assert [(pair.feature_ids, pair.shared, pair.share) for pair in found] == [
        ((1, 3), 7, 7 / 8),
        ((0, 2), 5, 1.0),
        ((0, 4), 5, 1.0),
        ((2, 4), 5, 1.0),
    ]


def test_few_top_texts_say_nothing() -> None:
    """Below 5 top texts a feature is in no pair; dead ones are none either."""
    assert shared_in([[1, 2, 3, 4], [1, 2, 3, 4], [], [1, 2, 3, 4, 5]]) == ()


def test_pairs_are_those_of_all_comparisons() -> None:
    """The first 20 of all pairs, against every pair of sets."""
    random = np.random.default_rng(6)
    lists = [random.choice(60, random.integers(0, 25), replace=False).tolist() for _ in range(60)]
    every = []
    for low in range(60):
        for high in range(low + 1, 60):
            fewer, shared = min(len(lists[low]), len(lists[high])), len({*lists[low]} & {*lists[high]})
            if fewer >= 5 and 2 * shared >= fewer:
                every.append((-shared, low, high))
    assert len(every) > 20
    found = shared_in(lists, 60)
    assert [(-pair.shared, *pair.feature_ids) for pair in found] == sorted(every)[:20]


def test_a_text_on_top_of_very_many_features_costs_no_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is compared with the next few of a text only; the pairs with the lowest ids are found all the same."""
    monkeypatch.setattr(shared_top_texts, "COMPARED", 3)
    found = shared_in([[1, 2, 3, 4, 5]] * 50)
    assert [pair.feature_ids for pair in found[:4]] == [(0, 1), (0, 2), (0, 3), (1, 2)]
    assert len(found) == 20
