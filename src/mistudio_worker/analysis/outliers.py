"""Top texts that do not fit the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.statistics import number_or_none
from mistudio_worker.domain.feature_report import OutlierExample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mistudio_worker.analysis.diversity import Likeness
    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.analysis.top_examples import TopExamples

MODIFIED_Z_LIMIT = 3.5
NORM_RATIO_LIMIT = 10.0
SIMILARITY_Z_LIMIT = -3.0
SIMILARITY_SPREAD_FLOOR = 0.05
MIN_COMPARED_TEXTS = 5


@dataclass(frozen=True, slots=True)
class OutlierTable:
    """One row a top example, in their order.

    Attributes:
        modified_z: [entries] 0.6745 (a - median) / MAD over the positives; NaN where the MAD is 0.
        by_activation: [entries] |modified z| > 3.5 (Iglewicz & Hoaglin 1993) both of a and of ln a: positives
            are skewed to the right, so that by a alone every top text of most features would be one.
            Where either MAD is 0, at least half of the positives are equal, and nothing is flagged:
            there is no scale to judge by.
        by_norm: [entries] |e| over 10 times the median norm of all usable texts.
        by_similarity: [entries] mean cosine to the others more than 3 robust deviations (1.4826 MAD, at
            least 0.05) below the feature's median; among at least 5 texts.
    """

    modified_z: NDArray[np.float64]
    by_activation: NDArray[np.bool_]
    by_norm: NDArray[np.bool_]
    by_similarity: NDArray[np.bool_]

    @property
    def listed(self) -> NDArray[np.bool_]:
        """[entries] whether any rule holds."""
        return self.by_activation | self.by_norm | self.by_similarity


def find_outliers(
    top: TopExamples, statistics: StatisticsTable, likeness: Likeness | None, norms: NDArray[np.float64] | None
) -> OutlierTable:
    """Judge every top example by three independent rules.

    Args:
        top: the examples.
        statistics: for median and MAD of the positives.
        likeness: None without original activations.
        norms: [n] |e_i|, 0 for an unusable text; None without original activations.
    """
    owner = np.repeat(np.arange(top.offsets.size - 1), np.diff(top.offsets))
    strength, median = top.strengths.astype(np.float64), statistics.median[owner]
    z = _modified_z(strength - median, statistics.mad[owner])
    log_z = _modified_z(np.log(strength) - np.log(median), statistics.log_mad[owner])
    by_activation = np.minimum(np.abs(np.nan_to_num(z)), np.abs(np.nan_to_num(log_z))) > MODIFIED_Z_LIMIT
    by_norm = np.zeros(owner.size, dtype=np.bool_)
    if norms is not None and (norms > 0).any():
        by_norm = norms[top.texts] > NORM_RATIO_LIMIT * np.median(norms[norms > 0])
    by_similarity = np.zeros(owner.size, dtype=np.bool_)
    if likeness is not None:
        by_similarity = _dissimilar(top, likeness.similarity, owner)
    return OutlierTable(z, by_activation, by_norm, by_similarity)


def _modified_z(distance: NDArray[np.float64], mad: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mad > 0, 0.6745 * distance / np.where(mad > 0, mad, 1.0), np.nan)


def _dissimilar(top: TopExamples, similarity: NDArray[np.float64], owner: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Compare each similarity with the median of its feature, in a table [F, k] sorted by row."""
    counts = np.diff(top.offsets)
    width = int(counts.max(initial=0))
    table = np.full((counts.size, max(width, 1)), np.nan)
    table[np.arange(table.shape[1]) < counts[:, None]] = similarity
    median = _row_medians(table)
    spread = np.maximum(1.4826 * _row_medians(np.abs(table - median[:, None])), SIMILARITY_SPREAD_FLOOR)
    enough = (np.isfinite(table).sum(axis=1) >= MIN_COMPARED_TEXTS)[owner]
    low = (np.nan_to_num(similarity) - median[owner]) / spread[owner] < SIMILARITY_Z_LIMIT
    found: NDArray[np.bool_] = enough & np.isfinite(similarity) & low
    return found


def _row_medians(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each row without its NaN; 0 for a row that has nothing else."""
    counts = np.isfinite(table).sum(axis=1)
    ordered = np.sort(table, axis=1)
    rows = np.arange(table.shape[0])
    lower, upper = ordered[rows, np.maximum(counts - 1, 0) // 2], ordered[rows, counts // 2 * (counts > 1)]
    return np.where(counts > 0, (lower + upper) / 2, 0.0)


def outlier_records(
    top: TopExamples, table: OutlierTable, likeness: Likeness | None, feature: int
) -> tuple[OutlierExample, ...]:
    """Return one feature's outlier examples, strongest first."""
    found = []
    for entry in range(int(top.offsets[feature]), int(top.offsets[feature + 1])):
        rules = (
            ("activation", table.by_activation[entry]),
            ("norm", table.by_norm[entry]),
            ("dissimilar", table.by_similarity[entry]),
        )
        reasons = tuple(name for name, holds in rules if holds)
        if reasons:
            similarity = None if likeness is None else number_or_none(likeness.similarity[entry])
            strength = float(top.strengths[entry])
            z = number_or_none(table.modified_z[entry])
            found.append(OutlierExample(int(top.texts[entry]), strength, reasons, z, similarity))
    return tuple(found)
