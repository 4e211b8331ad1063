from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mistudio_worker.analysis.best_cut import Cut, _positions, best_cut

if TYPE_CHECKING:
    from numpy.typing import NDArray


def gram(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines of some vectors."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


def cut_of(likeness: NDArray[np.float64], counts: list[float] | None = None) -> Cut:
    """Cut of one feature."""
    draws = np.ones(len(likeness)) if counts is None else np.array(counts, dtype=np.float64)
    return best_cut(likeness[None], draws[None])


def by_definition(
    likeness: NDArray[np.float64], counts: NDArray[np.float64], first: NDArray[np.bool_]
) -> tuple[float, float]:
    """Weighted mean likeness across and inside a cut, pair by pair."""
    sums = np.zeros((2, 2))
    for i in range(len(counts)):
        for j in range(len(counts)):
            if i != j:
                sums[int(first[i] == first[j])] += counts[i] * counts[j] * np.array([likeness[i, j], 1.0])
    return float(sums[0, 0] / sums[0, 1]), float(sums[1, 0] / sums[1, 1])


def test_two_concepts_are_parted() -> None:
    """Six texts along one axis and four along another, shuffled: nothing across, everything inside."""
    vectors = np.eye(3)[[0, 1, 0, 0, 1, 0, 1, 0, 1, 0]]
    found = cut_of(gram(vectors))
    assert found.found.all()
    side = found.first[0]
    assert len(set(side[vectors[:, 0] == 1])) == 1
    assert len(set(side)) == 2
    assert (found.across[0], found.inside[0]) == pytest.approx((0.0, 1.0))


def test_a_few_odd_texts_are_no_half() -> None:
    """Two of ten texts that have nothing to do with the rest take others along to a side of a quarter."""
    vectors = np.vstack([np.tile([1.0, 0.0, 0.0], (8, 1)), np.eye(3)[1:]])
    found = cut_of(gram(vectors))
    assert min(found.first.sum(), 10 - found.first.sum()) == 3
    assert found.across[0] == pytest.approx(7 / 21)


@pytest.mark.parametrize("seed", range(5))
def test_likeness_is_that_of_the_definition(seed: int) -> None:
    """Across and inside, and each text's share of them, with unequal numbers of draws and padding."""
    random = np.random.default_rng(seed)
    likeness = gram(random.normal(size=(12, 5))) - 0.1
    counts = np.array([5, 4, 4, 3, 3, 3, 2, 2, 1, 1, 0, 0], dtype=np.float64)
    likeness[10:], likeness[:, 10:] = 7.0, 7.0
    found = best_cut(likeness[None], counts[None])
    first = found.first[0]
    across, inside = by_definition(likeness[:10, :10], counts[:10], first[:10])
    assert (found.across[0], found.inside[0]) == pytest.approx((across, inside))
    assert not first[10:].any()
    assert 0.25 <= (counts * first).sum() / counts.sum() <= 0.75
    weight = counts[:, None] * counts[None, :] * likeness
    np.fill_diagonal(weight, 0.0)
    same = first[:, None] == first[None, :]
    assert found.text_inside[0, :10] == pytest.approx((weight * same)[:10].sum(axis=1))
    assert found.text_across[0, :10] == pytest.approx((weight * ~same)[:10].sum(axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_no_cut_of_two_noisy_concepts_is_much_better(seed: int) -> None:
    """Of all cuts of eight texts with two on a side at least, the found one is the best or within 0.1 of it."""
    random = np.random.default_rng(seed)
    vectors = np.eye(6)[[0, 0, 0, 0, 1, 1, 1, 1]] + 0.3 * random.normal(size=(8, 6))
    likeness, counts = gram(vectors), np.ones(8)
    found = cut_of(likeness)
    gaps = []
    for bits in range(1, 128):
        first = np.array([bool(bits >> i & 1) for i in range(8)])
        if 2 <= first.sum() <= 6:
            across, inside = by_definition(likeness, counts, first)
            gaps.append(inside - across)
    assert found.inside[0] - found.across[0] >= max(gaps) - 0.1


def test_features_are_cut_independently() -> None:
    """Many at once are each as alone, to the last bit."""
    random = np.random.default_rng(3)
    likeness = np.stack([gram(random.normal(size=(9, 4))) for _ in range(7)])
    counts = random.integers(1, 4, size=(7, 9)).astype(np.float64)
    together = best_cut(likeness, counts)
    for f in range(7):
        alone = best_cut(likeness[f : f + 1], counts[f : f + 1])
        assert (alone.across[0], alone.inside[0]) == (together.across[f], together.inside[f])
        assert alone.first[0].tolist() == together.first[f].tolist()


def test_without_texts_there_is_no_cut() -> None:
    """No draws, and three texts of which each has more than a quarter: not found."""
    assert not cut_of(np.zeros((5, 5)), [0.0] * 5).found.any()
    assert not cut_of(np.ones((2, 2)), [4.0, 1.0]).found.any()
    assert cut_of(np.ones((4, 4))).found.all()


@pytest.mark.parametrize("seed", range(6))
def test_texts_are_lined_up_along_the_leading_eigenvector(seed: int) -> None:
    """Of the centred likeness, whose diagonal holds each text's mean likeness to the others; of equal draws."""
    random = np.random.default_rng(seed)
    likeness = gram(random.normal(size=(14, 6)) + 0.8 * np.eye(6)[np.arange(14) % 2])
    pairs = likeness - np.diag(np.diag(likeness))
    table = pairs + np.diag(pairs.sum(axis=1) / 13)
    centre = np.eye(14) - 1 / 14
    leading = np.linalg.eigh(centre @ table @ centre)[1][:, -1]
    found = _positions(likeness[None], pairs[None], np.ones((1, 14)))[0]
    assert abs(np.corrcoef(found, leading)[0, 1]) > 0.999
