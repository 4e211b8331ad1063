"""What is known about one feature. Field names are those of the published results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

QualityTier = Literal["excellent", "good", "fair", "poor", "insufficient", "dead", "invalid"]
QualityLevel = Literal["high", "medium", "low"]
JUDGED_TIERS: frozenset[QualityTier] = frozenset({"excellent", "good", "fair", "poor"})
"""Tiers of features whose coherence is defined."""
QUALITY_TIERS: tuple[QualityTier, ...] = ("excellent", "good", "fair", "poor", "insufficient", "dead", "invalid")


@dataclass(frozen=True, slots=True)
class TopActivation:
    """One of the strongest texts of a feature.

    Attributes:
        rank: from 1; equal activations are ranked by the lower text index.
        text_index: row of the text in the run.
        activation_strength: > 0.
        text: the whole text.
        context: a window of at most 160 characters of it around what matters.
    """

    rank: int
    text_index: int
    activation_strength: float
    text: str
    context: str


@dataclass(frozen=True, slots=True)
class ActivationStatistics:
    """Distribution of a feature's activations over all n texts; accumulated in float64.

    Attributes:
        mean: over all n texts.
        std: population standard deviation (ddof 0).
        variance: std squared.
        min: smallest activation.
        max: largest activation.
        skew: third standardised moment; None where std is 0.
        kurtosis: excess kurtosis (0 for a normal distribution); None where std is 0.
        positives: number of texts with a > 0.
        density: positives / n.
        log10_density: None for a dead feature.
        frequency: share of texts with a > 0.01, compared in float32 (the first miStudioFind's figure).
        effective_count: (sum a)^2 / sum a^2, 1 to n; None for a dead feature.
        quantiles: quantiles of the positives, "0.05" to "0.95", linear interpolation; empty when dead.
        histogram: counts of positives in bins of equal ratio, see `histogram_edges` of the corpus.
    """

    mean: float
    std: float
    variance: float
    min: float
    max: float
    skew: float | None
    kurtosis: float | None
    positives: int
    density: float
    log10_density: float | None
    frequency: float
    effective_count: float | None
    quantiles: Mapping[str, float]
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Coherence:
    """How alike the texts of a feature are, by space; None where not defined (see `reasons`).

    Attributes:
        activation_space: MonoSemanticity over standardised original activations, -1 to 1; near-duplicates count once.
        activation_baseline: the same with equal weights, over all pairs of texts.
        text_space: MonoSemanticity over TF-IDF rows, 0 to 1.
        text_baseline: the same with equal weights, over all pairs of texts.
        activation_percentile: share of random placements of the same weights on the texts that give a lower
            `activation_space`, 0 to 1.
        text_percentile: the same of `text_space`.
        score_low: lower end of the 95 % interval of `coherence_score`, 0 to 1.
        score_high: upper end.
        activation_unity: likeness across the cut that parts the feature's texts best / likeness inside its halves, -1
            to 1, over the original activations: 1 is one concept, 0 two halves that have nothing in common.
        text_unity: the same over the TF-IDF rows.
    """

    activation_space: float | None
    activation_baseline: float | None
    text_space: float | None
    text_baseline: float | None
    activation_percentile: float | None = None
    text_percentile: float | None = None
    score_low: float | None = None
    score_high: float | None = None
    activation_unity: float | None = None
    text_unity: float | None = None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What the feature's texts show on texts that were not used to find it; None where not defined.

    Attributes:
        separability: AUROC, 0 to 1, of the cosine to the centroid of the odd-ranked texts, for even-ranked texts
            over texts that did not fire; 0.5 is chance.
        keyword: the term that separates the odd-ranked texts best from others.
        keyword_auroc: (1 + TPR - FPR) / 2 of that term on the even-ranked texts and on others, 0 to 1.
    """

    separability: float | None
    keyword: str | None
    keyword_auroc: float | None


@dataclass(frozen=True, slots=True)
class CoactiveFeature:
    """Another feature that fires on the same texts.

    Attributes:
        feature_id: the other feature.
        jaccard: texts that both fire on / texts that either fires on, 0 to 1.
        correlation: Pearson correlation of the two activations over all texts, -1 to 1; None where either does not
            vary.
    """

    feature_id: int
    jaccard: float
    correlation: float | None


@dataclass(frozen=True, slots=True)
class KeywordStatistic:
    """A term that stands out in the top texts.

    Attributes:
        keyword: as it stands in the texts, case-folded, no stem.
        log_odds: log-odds ratio with an informative Dirichlet prior, top texts against the rest.
        z: log_odds over its standard error; > 0.
        p_value: family-wise adjusted (Holm), at most 0.01.
        top_texts: number of top texts that hold it.
        other_texts: number of the other texts that hold it.
    """

    keyword: str
    log_odds: float
    z: float
    p_value: float
    top_texts: int
    other_texts: int


@dataclass(frozen=True, slots=True)
class LabelEvidence:
    """Why a category, tag or indicator was given.

    Attributes:
        label: name in the taxonomy.
        kind: which list of the taxonomy it stands in.
        confidence: 0 to 1, see docs/explanation/measures.md.
        log_odds: of the label's rate in the top texts against its rate in the other texts.
        z: how many standard deviations the evidence of the top texts lies above that of texts drawn at random.
        top_rate: share of the top texts that match.
        corpus_rate: share of all texts that match.
        evidence: up to 5 words and patterns that matched most.
    """

    label: str
    kind: Literal["category", "tag", "indicator"]
    confidence: float
    log_odds: float
    z: float
    top_rate: float
    corpus_rate: float
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutlierExample:
    """A top text that does not fit the others.

    Attributes:
        text_index: row of the text.
        activation_strength: its activation.
        reasons: any of `activation` (modified z), `norm` (activation norm over 10 medians), `dissimilar`
            (low similarity to the other top texts).
        modified_z: 0.6745 (a - median) / MAD over positives; None where the MAD is 0.
        similarity: mean cosine to the other top texts; None without original activations.
    """

    text_index: int
    activation_strength: float
    reasons: tuple[str, ...]
    modified_z: float | None
    similarity: float | None


@dataclass(frozen=True, slots=True)
class Diversity:
    """How many distinct texts stand behind the top examples.

    Attributes:
        vendi_score: exp(entropy of the eigenvalues of the top texts' Gram matrix / k), 1 to k; None
            without original activations or below 2 top texts.
        near_duplicate_share: share of top texts whose words nearly equal those of a better-ranked one, 0 to 1;
            None below 2 top texts.
    """

    vendi_score: float | None
    near_duplicate_share: float | None


@dataclass(frozen=True, slots=True)
class Complexity:
    """The parts of `complexity_score`, each 0 to 1.

    Attributes:
        length: of the top texts, saturating.
        vocabulary: share of distinct words.
        mixing: entropy over the categories of the top texts.
        technical: share of top texts that match the technical category.
    """

    length: float
    vocabulary: float
    mixing: float
    technical: float


@dataclass(frozen=True, slots=True)
class Neighbor:
    """Another feature by the cosine of the decoder directions, -1 to 1."""

    feature_id: int
    cosine: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a feature lies in the dictionary; None as a whole without the autoencoder.

    Attributes:
        nearest: up to 5 features with the most similar decoder direction, best first, ties by lower id.
        most_opposed: the feature with the lowest cosine; None where there is only one feature.
        encoder_decoder_cosine: None where either direction is zero.
        decoder_norm: >= 0.
        encoder_norm: >= 0.
        encoder_bias: as trained.
    """

    nearest: tuple[Neighbor, ...]
    most_opposed: Neighbor | None
    encoder_decoder_cosine: float | None
    decoder_norm: float
    encoder_norm: float
    encoder_bias: float


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """One feature, whole.

    Attributes:
        feature_id: column, 0 to F-1.
        coherence_score: 0 to 1, higher is better; 0 where not defined, with a reason.
        quality_tier: dead, insufficient (fires on fewer than 5 distinct texts), invalid, else by coherence_score:
            excellent >= 0.8, good >= 0.6, fair >= 0.4, poor.
        quality_level: high >= 0.7, medium >= 0.4, low.
        flags: finding -> its figure, for example {"dense": 0.63}.
        pattern_category: primary category, or "unknown".
        secondary_categories: further categories, best first.
        pattern_keywords: best first; empty where nothing is significant.
        keyword_statistics: one a keyword, same order.
        semantic_tags: best first.
        behavioral_indicators: best first.
        label_evidence: for the primary category, then each of the above, same order.
        complexity_score: 0 to 1; None where not defined.
        complexity: its parts; None where not defined.
        activation_statistics: None for an invalid feature.
        top_activations: strongest first, positives only, at most top_k.
        coherence: parts of the score.
        outlier_examples: strongest first.
        diversity: of the top texts.
        geometry: None without the autoencoder.
        held_out: checks on texts that were not used to find the feature's concept.
        coactive: up to 5 features that fire on the same texts most (Jaccard), best first, ties by lower id.
        reconstruction_error: |e - SAE(e)|^2 summed over the top texts / |e - mean e|^2 summed over them;
            0 is perfect, 1 as bad as the mean; None without autoencoder or original activations.
        priority_score: 0 to 1, how worthwhile explaining the feature is, see docs/explanation/measures.md.
        reasons: name of a field -> why it is not defined.
    """

    feature_id: int
    coherence_score: float
    quality_tier: QualityTier
    quality_level: QualityLevel
    pattern_category: str
    activation_statistics: ActivationStatistics | None
    coherence: Coherence
    diversity: Diversity
    flags: Mapping[str, float] = field(default_factory=dict)
    secondary_categories: tuple[str, ...] = ()
    pattern_keywords: tuple[str, ...] = ()
    keyword_statistics: tuple[KeywordStatistic, ...] = ()
    semantic_tags: tuple[str, ...] = ()
    behavioral_indicators: tuple[str, ...] = ()
    label_evidence: tuple[LabelEvidence, ...] = ()
    complexity_score: float | None = None
    complexity: Complexity | None = None
    top_activations: tuple[TopActivation, ...] = ()
    outlier_examples: tuple[OutlierExample, ...] = ()
    geometry: Geometry | None = None
    held_out: HeldOut = HeldOut(None, None, None)
    coactive: tuple[CoactiveFeature, ...] = ()
    reconstruction_error: float | None = None
    priority_score: float = 0.0
    reasons: Mapping[str, str] = field(default_factory=dict)
