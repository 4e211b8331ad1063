"""Two runs side by side: what is compared, and what came of it. Field names are those of comparison.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistudio_worker.domain.feature_report import QualityTier
    from mistudio_worker.domain.find_result import ResultStatus
    from mistudio_worker.domain.training_run import Gap

MatchMethod = Literal["decoder", "activation", "top_texts"]
MatchBy = Literal["auto", "decoder", "activation"]
Change = Literal["score", "tier", "category"]


DEFAULT_MIN_CHANGE = 0.1
"""Half of the width of a tier: a feature in the middle of its tier that changes by less keeps it."""


@dataclass(frozen=True, slots=True)
class ComparisonOptions:
    """What a user may choose.

    Attributes:
        min_similarity: over 0, to 1; None for the method's own, see docs/explanation/comparison.md.
        min_change: a difference of scores from it on is a change, 0 to 1.
    """

    min_similarity: float | None = None
    min_change: float = DEFAULT_MIN_CHANGE


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One of the two runs, as its results name it.

    Attributes:
        find_job_id: the find job.
        source_job_id: the training job.
        status: `partial` where something was missing from its input.
        features: F.
        texts: n.
        top_k: strongest texts kept a feature.
        analysis: version of the formulas.
        taxonomy_sha256: of the taxonomy in use.
    """

    find_job_id: str
    source_job_id: str
    status: ResultStatus
    features: int
    texts: int
    top_k: int
    analysis: str
    taxonomy_sha256: str


@dataclass(frozen=True, slots=True)
class FeatureFigures:
    """What a comparison takes of one feature's report.

    Attributes:
        feature_id: of the run.
        coherence_score: 0 to 1; says something for the tiers excellent to poor only.
        quality_tier: of the report.
        pattern_category: of the report.
        pattern_keywords: of the report, best first.
        top_texts: (text, activation > 0), strongest first.
    """

    feature_id: int
    coherence_score: float
    quality_tier: QualityTier
    pattern_category: str
    pattern_keywords: tuple[str, ...]
    top_texts: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What a comparison takes of one run's results.

    Attributes:
        run: what it is.
        features: one a feature, in the order of the results.
        gaps: what was missing from its input.
    """

    run: ComparedRun
    features: tuple[FeatureFigures, ...]
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class FeaturePair:
    """A feature of A and the feature of B that it is matched with.

    Attributes:
        feature_a: its id in A.
        feature_b: its id in B.
        similarity: at least `min_similarity`, at most 1.
        score_a: coherence_score in A.
        score_b: coherence_score in B.
        score_change: score_b - score_a, -1 to 1; None unless coherence is defined in both.
        tier_a: quality_tier in A.
        tier_b: quality_tier in B.
        category_a: pattern_category in A.
        category_b: pattern_category in B.
        keywords_a: first pattern_keywords in A.
        keywords_b: first pattern_keywords in B.
        changes: what changed: `score` by at least `min_change`, `tier`, `category`; empty where nothing did.
    """

    feature_a: int
    feature_b: int
    similarity: float
    score_a: float
    score_b: float
    score_change: float | None
    tier_a: QualityTier
    tier_b: QualityTier
    category_a: str
    category_b: str
    keywords_a: tuple[str, ...]
    keywords_b: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class LoneFeature:
    """A feature without a match in the other run.

    Attributes:
        feature_id: its id.
        coherence_score: of the report.
        quality_tier: of the report.
        pattern_category: of the report.
        pattern_keywords: the first ones of the report.
        nearest_feature: the most similar feature of the other run, ties by lower id; it is below
            `min_similarity`, or matched with a feature that is more similar to it.
        nearest_similarity: how similar that is, -1 to 1.
    """

    feature_id: int
    coherence_score: float
    quality_tier: QualityTier
    pattern_category: str
    pattern_keywords: tuple[str, ...]
    nearest_feature: int
    nearest_similarity: float


@dataclass(frozen=True, slots=True)
class NotCompared:
    """Features that give nothing to match by, or that never fire and match nothing: neither vanished nor appeared.

    Attributes:
        reason: what each of them lacks.
        a: ids in A, ascending.
        b: ids in B, ascending.
    """

    reason: str
    a: tuple[int, ...]
    b: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TierCounts:
    """Features of a tier in each run."""

    a: int
    b: int


@dataclass(frozen=True, slots=True)
class TierMove:
    """Matched features that are of one tier in A and of one in B; the two may be the same."""

    tier_a: QualityTier
    tier_b: QualityTier
    pairs: int


@dataclass(frozen=True, slots=True)
class ComparisonSummary:
    """The comparison in a few figures.

    Attributes:
        matched: pairs.
        matched_share_a: pairs / features of A that could be compared, 0 to 1.
        matched_share_b: pairs / features of B that could be compared, 0 to 1.
        changed: pairs with any change.
        vanished: features of A without a match.
        appeared: features of B without a match.
        median_similarity: of the pairs; None without any.
        score_correlation: Pearson, of the scores of the pairs where coherence is defined in both; None
            below 3 of them or where either side does not vary.
        mean_score_change: over the same pairs; None without any.
        tiers: every tier -> its features in each run, matched or not.
        tier_moves: of the pairs, best tiers first; moves that no pair makes are left out.
    """

    matched: int
    matched_share_a: float
    matched_share_b: float
    changed: int
    vanished: int
    appeared: int
    median_similarity: float | None
    score_correlation: float | None
    mean_score_change: float | None
    tiers: Mapping[str, TierCounts]
    tier_moves: tuple[TierMove, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs compared. A pure function of both, the method and the options.

    Attributes:
        matched_by: what similarity means: cosine of decoder directions, correlation of activations over
            common texts, or weighted Jaccard of the top texts.
        min_similarity: pairs below it are no match.
        min_change: a difference of scores from it on is a change.
        common_texts: texts that both runs hold (top_texts: in the top texts of both); None for decoder.
        a: the first run.
        b: the second run.
        summary: in a few figures.
        pairs: matched features, by feature_a.
        vanished: features of A without a match, by id.
        appeared: features of B without a match, by id.
        not_compared: features that give nothing to match by.
        caveats: what a reader must know of the comparison, one sentence each.
    """

    matched_by: MatchMethod
    min_similarity: float
    min_change: float
    common_texts: int | None
    a: ComparedRun
    b: ComparedRun
    summary: ComparisonSummary
    pairs: tuple[FeaturePair, ...]
    vanished: tuple[LoneFeature, ...]
    appeared: tuple[LoneFeature, ...]
    not_compared: NotCompared
    caveats: tuple[str, ...] = ()
