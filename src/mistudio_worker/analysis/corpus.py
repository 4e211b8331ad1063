"""The run as a whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.metadata_drift import disagreements
from mistudio_worker.analysis.sae_quality import sae_quality
from mistudio_worker.analysis.shared_top_texts import find_shared_top_texts
from mistudio_worker.analysis.statistics import HISTOGRAM_EDGES
from mistudio_worker.domain.feature_report import JUDGED_TIERS, QUALITY_TIERS
from mistudio_worker.domain.find_result import Corpus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mistudio_worker.analysis.measures import Measures
    from mistudio_worker.analysis.positives import Positives
    from mistudio_worker.domain.feature_report import FeatureReport
    from mistudio_worker.domain.training_run import TrainingRun


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
    statistics, dictionary = measures.statistics, measures.dictionary
    geometry = dictionary.geometry
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
        near_duplicate_texts=measures.words.duplicates.repeated_texts,
        priority_share=len(priority) / judged if (judged := sum(tiers[tier] for tier in JUDGED_TIERS)) else None,
        priority_covered_texts=_covered(measures.positives, priority),
        sae_quality=None if run.sae is None else sae_quality(dictionary.reconstruction, statistics, valid),
        shared_top_texts=find_shared_top_texts(measures.top, n),
        duplicate_features=() if geometry is None else geometry.duplicates,
        antipodal_features=() if geometry is None else geometry.antipodal,
        metadata_disagreements=disagreements(run.training_job_id, run.metadata, statistics, valid),
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


def _valid(run: TrainingRun) -> NDArray[np.bool_]:
    valid = np.ones(run.features.shape[1], dtype=np.bool_)
    valid[list(run.invalid_features)] = False
    return valid


def _activation_dim(run: TrainingRun) -> int | None:
    if run.originals is not None:
        return run.originals.shape[1]
    return None if run.sae is None else int(run.sae.encoder_weight.shape[1])
