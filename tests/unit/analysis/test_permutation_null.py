from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import kstest, pearson3

from mistudio_worker.analysis.kernels.null import weight_sums
from mistudio_worker.analysis.permutation_null import PairMoments, _pearson3, pair_moments, percentiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Weighted = NDArray[np.float64]


def gram(random: np.random.Generator, n: int, dim: int) -> Weighted:
    """Cosines of random vectors around a few topics, so that some pairs are very alike."""
    vectors = random.normal(size=(n, dim)) + 1.5 * np.eye(dim)[random.integers(dim, size=n)] + 0.5
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


def moments_of(cosines: Weighted) -> tuple[PairMoments, float]:
    """Moments of a whole population, and its mean."""
    n = len(cosines)
    to_all = (cosines.sum(axis=1) - 1.0) / (n - 1)
    mean = float(to_all.mean())
    return pair_moments(cosines, to_all, mean, n), mean


def sums_of(weights: Weighted, n: int) -> Weighted:
    """Sums of one feature whose weights lie on the first texts."""
    entries = (np.array([0, weights.size]), np.arange(weights.size, dtype=np.int32), weights.astype(np.float32))
    return np.asarray(weight_sums(entries, np.ones(n, dtype=np.bool_), n)[1])


def excess(weights: Weighted, cosines: Weighted, mean: float) -> float:
    """Sum w w S - mean (S1^2 - S2) over ordered pairs."""
    pairs = np.outer(weights, weights)
    np.fill_diagonal(pairs, 0.0)
    return float((pairs * (cosines[: weights.size, : weights.size] - mean)).sum())


def test_mean_and_variance_are_those_of_all_permutations() -> None:
    """Seven texts, every order of the weights: mean 0, and the variance but for 1 / n."""
    cosines = gram(np.random.default_rng(1), 7, 3)
    moments, mean = moments_of(cosines)
    weights = np.array([1.0, 0.5, 0.25, 0, 0, 0, 0])
    values = [excess(weights, cosines[np.ix_(order, order)], mean) for order in itertools.permutations(range(7))]
    c2, *_, v2, _, v4, _ = sums_of(weights[:3], 7)[0]
    variance = moments.a2 * c2 + 2 * moments.e2 * (v2 * v2 - v4)
    assert np.mean(values) == pytest.approx(0.0, abs=1e-12)
    assert variance == pytest.approx(np.var(values), rel=0.25)


@pytest.mark.parametrize("fires", [12, 60, 170])
def test_three_moments_are_those_of_random_placements(fires: int) -> None:
    """Of 200 texts, sparse to dense: variance and skew of 20,000 placements."""
    random = np.random.default_rng(2)
    cosines = gram(random, 200, 6)
    moments, mean = moments_of(cosines)
    weights = random.random(fires).astype(np.float32).astype(np.float64)
    values = []
    for _ in range(20_000):
        chosen = random.choice(200, fires, replace=False)
        values.append(excess(weights, cosines[np.ix_(chosen, chosen)], mean))
    found = np.array(values)
    c2, c3, cv, c2v2, cv2, cv4, v2, v3, v4, v6 = sums_of(weights, 200)[0]
    variance = moments.a2 * c2 + 2 * moments.e2 * (v2 * v2 - v4)
    third = (
        moments.a3 * c3 + 6 * moments.aae * (cv * cv - c2v2) + 12 * moments.aee * (cv2 * v2 - cv4)
        + 4 * moments.e3 * (v3 * v3 - v6) + 8 * moments.triangle * (v2**3 - 3 * v2 * v4 + 2 * v6)
    )  # fmt: skip
    assert variance == pytest.approx(found.var(), rel=0.05)
    skew = float(((found - found.mean()) ** 3).mean() / found.std() ** 3)
    assert third / variance**1.5 == pytest.approx(skew, abs=0.12)


@pytest.mark.parametrize(("n", "sampled"), [(240, 240), (1500, 300)])
def test_percentiles_of_random_features_are_uniform(n: int, sampled: int) -> None:
    """600 features of 20 to 80 % of the texts: Kolmogorov-Smirnov; moments of all texts or of a sample."""
    random = np.random.default_rng(3)
    cosines = gram(random, n, 8)
    to_all = (cosines.sum(axis=1) - 1.0) / (n - 1)
    mean = float(to_all.mean())
    moments = pair_moments(cosines[:sampled, :sampled], to_all[:sampled], mean, n)
    found = []
    for _ in range(600):
        fires = int(np.exp(random.uniform(np.log(20), np.log(0.8 * n))))
        chosen = random.choice(n, fires, replace=False)
        weights = random.random(fires).astype(np.float32).astype(np.float64)
        value = np.array([excess(weights, cosines[np.ix_(chosen, chosen)], mean)])
        found.append(float(percentiles(value, sums_of(weights, n), moments, n)[0]))
    assert kstest(found, "uniform").pvalue > 0.01


def test_pearson3_equals_scipy() -> None:
    """Skewed to the right, to the left and not at all."""
    z = np.linspace(-2.5, 4.0, 14)
    for skew in (0.3, 1.2, 2.8, -0.7):
        assert _pearson3(z, np.full(14, skew)) == pytest.approx(pearson3.cdf(z, skew), abs=1e-9)
    assert _pearson3(np.zeros(1), np.zeros(1))[0] == 0.5
    assert _pearson3(np.array([1.0]), np.array([2e-4])) == pytest.approx(
        _pearson3(np.array([1.0]), np.zeros(1)), abs=1e-4
    )


def test_what_three_moments_do_not_tell_is_undefined() -> None:
    """Few texts, equal weights on all of them, an undefined coherence, and a pair that decides alone."""
    cosines = gram(np.random.default_rng(4), 60, 4)
    moments, _ = moments_of(cosines)
    some, every = sums_of(np.arange(1, 31) / 30, 60), sums_of(np.ones(60), 60)
    assert np.isfinite(percentiles(np.array([0.1]), some, moments, 60)).all()
    assert np.isnan(percentiles(np.array([0.1]), some, moments, 19)).all()
    assert np.isnan(percentiles(np.array([0.0]), every, moments, 60)).all()
    assert np.isnan(percentiles(np.array([np.nan]), some, moments, 60)).all()
    rare = PairMoments(0.0, 0.0, 0.0, 0.0, 1e-4, 5e-5, 0.0)
    assert np.isnan(percentiles(np.array([0.1]), sums_of(np.ones(3), 60), rare, 60)).all()
