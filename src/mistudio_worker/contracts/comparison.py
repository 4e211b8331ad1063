"""Two runs compared: what `comparison.json` holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mistudio_worker.contracts.feature import Cosine, Count, Share, Tier
from mistudio_worker.contracts.wire import FindJobId, JobId, SchemaVersion, Sha256, WireModel

Positive = Annotated[float, Field(gt=0, le=1)]


class ComparedRunV1(WireModel):
    """One of the two runs, as its results name it."""

    find_job_id: FindJobId
    source_job_id: JobId
    status: Literal["completed", "partial"]
    features: Count
    texts: Count
    top_k: int = Field(ge=1, le=100)
    analysis: str = Field(description="version of the formulas")
    taxonomy_sha256: Sha256


class FeaturePairV1(WireModel):
    """A feature of A and the feature of B that it is matched with."""

    feature_a: Count
    feature_b: Count
    similarity: Positive = Field(description="at least min_similarity")
    score_a: Share = Field(description="coherence_score")
    score_b: Share
    score_change: float | None = Field(
        ge=-1, le=1, description="score_b - score_a; null unless coherence is defined in both"
    )
    tier_a: Tier
    tier_b: Tier
    category_a: str
    category_b: str
    keywords_a: list[str] = Field(max_length=5, description="the first pattern_keywords")
    keywords_b: list[str] = Field(max_length=5)
    changes: list[Literal["score", "tier", "category"]] = Field(
        description="score: by at least min_change; empty where nothing changed"
    )


class LoneFeatureV1(WireModel):
    """A feature without a match in the other run."""

    feature_id: Count
    coherence_score: Share
    quality_tier: Tier
    pattern_category: str
    pattern_keywords: list[str] = Field(max_length=5, description="the first ones")
    nearest_feature: Count = Field(description="the most similar feature of the other run: too far, or matched better")
    nearest_similarity: Cosine


class NotComparedV1(WireModel):
    """Features that give nothing to match by, or that never fire and match nothing: neither vanished nor appeared."""

    reason: str
    a: list[Count]
    b: list[Count]


class TierCountsV1(WireModel):
    """Features of a tier in each run, matched or not."""

    a: Count
    b: Count


class TierMoveV1(WireModel):
    """Matched features that are of one tier in A and of one in B; the two may be the same."""

    tier_a: Tier
    tier_b: Tier
    pairs: Count


class ComparisonSummaryV1(WireModel):
    """The comparison in a few figures."""

    matched: Count = Field(description="pairs")
    matched_share_a: Share = Field(description="pairs / features of A that could be compared")
    matched_share_b: Share = Field(description="pairs / features of B that could be compared")
    changed: Count = Field(description="pairs with any change")
    vanished: Count = Field(description="features of A without a match")
    appeared: Count = Field(description="features of B without a match")
    median_similarity: Share | None = Field(description="of the pairs; null without any")
    score_correlation: Cosine | None = Field(
        description="Pearson, over the pairs where coherence is defined in both; null where not defined"
    )
    mean_score_change: float | None = Field(ge=-1, le=1, description="over the same pairs; null without any")
    tiers: dict[Tier, TierCountsV1]
    tier_moves: list[TierMoveV1] = Field(description="of the pairs, best tiers first")


class ComparisonV1(WireModel):
    """Two runs compared, A with B; the same two runs and options give the same bytes."""

    schema_version: SchemaVersion = Field(description="1.<minor>: a higher minor only adds fields")
    matched_by: Literal["decoder", "activation", "top_texts"]
    min_similarity: Positive
    min_change: Share
    common_texts: Count | None = Field(description="texts that features were compared over; null for decoder")
    a: ComparedRunV1
    b: ComparedRunV1
    summary: ComparisonSummaryV1
    pairs: list[FeaturePairV1] = Field(description="by feature_a")
    vanished: list[LoneFeatureV1] = Field(description="features of A without a match, by id")
    appeared: list[LoneFeatureV1] = Field(description="features of B without a match, by id")
    not_compared: NotComparedV1
    caveats: list[str] = Field(description="what a reader must know of this comparison")
