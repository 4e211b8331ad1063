"""One feature of the published results, part by part."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mistudio_worker.contracts.wire import WireModel

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Tier = Literal["excellent", "good", "fair", "poor", "insufficient", "dead", "invalid"]
Level = Literal["high", "medium", "low"]


class TopActivationV1(WireModel):
    """One of the strongest texts of a feature."""

    rank: int = Field(ge=1, description="from 1; equal activations are ranked by the lower text_index")
    text_index: Count = Field(description="row of the text in the run")
    activation_strength: float = Field(gt=0)
    text: str = Field(description="the whole text")
    context: str = Field(max_length=160, description="a window of the text around what matters")


class ActivationStatisticsV1(WireModel):
    """Distribution of a feature's activations over all n texts."""

    mean: NotNegative = Field(description="over all n texts")
    std: NotNegative = Field(description="population standard deviation (ddof 0)")
    variance: NotNegative
    min: NotNegative
    max: NotNegative
    skew: float | None = Field(description="null where std is 0")
    kurtosis: float | None = Field(description="excess kurtosis, 0 for a normal distribution; null where std is 0")
    positives: Count = Field(description="texts with an activation over 0")
    density: Share = Field(description="positives / n")
    log10_density: float | None = Field(le=0, description="null for a dead feature")
    frequency: Share = Field(description="share of texts with an activation over 0.01, compared in float32")
    effective_count: NotNegative | None = Field(description="(sum a)^2 / sum a^2; null for a dead feature")
    quantiles: dict[str, float] = Field(description='of the positives, "0.05" to "0.95"; empty when dead')
    histogram: list[Count] = Field(description="positives a bin, see corpus.histogram_edges")


class CoherenceV1(WireModel):
    """How alike the texts of a feature are, by space; null where not defined."""

    activation_space: Cosine | None = Field(description="over standardised original activations, weighted")
    activation_baseline: Cosine | None = Field(description="the same over all pairs of texts, equal weights")
    text_space: Share | None = Field(description="over TF-IDF rows, weighted")
    text_baseline: Share | None = Field(description="the same over all pairs of texts, equal weights")
    activation_percentile: Share | None = Field(
        description="of activation_space among random placements of the weights"
    )
    text_percentile: Share | None = Field(description="the same of text_space")
    score_low: Share | None = Field(description="lower end of the 95 % interval of coherence_score")
    score_high: Share | None = Field(description="upper end")
    activation_unity: Cosine | None = Field(
        description="likeness across the best cut of the texts / inside its halves; 0: the halves share nothing"
    )
    text_unity: Cosine | None = Field(description="the same over TF-IDF rows")


class HeldOutV1(WireModel):
    """What the texts of a feature show on texts that were not used to find it; null where not defined."""

    separability: Share | None = Field(description="AUROC of even-ranked against silent texts, 0.5 is chance")
    keyword: str | None = Field(description="term that separates the odd-ranked texts best")
    keyword_auroc: Share | None = Field(description="(1 + TPR - FPR) / 2 of that term on even-ranked and other texts")


class CoactiveFeatureV1(WireModel):
    """Another feature that fires on the same texts."""

    feature_id: Count
    jaccard: Share = Field(description="texts that both fire on / texts that either fires on")
    correlation: Cosine | None = Field(description="Pearson, over all texts; null where either does not vary")


class KeywordStatisticV1(WireModel):
    """A term that stands out in the top texts."""

    keyword: str
    log_odds: float = Field(description="log-odds ratio, informative Dirichlet prior, top texts against the rest")
    z: float = Field(gt=0, description="log_odds over its standard error")
    p_value: Share = Field(description="family-wise adjusted (Holm)")
    top_texts: Count = Field(description="top texts that hold it")
    other_texts: Count = Field(description="other texts that hold it")


class LabelEvidenceV1(WireModel):
    """Why a category, tag or indicator was given."""

    label: str
    kind: Literal["category", "tag", "indicator"]
    confidence: Share
    log_odds: float
    z: float
    top_rate: Share = Field(description="share of the top texts that match")
    corpus_rate: Share = Field(description="share of all texts that match")
    evidence: list[str] = Field(max_length=5, description="words and patterns that matched most")


class OutlierExampleV1(WireModel):
    """A top text that does not fit the others."""

    text_index: Count
    activation_strength: float
    reasons: list[str]
    modified_z: float | None = Field(description="null where the median absolute deviation is 0")
    similarity: Cosine | None = Field(description="mean cosine to the other top texts")


class DiversityV1(WireModel):
    """How many distinct texts stand behind the top examples."""

    vendi_score: NotNegative | None = Field(description="effective number of distinct top texts, 1 to k")
    near_duplicate_share: Share | None = Field(description="share of top texts that nearly repeat a better-ranked one")


class ComplexityV1(WireModel):
    """The parts of complexity_score."""

    length: Share
    vocabulary: Share
    mixing: Share
    technical: Share


class NeighborV1(WireModel):
    """Another feature by the cosine of the decoder directions."""

    feature_id: Count
    cosine: Cosine


class GeometryV1(WireModel):
    """Where a feature lies in the dictionary."""

    nearest: list[NeighborV1] = Field(max_length=5, description="best first")
    most_opposed: NeighborV1 | None
    encoder_decoder_cosine: Cosine | None
    decoder_norm: NotNegative
    encoder_norm: NotNegative
    encoder_bias: float


class FeatureV1(WireModel):
    """One feature, whole."""

    feature_id: Count = Field(description="column of the activations, 0 to F-1")
    coherence_score: Share = Field(description="higher is better; 0 where not defined, see reasons")
    quality_tier: Tier = Field(
        description="by coherence_score: 0.8, 0.6, 0.4; insufficient: fewer than 5 distinct texts"
    )
    quality_level: Level = Field(description="high from 0.7, medium from 0.4")
    pattern_category: str = Field(description='primary category, or "unknown"')
    activation_statistics: ActivationStatisticsV1 | None = Field(description="null for an invalid feature")
    coherence: CoherenceV1
    diversity: DiversityV1
    flags: dict[str, float] = Field(description='finding -> its figure, for example {"dense": 0.63}')
    secondary_categories: list[str]
    pattern_keywords: list[str] = Field(description="best first, as they stand in the texts, case-folded")
    keyword_statistics: list[KeywordStatisticV1]
    semantic_tags: list[str]
    behavioral_indicators: list[str]
    label_evidence: list[LabelEvidenceV1]
    complexity_score: Share | None
    complexity: ComplexityV1 | None
    top_activations: list[TopActivationV1] = Field(max_length=100, description="strongest first")
    outlier_examples: list[OutlierExampleV1]
    geometry: GeometryV1 | None = Field(description="null without the autoencoder")
    held_out: HeldOutV1
    coactive: list[CoactiveFeatureV1] = Field(max_length=5, description="best first")
    reconstruction_error: NotNegative | None = Field(description="of the top texts: 0 perfect, 1 as bad as the mean")
    priority_score: Share = Field(description="how worthwhile it is to explain the feature; orders priority features")
    reasons: dict[str, str] = Field(description="name of a field -> why it is not defined")
