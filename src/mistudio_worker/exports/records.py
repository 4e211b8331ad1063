"""What the exports say beyond the reports themselves, derived once from the result.

The field names of these records and of the domain's are those of the published JSON; `contracts/results.py`
describes each, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistudio_worker.domain.feature_report import FeatureReport
    from mistudio_worker.domain.find_result import FindResult, Versions
    from mistudio_worker.domain.parameters import Parameters

SCHEMA_VERSION = "1.1"
"""1.0 is the first release; 1.1 adds fields, columns and elements after those, and takes none away."""

SCORED_TIERS = ("excellent", "good", "fair", "poor")
BEST_FEATURES = 10
Scalar = str | int | float | bool | None
_INT64 = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class JobMetadata:
    """The job, in the words of Explain's file reader.

    `processing_time` is always 0: exports hold no clock's figure; the manifest has the timings.
    """

    job_id: str
    source_training_job: str
    total_features_processed: int
    total_features: int
    model_name: str
    processing_time: int
    layer: int | None
    training_timestamp: str | None
    training_details: Mapping[str, Scalar]
    parameters: Parameters
    versions: Versions
    identity_sha256: str


@dataclass(frozen=True, slots=True)
class FeatureSummary:
    """A feature in the words of Explain's request reader, which ranks by the first two figures.

    activation_count * 0.4 + anomaly_score * 0.6, both 0 to 1: filled places, then coherence.
    """

    activation_count: float
    anomaly_score: float
    coherence_score: float
    quality_level: str
    quality_tier: str
    pattern_category: str
    pattern_keywords: tuple[str, ...]
    mean_activation: float | None
    max_activation: float | None
    activation_frequency: float | None
    top_activation_count: int


@dataclass(frozen=True, slots=True)
class BestFeature:
    """A feature worth explaining, in short."""

    feature_id: int
    coherence_score: float
    priority_score: float
    pattern_category: str
    pattern_keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SummaryInsights:
    """The run in a few figures; `mean_coherence` is over the scored tiers, None without any."""

    total_features: int
    features_by_tier: Mapping[str, int]
    features_by_level: Mapping[str, int]
    features_by_category: Mapping[str, int]
    mean_coherence: float | None
    priority_feature_count: int
    best_features: tuple[BestFeature, ...]


def job_metadata(result: FindResult) -> JobMetadata:
    """Describe the job; an unknown model is named `unknown`, since readers expect a string."""
    meta, identity = result.metadata, result.identity
    return JobMetadata(
        job_id=identity.find_job_id,
        source_training_job=identity.training_job_id,
        total_features_processed=sum(f.quality_tier != "invalid" for f in result.features),
        total_features=len(result.features),
        model_name=meta.model_name or "unknown",
        processing_time=0,
        layer=meta.layer,
        training_timestamp=meta.timestamp,
        training_details={key: _fits_json(value) for key, value in meta.details.items()},
        parameters=result.parameters,
        versions=result.versions,
        identity_sha256=identity.sha256,
    )


def feature_summary(feature: FeatureReport, top_k: int) -> FeatureSummary:
    """Put a feature in short."""
    statistics = feature.activation_statistics
    return FeatureSummary(
        activation_count=len(feature.top_activations) / top_k,
        anomaly_score=feature.coherence_score,
        coherence_score=feature.coherence_score,
        quality_level=feature.quality_level,
        quality_tier=feature.quality_tier,
        pattern_category=feature.pattern_category,
        pattern_keywords=feature.pattern_keywords,
        mean_activation=statistics.mean if statistics else None,
        max_activation=statistics.max if statistics else None,
        activation_frequency=statistics.frequency if statistics else None,
        top_activation_count=len(feature.top_activations),
    )


def summary_insights(result: FindResult) -> SummaryInsights:
    """Put the run in a few figures."""
    scores = [f.coherence_score for f in result.features if f.quality_tier in SCORED_TIERS]
    levels = [f.quality_level for f in result.features]
    priority = result.priority_features
    return SummaryInsights(
        total_features=len(result.features),
        features_by_tier=dict(result.corpus.tiers),
        features_by_level={level: levels.count(level) for level in ("high", "medium", "low")},
        features_by_category=dict(result.corpus.categories),
        mean_coherence=sum(scores) / len(scores) if scores else None,
        priority_feature_count=len(priority),
        best_features=tuple(
            BestFeature(f.feature_id, f.coherence_score, f.priority_score, f.pattern_category, f.pattern_keywords)
            for f in priority[:BEST_FEATURES]
        ),
    )


def _fits_json(value: Scalar) -> Scalar:
    """Keep an integer beyond 64 bits as its digits: a trainer's odd figure is no reason to fail."""
    return str(value) if isinstance(value, int) and value not in _INT64 else value
