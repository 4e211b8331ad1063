"""One-to-one matching: exactly the greedy one, whatever the tiles, the ties and the clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparisons import given_similarities

from mistudio_worker.analysis.execution import Execution
from mistudio_worker.comparison import matching
from mistudio_worker.comparison.matching import Matching, match_features

if TYPE_CHECKING:
    import pytest


def matched(matrix: np.ndarray, min_similarity: float = 0.5, threads: int = 2, **comparable: list[bool]) -> Matching:
    """Match by a matrix."""
    similarities = given_similarities(matrix, **comparable)
    return match_features(similarities, min_similarity, Execution(threads=threads), lambda _share: None)


def greedy(matrix: np.ndarray, min_similarity: float) -> list[int]:
    """By the definition: all pairs in order, each taken where both are still free."""
    pairs = sorted((-matrix[a, b], a, b) for a, b in np.argwhere(matrix >= min_similarity))
    partners, taken = [-1] * len(matrix), set()
    for _, a, b in pairs:
        if partners[a] < 0 and b not in taken:
            partners[a] = int(b)
            taken.add(b)
    return partners


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    levels=st.integers(1, 60),
    threshold=st.sampled_from([0.05, 0.5, 0.9]),
    seed=st.integers(0, 9999),
)
def test_it_is_the_greedy_matching(shape: tuple[int, int], levels: int, threshold: float, seed: int) -> None:
    """Of any size, with many ties and with few, the pairs are those of the definition."""
    matrix = np.random.default_rng(seed).integers(0, levels + 1, size=shape) / levels
    assert matched(matrix, threshold).partners.tolist() == greedy(matrix, threshold)


def test_more_equal_features_than_a_list_holds() -> None:
    """A cluster of 50 equal features is matched whole, each with the one of its rank."""
    found = matched(np.ones((50, 50)))
    assert found.partners.tolist() == list(range(50))
    assert found.similarities.tolist() == [1.0] * 50


def test_tiles_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows a tile or all at once, on one thread or three: the same matching to the last bit."""
    matrix = np.round(np.random.default_rng(3).random((40, 30)), 2)
    whole = matched(matrix, 0.3)
    monkeypatch.setattr(matching, "ROW_TILE", 3)
    for threads in (1, 3):
        cut = matched(matrix, 0.3, threads)
        for name in Matching.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))


def test_the_nearest_is_named_whether_matched_or_not() -> None:
    """Nearest is over all that are comparable, below the threshold and taken alike; ties to the lower id."""
    found = matched(np.array([[0.9, 0.2, 0.9], [0.8, 0.4, 0.1]]))
    assert found.partners.tolist() == [0, -1]
    assert found.nearest_b.tolist() == [0, 0]
    assert found.nearest_b_similarities.tolist() == [0.9, 0.8]
    assert found.nearest_a.tolist() == [0, 1, 0]
    assert found.nearest_a_similarities.tolist() == [0.9, 0.4, 0.9]


def test_what_is_not_comparable_is_nobodys() -> None:
    """A row or column that is not comparable is neither matched nor nearest, whatever stands in it."""
    matrix = np.array([[1.0, 0.6, np.nan], [1.0, 0.7, 1.0]])
    found = matched(matrix, comparable_a=[True, False], comparable_b=[False, True, False])
    assert found.partners.tolist() == [1, -1]
    assert found.nearest_b.tolist() == [1, -1]
    assert found.nearest_a.tolist() == [-1, 0, -1]


def test_a_similarity_at_the_threshold_matches() -> None:
    """The threshold itself is enough, also where a product missed it by the last bit."""
    assert matched(np.array([[0.7 - 1e-13]]), 0.7).partners.tolist() == [0]
    assert matched(np.array([[0.7 - 1e-8]]), 0.7).partners.tolist() == [-1]


def test_a_similarity_is_never_over_one() -> None:
    """What rounding lifts over 1 is 1."""
    assert matched(np.array([[1.0 + 4e-16]])).similarities.tolist() == [1.0]
