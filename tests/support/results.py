"""Results made by hand for the exports: small, with texts that hurt."""

from __future__ import annotations

from dataclasses import replace

from mistudio_worker.domain.explainer_bundle import BundleExample, Explainer, ExplainerBundle
from mistudio_worker.domain.feature_report import (
    QUALITY_TIERS,
    ActivationStatistics,
    CoactiveFeature,
    Coherence,
    Complexity,
    Diversity,
    FeatureReport,
    Geometry,
    HeldOut,
    KeywordStatistic,
    LabelEvidence,
    Neighbor,
    OutlierExample,
    QualityTier,
    TopActivation,
)
from mistudio_worker.domain.find_result import Corpus, DirectionPair, FindResult, SaeQuality, SharedTopTexts, Versions
from mistudio_worker.domain.identity import JobIdentity
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.domain.training_run import Gap, TrainingMetadata

FIND_JOB_ID = "find_20260102_030405_0123abcd"
TRAINING_JOB_ID = "train_20260102_030405_0001"
HISTOGRAM_EDGES = (0.001, 0.01, 0.1, 1.0, 10.0)

NASTY_TEXTS = (
    "=HYPERLINK(\"http://example.com\",\"x\")",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "'=already quoted",
    "+1", "-2", "\tTAB first", "\rCR first", "\nLF first", "\uff1d1+1",
    "nul \0 inside", "\0", "escape \x1b[2J\x1b]0;title\x07", "\x7f\x85\x9b31m c1",
    "noncharacters \ufffe \uffff \U0001fffe", "]]> <![CDATA[ & < > \" '", "<!-- -- --><?pi?>",
    "line\nbreak\r\nand\rlone", "a,b;c\td|e", "bidi \u202e evil \u2066 x", "\u2028 separators \u2029",
    "\ufeffbom first", "", "   ", "NA", "null", "nan", "1e5", "007",
    "emoji \U0001f469\u200d\U0001f467 e\u0301 \u4f60\u597d",
    "\ufffd replaced",
    "word " * 8_000,
)  # fmt: skip


