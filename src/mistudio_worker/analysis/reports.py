"""From the columns of all features to one record a feature."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.analysis.coactivation import coactive_records
from mistudio_worker.analysis.coherence_table import coherence_record
from mistudio_worker.analysis.geometry import duplicate_flag, geometry_record
from mistudio_worker.analysis.outliers import outlier_records
from mistudio_worker.analysis.priority import priority_score
from mistudio_worker.analysis.reasons import why_undefined
from mistudio_worker.analysis.statistics import number_or_none, statistics_record
from mistudio_worker.analysis.tiers import MIN_POSITIVES, flags_of, quality_level, quality_tier
from mistudio_worker.domain.feature_report import Coherence, Diversity, FeatureReport, HeldOut, TopActivation

if TYPE_CHECKING:
    from mistudio_worker.analysis.measures import Measures


def report_feature(measures: Measures, feature: int) -> FeatureReport:
    """Return everything known about one feature, with a reason for whatever is not defined."""
    distinct = int(measures.coherence.distinct_texts[feature])
    invalid = bool(measures.invalid[feature])
    enough = distinct >= MIN_POSITIVES and not invalid
    score = float(np.nan_to_num(measures.coherence.scores.score[feature])) if enough else 0.0
    labels, keywords = measures.words.labels[feature], measures.words.keywords[feature]
    geometry = None if measures.dictionary.geometry is None else geometry_record(measures.dictionary.geometry, feature)
    duplicates = {} if measures.dictionary.geometry is None else duplicate_flag(measures.dictionary.geometry, feature)
    report = FeatureReport(
        feature_id=feature,
        coherence_score=score,
        quality_tier=quality_tier(score, distinct, invalid=invalid),
        quality_level=quality_level(score),
        pattern_category=labels.primary,
        activation_statistics=None if invalid else statistics_record(measures.statistics, feature),
        coherence=coherence_record(measures.coherence, feature) if enough else Coherence(None, None, None, None),
        diversity=_diversity(measures, feature),
        flags=flags_of(measures.flags, feature) | duplicates,
        secondary_categories=labels.secondary,
        pattern_keywords=tuple(keyword.keyword for keyword in keywords),
        keyword_statistics=keywords,
        semantic_tags=labels.tags,
        behavioral_indicators=labels.indicators,
        label_evidence=labels.evidence,
        complexity_score=measures.words.complexity[feature].score,
        complexity=measures.words.complexity[feature].parts,
        top_activations=_top_activations(measures, feature),
        outlier_examples=outlier_records(measures.top, measures.outliers, measures.likeness, feature),
        geometry=geometry,
        held_out=_held_out(measures, feature),
        reconstruction_error=_reconstruction_error(measures, feature),
        coactive=coactive_records(measures.dictionary.coactivation, feature),
        reasons=why_undefined(measures, feature, geometry),
    )
    return replace(report, priority_score=priority_score(report))


def _separability(measures: Measures, feature: int) -> float | None:
    return None if measures.separability is None else number_or_none(measures.separability.auroc[feature])


def _reconstruction_error(measures: Measures, feature: int) -> float | None:
    errors = measures.dictionary.reconstruction_errors
    return None if errors is None else number_or_none(errors[feature])


def _held_out(measures: Measures, feature: int) -> HeldOut:
    checks = measures.words.predictiveness
    term = int(checks.term[feature])
    return HeldOut(
        separability=_separability(measures, feature),
        keyword=measures.words.terms.terms[term] if term >= 0 else None,
        keyword_auroc=number_or_none(checks.auroc[feature]),
    )


def _diversity(measures: Measures, feature: int) -> Diversity:
    return Diversity(
        vendi_score=None if measures.likeness is None else number_or_none(measures.likeness.vendi[feature]),
        near_duplicate_share=number_or_none(measures.words.duplicate_shares[feature]),
    )


def _top_activations(measures: Measures, feature: int) -> tuple[TopActivation, ...]:
    top = measures.top
    entries = slice(int(top.offsets[feature]), int(top.offsets[feature + 1]))
    columns = (top.texts[entries].tolist(), top.strengths[entries].tolist(), measures.words.contexts[entries])
    return tuple(
        TopActivation(rank, text, strength, measures.texts[text], context)
        for rank, (text, strength, context) in enumerate(zip(*columns, strict=True), start=1)
    )
