"""The complete results: what `_complete_results.json` holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mistudio_worker.contracts.explainer import ExplainerV1
from mistudio_worker.contracts.feature import Cosine, Count, FeatureV1, Level, NotNegative, Share, Tier
from mistudio_worker.contracts.wire import FindJobId, JobId, SchemaVersion, Sha256, WireModel

FeatureKey = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*)$")]


class ParametersUsedV1(WireModel):
    """What a user may choose, as it was used."""

    top_k: int = Field(ge=1, le=100)
    coherence_threshold: Share


class VersionsUsedV1(WireModel):
    """What made the numbers."""

    analysis: str
    taxonomy: str
    taxonomy_sha256: str


class JobMetadataV1(WireModel):
    """The job, in the words of Explain's file reader."""

    job_id: FindJobId
    source_training_job: JobId
    total_features_processed: Count = Field(description="features that were analysed: all but the invalid ones")
    total_features: Count
    model_name: str = Field(description='"unknown" where the trainer did not say')
    processing_time: Literal[0] = Field(description="always 0: exports hold no clock's figure; see the manifest")
    layer: int | None
    training_timestamp: str | None = Field(description="as the trainer wrote it")
    training_details: dict[str, str | int | float | bool | None]
    parameters: ParametersUsedV1
    versions: VersionsUsedV1
    identity_sha256: Sha256 = Field(description="the whole hash, of which find_job_id shows the start")


class FeatureSummaryV1(WireModel):
    """A feature in short; Explain ranks by activation_count * 0.4 + anomaly_score * 0.6."""

    activation_count: Share = Field(description="share of the top_k places that are filled")
    anomaly_score: Share = Field(description="coherence_score, under the name that the reader ranks by")
    coherence_score: Share
    quality_level: Level
    quality_tier: Tier
    pattern_category: str
    pattern_keywords: list[str]
    mean_activation: NotNegative | None
    max_activation: NotNegative | None
    activation_frequency: Share | None
    top_activation_count: Count


class BestFeatureV1(WireModel):
    """A feature worth explaining, in short."""

    feature_id: Count
    coherence_score: Share
    priority_score: Share
    pattern_category: str
    pattern_keywords: list[str]


class SummaryInsightsV1(WireModel):
    """The run in a few figures."""

    total_features: Count
    features_by_tier: dict[str, Count]
    features_by_level: dict[str, Count]
    features_by_category: dict[str, Count]
    mean_coherence: Share | None = Field(description="over the tiers excellent to poor; null without any")
    priority_feature_count: Count = Field(description="features at or over coherence_threshold that have texts")
    best_features: list[BestFeatureV1] = Field(max_length=10, description="by priority_score, ties by the lower id")


class SaeQualityV1(WireModel):
    """How well the autoencoder does on this run."""

    explained_variance: float | None = Field(le=1, description="null without autoencoder or original activations")
    mean_l0: NotNegative
    dead_share: Share
    dense_share: Share = Field(description="features that fire on at least half of the texts")


class SharedTopTextsV1(WireModel):
    """Two features whose top texts are largely the same."""

    feature_ids: list[Count] = Field(min_length=2, max_length=2)
    shared: Count
    share: Share = Field(description="shared / the smaller number of top texts")


class DirectionPairV1(WireModel):
    """Two features by the cosine of their decoder directions."""

    feature_ids: list[Count] = Field(min_length=2, max_length=2)
    cosine: Cosine


class CorpusV1(WireModel):
    """The run as a whole."""

    texts: Count
    features: Count
    activation_dim: Count | None = Field(description="null without original activations and autoencoder")
    replaced_surrogates: Count = Field(description="code points replaced by U+FFFD when the texts were read")
    empty_texts: Count = Field(description="texts without any visible character")
    tiers: dict[Tier, Count]
    categories: dict[str, Count]
    mean_density: Share = Field(description="mean share of the texts that a feature fires on")
    mean_l0: NotNegative = Field(description="mean number of features that fire on a text")
    histogram_edges: list[float] = Field(description="a bin counts edges[i] <= a < edges[i + 1]")
    covered_texts: Share = Field(description="share of the texts that are a top text of some feature")
    near_duplicate_texts: Count = Field(description="texts that nearly repeat an earlier one")
    priority_share: Share | None = Field(description="judged features that reach coherence_threshold; null without any")
    priority_covered_texts: Share = Field(description="texts on which a feature worth explaining fires")
    sae_quality: SaeQualityV1 | None
    shared_top_texts: list[SharedTopTextsV1] = Field(max_length=20, description="most first")
    duplicate_features: list[DirectionPairV1] = Field(max_length=20, description="most alike first")
    antipodal_features: list[DirectionPairV1] = Field(max_length=20, description="most opposed first")
    metadata_disagreements: list[str]


class ResultGapV1(WireModel):
    """Something that was missing from the input."""

    code: str
    message: str
    features: list[Count] = Field(description="ids concerned; empty where it concerns the whole run")
    texts: list[Count] = Field(description="indices concerned; empty where it concerns the whole run")


class ResultsV1(WireModel):
    """Every figure of one job; the same input gives the same bytes.

    The JSON and the Parquet file write every number as float64 in full precision.
    """

    schema_version: SchemaVersion = Field(description="1.<minor>: a higher minor only adds fields")
    find_job_id: FindJobId
    source_job_id: JobId
    status: Literal["completed", "partial"]
    job_metadata: JobMetadataV1
    features: list[FeatureV1] = Field(description="one a feature, feature_id 0 to F-1, in order")
    feature_analysis: dict[FeatureKey, FeatureSummaryV1] = Field(description="feature_id -> the feature in short")
    summary_insights: SummaryInsightsV1
    summary_report: str = Field(description="the text of _summary_report.txt")
    corpus: CorpusV1
    explainer: ExplainerV1 = Field(description="what an explainer should read and test on, a feature worth explaining")
    gaps: list[ResultGapV1] = Field(description="what was missing; status is partial where there are any")
