from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.memory_runs import blocks

from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.moments import Moments, empty_moments, merge
from mistudio_worker.analysis.positives import Positives, gather
from mistudio_worker.analysis.ranking import rank_texts
from mistudio_worker.analysis.statistics import StatisticsTable, compute_statistics
from mistudio_worker.analysis.unit_rows import unit_rows

CELLS = arrays(
    np.float32,
    st.tuples(st.integers(1, 24), st.integers(1, 4)),
    elements=st.one_of(st.just(0.0), st.integers(0, 9).map(float), st.floats(0, 100, width=32)),
)


def measured(cells: np.ndarray) -> tuple[Positives, Moments]:
    """Positives and moments of a matrix."""
    return gather(blocks(cells), (), Execution())


def statistics_of(cells: np.ndarray) -> StatisticsTable:
    """Statistics of a matrix."""
    return compute_statistics(*measured(cells))


@settings(deadline=None, max_examples=60)
@given(cells=CELLS, cuts=st.lists(st.integers(0, 24), max_size=5))
def test_moments_do_not_depend_on_the_row_tiles(cells: np.ndarray, cuts: list[int]) -> None:
    """Merged over any cut of the rows, the moments are those of the whole, and of the definition."""
    edges = sorted({0, len(cells), *(cut for cut in cuts if cut < len(cells))})
    merged = empty_moments(cells.shape[1])
    for start, stop in itertools.pairwise(edges):
        merged = merge(merged, measured(cells[start:stop])[1])
    exact = cells.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    size = 1.0 + float(cells.max())
    assert merged.mean == pytest.approx(exact.mean(axis=0), rel=1e-12)
    for power, sums in ((2, merged.m2), (3, merged.m3), (4, merged.m4)):
        assert sums == pytest.approx((centred**power).sum(axis=0), rel=1e-9, abs=1e-10 * size**power)
    assert merged.positives.tolist() == (cells > 0).sum(axis=0).tolist()
    assert (merged.low.tolist(), merged.high.tolist()) == (exact.min(axis=0).tolist(), exact.max(axis=0).tolist())


@settings(deadline=None, max_examples=40)
@given(cells=CELLS, seed=st.integers(0, 99))
def test_features_do_not_know_of_each_other(cells: np.ndarray, seed: int) -> None:
    """Permuted features have permuted figures, to the last bit."""
    order = np.random.default_rng(seed).permutation(cells.shape[1])
    whole, permuted = statistics_of(cells), statistics_of(cells[:, order])
    for name in ("mean", "variance", "skew", "kurtosis", "effective_count", "quantiles", "mad", "histogram"):
        np.testing.assert_array_equal(getattr(permuted, name), getattr(whole, name)[order])


@settings(deadline=None, max_examples=40)
@given(cells=CELLS, exponent=st.integers(-6, 6))
def test_scale_changes_no_shape(cells: np.ndarray, exponent: int) -> None:
    """Scaled by a power of two, ranks and shape are the same and the mean scales."""
    cells = np.where(cells < 1e-3, 0, cells).astype(np.float32)
    scaled = cells * np.float32(2.0**exponent)
    whole, other = statistics_of(cells), statistics_of(scaled)
    np.testing.assert_allclose(other.mean, whole.mean * 2.0**exponent, rtol=1e-14)
    np.testing.assert_array_equal(other.skew, whole.skew)
    np.testing.assert_array_equal(other.effective_count, whole.effective_count)
    assert rank_texts(measured(scaled)[0], 5).texts.tolist() == rank_texts(measured(cells)[0], 5).texts.tolist()


@settings(deadline=None, max_examples=40)
@given(cells=CELLS, added=st.integers(1, 9))
def test_texts_that_do_not_fire_change_no_rank(cells: np.ndarray, added: int) -> None:
    """More silent texts: the same examples and the same figures of the positives."""
    more = np.vstack([cells, np.zeros((added, cells.shape[1]), np.float32)])
    top, grown = rank_texts(measured(cells)[0], 5), rank_texts(measured(more)[0], 5)
    assert grown.texts.tolist() == top.texts.tolist()
    np.testing.assert_array_equal(statistics_of(more).quantiles, statistics_of(cells).quantiles)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), scale=st.floats(0.01, 100))
def test_directions_ignore_scale_and_shift_of_the_originals(seed: int, scale: float) -> None:
    """Unit rows do not change when all originals are scaled and moved together."""
    originals = np.random.default_rng(seed).normal(size=(20, 4))

    def unit(rows: np.ndarray) -> np.ndarray:
        return unit_rows(blocks(rows), (), Execution()).tile((0, 20), (0, 4), "cpu").numpy()

    np.testing.assert_allclose(unit(originals * scale + 3 * scale), unit(originals), atol=2e-5)
