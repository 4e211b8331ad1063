"""The run as a whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.statistics import HISTOGRAM_EDGES
from mistudio_worker.domain.feature_report import JUDGED_TIERS, QUALITY_TIERS
from mistudio_worker.domain.find_result import Corpus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.measures import Measures
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.analysis.statistics import StatisticsTable
    from mistudio_worker.domain.feature_report import FeatureReport
    from mistudio_worker.domain.training_run import TrainingRun

RATE_TOLERANCE = 1e-4
RELATIVE_TOLERANCE = 5e-3
ABSOLUTE_TOLERANCE = 1e-6


def describe_corpus(
    run: TrainingRun, measures: Measures, features: Sequence[FeatureReport], priority: Sequence[FeatureReport]
) -> Corpus:
    """Count what the reports say together; densities over the valid features.

    Args:
        run: as read.
        measures: of all features.
        features: all reports.
        priority: those worth explaining.
    """
    n, count = run.features.shape
    statistics, geometry = measures.statistics, measures.geometry
    valid = _valid(run)
    tiers = Counter(report.quality_tier for report in features)
    categories = Counter(report.pattern_category for report in features)
    return Corpus(
        texts=n,
        features=count,
        activation_dim=_activation_dim(run),
        replaced_surrogates=run.replaced_surrogates,
        empty_texts=sum(is_empty(text) for text in run.texts),
        tiers={tier: tiers[tier] for tier in QUALITY_TIERS},
        categories=dict(sorted(categories.items(), key=lambda item: (-item[1], item[0]))),
        mean_density=float(statistics.density[valid].mean()) if valid.any() else 0.0,
        mean_l0=int(statistics.positives.sum()) / n,
        histogram_edges=HISTOGRAM_EDGES,
        covered_texts=np.unique(measures.top.texts).size / n,
        near_duplicate_texts=measures.duplicates.repeated_texts,
        priority_share=len(priority) / judged if (judged := sum(tiers[tier] for tier in JUDGED_TIERS)) else None,
        priority_covered_texts=_covered(measures.positives, priority),
        duplicate_features=() if geometry is None else geometry.duplicates,
        antipodal_features=() if geometry is None else geometry.antipodal,
        metadata_disagreements=disagreements(run, statistics),
    )


def _covered(positives: Positives, features: Sequence[FeatureReport]) -> float:
    """Share of the texts that any of the features fires on."""
    covered = np.zeros(positives.rows, dtype=np.bool_)
    for report in features:
        first, last = positives.offsets[report.feature_id : report.feature_id + 2]
        covered[positives.texts[first:last]] = True
    return int(covered.sum()) / positives.rows


def is_empty(text: str) -> bool:
    r"""Whether a text has no visible character.

    >>> [is_empty(text) for text in ("", " \u200b ", "a")]
    [True, True, False]
    """
    return not any(character.isprintable() and not character.isspace() for character in text)


def disagreements(run: TrainingRun, statistics: StatisticsTable) -> tuple[str, ...]:
    """Compare the trainer's own figures with ours: at most one sentence for each of its three lists.

    Tolerances: 1e-4 for rates (share of texts with a > 0), 0.5 % for means and maxima, since the
    trainer may have measured before the activations were stored in half precision.
    """
    metadata = run.metadata
    relative = (RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE)
    compared = (
        ("feature_activation_rates", metadata.feature_activation_rates, statistics.density, (0.0, RATE_TOLERANCE)),
        ("feature_mean_activations", metadata.feature_mean_activations, statistics.mean, relative),
        ("feature_max_activations", metadata.feature_max_activations, statistics.high, relative),
    )
    found = (_disagreement(name, said, ours, limits, _valid(run)) for name, said, ours, limits in compared if said)
    return tuple(sentence for sentence in found if sentence)


def _disagreement(
    name: str,
    said: tuple[float, ...],
    ours: NDArray[np.float64],
    limits: tuple[float, float],
    valid: NDArray[np.bool_],
) -> str | None:
    if len(said) != ours.size:
        return f"{name} has {len(said)} entries, the tensor has {ours.size} features."
    figures = np.array(said, dtype=np.float64)
    finite = np.isfinite(figures)
    distance = np.where(finite, np.abs(np.where(finite, figures, 0.0) - ours), np.inf)
    over = (distance > limits[0] * np.abs(ours) + limits[1]) & valid
    if not over.any():
        return None
    worst = int(np.argmax(np.where(over, distance, -1.0)))
    return (
        f"{name} differs from the tensor for {int(over.sum())} of {ours.size} features, most for feature {worst}: "
        f"{figures[worst]:.6g} in metadata.json, {ours[worst]:.6g} measured."
    )


def _valid(run: TrainingRun) -> NDArray[np.bool_]:
    valid = np.ones(run.features.shape[1], dtype=np.bool_)
    valid[list(run.invalid_features)] = False
    return valid


def _activation_dim(run: TrainingRun) -> int | None:
    if run.originals is not None:
        return run.originals.shape[1]
    return None if run.sae is None else int(run.sae.encoder_weight.shape[1])
