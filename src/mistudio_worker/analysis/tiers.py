"""Tier, level and flags of every feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.duplicates import near_duplicate_shares
from mistudio_worker.analysis.kernels.per_feature import length_correlations, log_shape, mid_ranks
from mistudio_worker.analysis.ranking import rank_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.duplicates import DuplicateGroups
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.domain.feature_report import QualityLevel, QualityTier

MIN_POSITIVES = 5
DENSE_FROM = 0.5
DUPLICATES_FROM = 0.5
STRONGEST_TEXTS = 20
LENGTH_CORRELATION_FROM = 0.5
MIN_POSITIVES_FOR_LENGTH = 20
BIMODALITY_FROM = 0.6
MIN_POSITIVES_FOR_SHAPE = 50


def quality_tier(score: float, distinct_texts: int, *, invalid: bool) -> QualityTier:
    """Return the tier: invalid, dead, insufficient (fires on fewer than 5 distinct texts), else by coherence_score.

    >>> quality_tier(0.6, 12, invalid=False)
    'good'
    """
    if invalid:
        return "invalid"
    if distinct_texts == 0:
        return "dead"
    if distinct_texts < MIN_POSITIVES:
        return "insufficient"
    if score >= 0.8:
        return "excellent"
    if score >= 0.6:
        return "good"
    return "fair" if score >= 0.4 else "poor"


def quality_level(score: float) -> QualityLevel:
    """Return the level of the first miStudioFind: high >= 0.7, medium >= 0.4, low."""
    if score >= 0.7:
        return "high"
    return "medium" if score >= 0.4 else "low"


@dataclass(frozen=True, slots=True)
class FlagTable:
    """The figure of each flag, [F]; NaN where it is not raised."""

    dense: NDArray[np.float64]
    duplicate_driven: NDArray[np.float64]
    length_driven: NDArray[np.float64]
    bimodal: NDArray[np.float64]


def raise_flags(positives: Positives, texts: Sequence[str], duplicates: DuplicateGroups) -> FlagTable:
    """Return findings beside the score. Only the second and third bear on it, since they would fake coherence.

    - dense: density, where it is at least 0.5.
    - duplicate_driven: share of the 20 strongest texts that nearly repeat a stronger one, where it is at least 0.5.
    - length_driven: Spearman correlation of activation and characters of the text, the weaker of that
      over the positives and that over all texts, where both are at least 0.5 in size with the same
      sign; from 20 positives.
    - bimodal: Sarle's coefficient of ln(positives), (g^2 + 1) / (k + 3 (m - 1)^2 / ((m - 2)(m - 3))), g and k
      the sample skew and excess kurtosis, where it is at least 0.6 (uniform: 0.56, normal: 0.33); from
      50 positives.
    """
    counts = positives.counts
    density = counts / positives.rows
    length = np.where(counts >= MIN_POSITIVES_FOR_LENGTH, _length_figure(positives, texts), np.nan)
    repeats = near_duplicate_shares(duplicates, rank_texts(positives, STRONGEST_TEXTS))
    bimodality = np.where(counts >= MIN_POSITIVES_FOR_SHAPE, _bimodality(positives), np.nan)
    return FlagTable(
        dense=np.where(density >= DENSE_FROM, density, np.nan),
        duplicate_driven=np.where(repeats >= DUPLICATES_FROM, repeats, np.nan),
        length_driven=np.where(np.abs(length) >= LENGTH_CORRELATION_FROM, length, np.nan),
        bimodal=np.where(bimodality >= BIMODALITY_FROM, bimodality, np.nan),
    )


def flags_of(table: FlagTable, feature: int) -> dict[str, float]:
    """Return one feature's flags with their figures."""
    figures = {
        "dense": table.dense[feature],
        "duplicate_driven": table.duplicate_driven[feature],
        "length_driven": table.length_driven[feature],
        "bimodal": table.bimodal[feature],
    }
    return {name: float(figure) for name, figure in figures.items() if not np.isnan(figure)}


def _length_figure(positives: Positives, texts: Sequence[str]) -> NDArray[np.float64]:
    lengths = np.array([len(text) for text in texts], dtype=np.float64)
    found = length_correlations(positives.offsets, positives.texts, positives.values, lengths, mid_ranks(lengths))
    inside, corpus = np.clip(found, -1.0, 1.0).T
    weaker = np.where(np.abs(inside) <= np.abs(corpus), inside, corpus)
    return np.where(inside * corpus > 0, weaker, np.nan)


def _bimodality(positives: Positives) -> NDArray[np.float64]:
    m = np.maximum(positives.counts, 4).astype(np.float64)
    g, k = log_shape(positives.offsets, positives.values).T
    skew = g * np.sqrt(m * (m - 1)) / (m - 2)
    kurtosis = (m - 1) / ((m - 2) * (m - 3)) * ((m + 1) * k + 6)
    coefficient: NDArray[np.float64] = (skew * skew + 1) / (kurtosis + 3 * (m - 1) ** 2 / ((m - 2) * (m - 3)))
    return coefficient
