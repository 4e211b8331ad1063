from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from support.memory_runs import blocks

from mistudio_worker.analysis import positives as positives_module
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.analysis.positives import gather
from mistudio_worker.analysis.statistics import HISTOGRAM_EDGES, StatisticsTable, compute_statistics, statistics_record

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def table_of(columns: ArrayLike, invalid: tuple[int, ...] = ()) -> StatisticsTable:
    """Statistics of the columns."""
    return compute_statistics(*gather(blocks(columns), invalid, Execution()))


def test_a_feature_worked_by_hand() -> None:
    """The activations 0, 1, 3, 0: mean 1, variance 1.5, M3/n 1.5, M4/n 4.5."""
    record = statistics_record(table_of([[0], [1], [3], [0]]), 0)
    assert (record.mean, record.variance, record.std) == pytest.approx((1.0, 1.5, 1.5**0.5))
    assert record.skew == pytest.approx(1.5 / 1.5**1.5)
    assert record.kurtosis == pytest.approx(4.5 / 1.5**2 - 3)
    assert (record.min, record.max, record.positives, record.density, record.frequency) == (0.0, 3.0, 2, 0.5, 0.5)
    assert record.log10_density == pytest.approx(np.log10(0.5))
    assert record.effective_count == pytest.approx(16 / 10)
    assert dict(record.quantiles) == pytest.approx({"0.05": 1.1, "0.25": 1.5, "0.5": 2.0, "0.75": 2.5, "0.95": 2.9})
    assert record.histogram[20] == 1
    assert record.histogram[21] == 1
    assert sum(record.histogram) == 2


def test_the_threshold_is_compared_in_float32() -> None:
    """0.01 stored as float32 is not above 0.01; the next float32 is."""
    above = np.nextafter(np.float32(0.01), np.float32(1))
    assert statistics_record(table_of([[0.01], [above]]), 0).frequency == 0.5


def test_a_dead_feature_has_no_figures_of_its_positives() -> None:
    """Zero everywhere: mean and std 0, everything relative undefined."""
    record = statistics_record(table_of([[0], [0]]), 0)
    assert (record.mean, record.std, record.positives, dict(record.quantiles)) == (0.0, 0.0, 0, {})
    assert [record.skew, record.kurtosis, record.log10_density, record.effective_count] == [None] * 4


def test_a_constant_feature_has_no_shape() -> None:
    """A constant that no binary fraction represents still has a variance of exactly 0."""
    record = statistics_record(table_of(np.full((7, 1), 0.1)), 0)
    assert (record.variance, record.skew, record.kurtosis) == (0.0, None, None)
    assert record.mean == float(np.float32(0.1))


def test_histogram_bins_hold_their_lower_edge() -> None:
    """A value on an edge belongs to the bin above it; what lies outside goes to the outer bins."""
    record = statistics_record(table_of([[1e-12], [HISTOGRAM_EDGES[0]], [HISTOGRAM_EDGES[3]], [1e30]]), 0)
    assert record.histogram[0] == 2
    assert record.histogram[3] == 1
    assert record.histogram[-1] == 1


def test_an_invalid_column_leaves_the_others_alone() -> None:
    """NaN, infinity and negative cells are skipped with their column."""
    good = np.array([0.0, 1.0, 2.0])
    cells = np.column_stack([[np.nan, np.inf, -1.0], good])
    table = table_of(cells, invalid=(0,))
    assert table.positives.tolist() == [0, 2]
    assert table.mean.tolist() == [0.0, 1.0]
    assert statistics_record(table, 1) == statistics_record(table_of(good[:, None]), 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_as_its_exact_values(dtype: torch.dtype) -> None:
    """Statistics of a half matrix are those of its float32 values."""
    cells = np.abs(np.random.default_rng(1).normal(size=(50, 3)))
    half = blocks(cells, dtype)
    left, left_moments = gather(half, (), Execution())
    right, right_moments = gather(blocks(half.matrix.float().numpy()), (), Execution())
    assert left.values.tobytes() == right.values.tobytes()
    assert left_moments.m4.tobytes() == right_moments.m4.tobytes()


def test_positives_are_gathered_across_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into small tiles, every positive still lies in its feature's run, in row order."""
    cells = np.maximum(np.random.default_rng(2).normal(size=(23, 11)), 0).astype(np.float32)
    monkeypatch.setattr(positives_module, "ROW_TILE", 5)
    monkeypatch.setattr(positives_module, "FEATURE_TILE", 3)
    found, _ = gather(blocks(cells), (), Execution(threads=2))
    for feature in range(11):
        owned = slice(found.offsets[feature], found.offsets[feature + 1])
        rows = np.flatnonzero(cells[:, feature])
        assert found.texts[owned].tolist() == rows.tolist()
        assert found.values[owned].tolist() == cells[rows, feature].tolist()