def statistics(feature_id: int = 0, **changes: object) -> ActivationStatistics:
    """Statistics with figures that need all digits."""
    base = ActivationStatistics(
        mean=0.1 + 0.2,
        std=1 / 3,
        variance=1 / 9,
        min=0.0,
        max=5e-324 if feature_id == 2 else 1.7976931348623157e308,
        skew=-0.0,
        kurtosis=2 / 3,
        positives=40 + feature_id,
        density=0.04,
        log10_density=-1.3979400086720375,
        frequency=0.039,
        effective_count=12.345678901234567,
        quantiles={"0.05": 0.01, "0.5": 1e16, "0.95": 0.7},
        histogram=(1, 2, 30, 7),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def feature(feature_id: int, texts: tuple[str, ...] = ("one text", "another text"), **changes: object) -> FeatureReport:
    """A scored feature; each text is one of its top texts."""
    top = tuple(
        TopActivation(i + 1, 100 * feature_id + i, 1 / (i + 3), text, text[:160]) for i, text in enumerate(texts)
    )
    base = FeatureReport(
        feature_id=feature_id,
        coherence_score=0.65,
        quality_tier="good",
        quality_level="medium",
        pattern_category="technical",
        activation_statistics=statistics(feature_id),
        coherence=Coherence(0.61, 0.12, 0.3, 0.021, 0.999, 1.0, 0.5, 0.8, 0.7, -0.2),
        diversity=Diversity(1.9, 0.0),
        flags={"dense": 0.63},
        secondary_categories=("factual",),
        pattern_keywords=("=sum", "naïve"),
        keyword_statistics=(
            KeywordStatistic("=sum", 2.3, 4.5, 1e-5, 2, 3),
            KeywordStatistic("naïve", 1.1, 3.3, 0.004, 1, 0),
        ),
        semantic_tags=("code", "@tag"),
        behavioral_indicators=("information_provision",),
        label_evidence=(LabelEvidence("technical", "category", 0.8, 1.5, 3.9, 0.5, 0.05, ("api", "=sum")),),
        complexity_score=0.4,
        complexity=Complexity(0.5, 0.9, 0.0, 0.5),
        top_activations=top,
        outlier_examples=(OutlierExample(100 * feature_id, 1 / 3, ("activation", "dissimilar"), 4.2, None),),
        geometry=Geometry((Neighbor(1, 0.5), Neighbor(3, 0.25)), Neighbor(2, -0.75), 0.9, 1.0, 0.7, -0.1),
        held_out=HeldOut(0.93, "=sum", 0.81),
        coactive=(CoactiveFeature(2, 0.25, 0.4), CoactiveFeature(5, 0.1, None)),
        reconstruction_error=0.2 + 0.1,
        priority_score=0.7,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def unscored(feature_id: int, tier: QualityTier, **changes: object) -> FeatureReport:
    """A feature without a defined coherence."""
    base = FeatureReport(
        feature_id=feature_id,
        coherence_score=0.0,
        quality_tier=tier,
        quality_level="low",
        pattern_category="unknown",
        activation_statistics=None,
        coherence=Coherence(None, None, None, None),
        diversity=Diversity(None, None),
        reasons={"coherence_score": f"the feature is {tier}"},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def dead(feature_id: int) -> FeatureReport:
    """A feature that never fires."""
    zeros = statistics(
        mean=0.0, std=0.0, variance=0.0, max=0.0, skew=None, kurtosis=None, positives=0, density=0.0,
        log10_density=None, frequency=0.0, effective_count=None, quantiles={}, histogram=(0, 0, 0, 0),
    )  # fmt: skip
    return unscored(feature_id, "dead", activation_statistics=zeros)


def result(*features: FeatureReport, **changes: object) -> FindResult:
    """A result over the given features, whose figures of the corpus agree with them."""
    tiers = [f.quality_tier for f in features]
    categories = [f.pattern_category for f in features]
    base = FindResult(
        identity=JobIdentity(TRAINING_JOB_ID, FIND_JOB_ID, "0123abcd" * 8),
        parameters=Parameters(),
        versions=Versions("1", "1", "ab" * 32),
        metadata=TrainingMetadata(
            job_id=TRAINING_JOB_ID,
            timestamp="2026-01-02T03:04:05",
            model_name="example/model",
            layer=16,
            details={"final_loss": "Infinity", "hidden_size": 8, "huge": 10**30},
        ),
        features=features,
        corpus=Corpus(
            texts=1_000,
            features=len(features),
            activation_dim=8,
            replaced_surrogates=0,
            empty_texts=0,
            tiers={tier: tiers.count(tier) for tier in QUALITY_TIERS},
            categories={name: categories.count(name) for name in dict.fromkeys(categories)},
            mean_density=0.04,
            mean_l0=0.16,
            histogram_edges=HISTOGRAM_EDGES,
            covered_texts=0.002,
            near_duplicate_texts=3,
            priority_share=0.5,
            priority_covered_texts=0.04,
            sae_quality=SaeQuality(0.8, 0.16, 0.1, 0.0),
            shared_top_texts=(SharedTopTexts((0, 2), 2, 1.0),),
            duplicate_features=(DirectionPair((0, 2), 0.99),),
            antipodal_features=(DirectionPair((0, 4), -0.95),),
        ),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def explainer(*features: FeatureReport) -> Explainer:
    """A bundle a feature that shows its top texts and tests on two others."""
    bundles = tuple(
        ExplainerBundle(
            feature_id=f.feature_id,
            priority_score=f.priority_score,
            coherence_score=f.coherence_score,
            pattern_category=f.pattern_category,
            top=tuple(BundleExample(t.text_index, t.activation_strength, 1.0) for t in f.top_activations),
            quantiles=(BundleExample(900, 1 / 7, 0.5),),
            hard_negatives=(BundleExample(901, 0.0, 0.0),),
            test_active=(),
            test_silent=(BundleExample(902, 0.0, 0.0),),
            duplicates_left_out=1,
            coherence=f.coherence,
            held_out=f.held_out,
            keyword_statistics=f.keyword_statistics,
            label_evidence=f.label_evidence,
        )
        for f in features
    )
    shown = {t.text_index: t.text for f in features for t in f.top_activations}
    return Explainer(bundles, {str(i): text for i, text in {**shown, 900: "a", 901: "=b", 902: "\0"}.items()})


def small_result() -> FindResult:
    """Every kind of feature once, and every nasty text: the result of the golden files."""
    features = [
        feature(0, coherence_score=0.91, quality_tier="excellent", quality_level="high"),
        dead(1),
        feature(2, NASTY_TEXTS[:20], pattern_keywords=("\x1bescape", "]]>"), keyword_statistics=(), geometry=None),
        unscored(3, "invalid"),
        feature(4, NASTY_TEXTS[20:], coherence_score=0.2, quality_tier="poor", quality_level="low"),
        unscored(5, "insufficient", activation_statistics=statistics(5, positives=2, skew=None)),
        *(feature(6 + i, (text, text)) for i, text in enumerate(NASTY_TEXTS)),
    ]
    gap = Gap("FEATURE_NOT_FINITE", "feature 3 holds NaN \x1b[31m and was not analysed", features=(3,))
    return result(*features, gaps=(gap,), explainer=explainer(features[0], features[2]))


def golden_result() -> FindResult:
    """A result small enough to keep its files beside the tests."""
    features = [
        feature(0, coherence_score=0.91, quality_tier="excellent", quality_level="high"),
        dead(1),
        feature(2, NASTY_TEXTS[:-1], pattern_keywords=("\x1bescape", "]]>"), keyword_statistics=(), geometry=None),
        unscored(3, "invalid"),
    ]
    gap = Gap("FEATURE_NOT_FINITE", "feature 3 holds NaN \x1b[31m and was not analysed", features=(3,))
    return result(*features, gaps=(gap,), explainer=explainer(features[0], features[2]))
