"""The distribution of every feature's activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.kernels.per_feature import octave_histogram, power_sums, quantiles
from mistudio_worker.domain.feature_report import ActivationStatistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.moments import Moments
    from mistudio_worker.analysis.positives import Positives

FREQUENCY_THRESHOLD = np.float32(0.01)
QUANTILES = {"0.05": 0.05, "0.25": 0.25, "0.5": 0.5, "0.75": 0.75, "0.95": 0.95}
LOWEST_EXPONENT, HIGHEST_EXPONENT = -20, 12
HISTOGRAM_EDGES = tuple(2.0**e for e in range(LOWEST_EXPONENT, HIGHEST_EXPONENT + 1))
"""One octave a bin, 2^-20 (1e-6) to 2^12 (4096): wide enough for any layer, and the same in every run."""


@dataclass(frozen=True, slots=True)
class StatisticsTable:
    """`ActivationStatistics` of all features as columns; NaN marks what is not defined.

    Attributes:
        rows: n.
        mean: [F] float64, likewise variance, low, high.
        variance: M2 / n.
        low: smallest activation.
        high: largest activation.
        skew: (M3 / n) / variance^1.5; NaN where the feature does not vary.
        kurtosis: (M4 / n) / variance^2 - 3; NaN where the feature does not vary.
        positives: [F] int64.
        above_threshold: [F] number of a > 0.01, compared in float32.
        effective_count: (sum a)^2 / sum a^2; NaN when dead.
        quantiles: [F, 5] of the positives.
        mad: [F] median absolute deviation of the positives from their median.
        log_mad: [F] the same of ln a, from the logarithm of their median.
        histogram: [F, 32] int64.
    """

    rows: int
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    skew: NDArray[np.float64]
    kurtosis: NDArray[np.float64]
    positives: NDArray[np.int64]
    above_threshold: NDArray[np.int64]
    effective_count: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    mad: NDArray[np.float64]
    log_mad: NDArray[np.float64]
    histogram: NDArray[np.int64]

    @property
    def density(self) -> NDArray[np.float64]:
        """[F] positives / n."""
        return self.positives / self.rows

    @property
    def median(self) -> NDArray[np.float64]:
        """[F] median of the positives; 0 where there are none."""
        return self.quantiles[:, 2]


def compute_statistics(positives: Positives, moments: Moments) -> StatisticsTable:
    """Turn moments and positives into the published figures, all features at once."""
    varies = moments.high > moments.low
    count = np.maximum(moments.count, 1.0)
    variance = np.where(varies, moments.m2 / count, 0.0)
    varies &= variance > 0.0
    scale = np.where(varies, variance, 1.0)
    sums = power_sums(positives.offsets, positives.values, FREQUENCY_THRESHOLD)
    counts = positives.counts
    squares = np.where(counts > 0, sums[:, 1], 1.0)
    shares = np.array(list(QUANTILES.values()))
    ordered, mad = quantiles(positives.offsets, positives.values, shares)
    return StatisticsTable(
        rows=positives.rows,
        mean=moments.mean,
        variance=variance,
        low=np.where(moments.count > 0, moments.low, 0.0),
        high=np.where(moments.count > 0, moments.high, 0.0),
        skew=np.where(varies, moments.m3 / count / scale**1.5, np.nan),
        kurtosis=np.where(varies, moments.m4 / count / scale**2 - 3.0, np.nan),
        positives=counts,
        above_threshold=sums[:, 2].astype(np.int64),
        effective_count=np.where(counts > 0, np.clip(sums[:, 0] ** 2 / squares, 1.0, np.maximum(counts, 1)), np.nan),
        quantiles=ordered,
        mad=mad[:, 0],
        log_mad=mad[:, 1],
        histogram=octave_histogram(
            positives.offsets, positives.values, LOWEST_EXPONENT, HIGHEST_EXPONENT - LOWEST_EXPONENT
        ),
    )


def statistics_record(table: StatisticsTable, feature: int) -> ActivationStatistics:
    """Return one feature's statistics as published."""
    positives = int(table.positives[feature])
    density = positives / table.rows
    variance = float(table.variance[feature])
    return ActivationStatistics(
        mean=float(table.mean[feature]),
        std=float(np.sqrt(variance)),
        variance=variance,
        min=float(table.low[feature]),
        max=float(table.high[feature]),
        skew=number_or_none(table.skew[feature]),
        kurtosis=number_or_none(table.kurtosis[feature]),
        positives=positives,
        density=density,
        log10_density=float(np.log10(density)) if positives else None,
        frequency=int(table.above_threshold[feature]) / table.rows,
        effective_count=number_or_none(table.effective_count[feature]),
        quantiles=dict(zip(QUANTILES, map(float, table.quantiles[feature]), strict=True)) if positives else {},
        histogram=tuple(table.histogram[feature].tolist()),
    )


def number_or_none(value: float | np.floating) -> float | None:
    """NaN, the mark of a figure that is not defined, becomes None."""
    return None if np.isnan(value) else float(value)
