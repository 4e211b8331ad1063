from __future__ import annotations

import numpy as np
import pytest

from bench.truth.statistics import Auroc, auroc, mean_auroc, uniformity


def test_auroc_by_hand() -> None:
    """Of 10 x 10 pairs 9 are won in full and each tie is half; None takes no part."""
    higher = [2.0, *[1.0] * 9]
    lower: list[float | None] = [1.0] * 10
    found = auroc(higher, [*lower, None])
    assert found is not None
    assert found.value == pytest.approx((10 + 90 / 2) / 100)


def test_delong_by_hand() -> None:
    """The variance of the placements of each side, over its size: here 0.1 of one side lies above all others."""
    found = auroc([2.0, *[1.0] * 9], [1.0] * 10)
    assert found is not None
    placements = np.array([1.0, *[0.5] * 9])
    assert found.error == pytest.approx(np.sqrt(placements.var(ddof=1) / 10))


def test_auroc_needs_ten_on_each_side() -> None:
    """Nine scores say little."""
    assert auroc([1.0] * 9, [0.0] * 10) is None


def test_interval_stays_a_probability() -> None:
    """0.99 with an error of 0.1 ends at 1."""
    assert Auroc(0.99, 0.1, 20).interval == pytest.approx((0.794, 1.0))


def test_perfect_order_is_not_certainty() -> None:
    """Of 20 trials without a failure the chance of one may be 17 %."""
    assert Auroc(1.0, 0.0, 20).interval == pytest.approx((1 - 0.168433, 1.0), abs=1e-6)
    assert Auroc(0.0, 0.0, 20).interval == pytest.approx((0.0, 0.168433), abs=1e-6)


def test_corpora_are_averaged() -> None:
    """Features of different corpora are never compared; one without figure does not count."""
    found = mean_auroc([Auroc(0.9, 0.03, 60), None, Auroc(0.7, 0.04, 60)])
    assert found is not None
    assert [found.value, found.error, found.trials] == pytest.approx([0.8, 0.025, 120])
    assert mean_auroc([None]) is None


def test_uniformity_tells_uniform_from_skewed() -> None:
    """Evenly spread percentiles pass, their squares do not."""
    even = ((np.arange(100) + 0.5) / 100).tolist()
    passed, failed = uniformity(even), uniformity([value**2 for value in even])
    assert passed is not None
    assert passed > 0.99
    assert failed is not None
    assert failed < 0.01
    assert uniformity([None] * 50) is None
