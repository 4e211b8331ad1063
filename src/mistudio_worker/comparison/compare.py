"""Two runs and the similarities of their features -> Comparison: the story of this room, top to bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mistudio_worker.comparison.caveats import caveats_of
from mistudio_worker.comparison.matching import match_features
from mistudio_worker.comparison.similarities import DEFAULT_MIN_SIMILARITY
from mistudio_worker.comparison.summary import summarize
from mistudio_worker.domain.comparison import Comparison, FeaturePair, LoneFeature, NotCompared
from mistudio_worker.domain.feature_report import JUDGED_TIERS
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mistudio_worker.analysis.execution import Execution
    from mistudio_worker.comparison.matching import Matching
    from mistudio_worker.comparison.similarities import Similarities
    from mistudio_worker.domain.comparison import Change, ComparisonOptions, FeatureFigures, RunFigures
    from mistudio_worker.domain.feature_report import QualityTier

KEYWORDS = 5
SILENT_TIERS: frozenset[QualityTier] = frozenset({"dead", "invalid"})


def compare(  # noqa: PLR0913 - two runs, how to compare them, and how to work
    a: RunFigures,
    b: RunFigures,
    similarities: Similarities,
    options: ComparisonOptions,
    *,
    execution: Execution,
    on_progress: Callable[[float], None],
) -> Comparison:
    """Match the features of two runs and say what appeared, vanished or changed from A to B.

    Args:
        a: the first run; its features in the order of `similarities`.
        b: the second run; likewise.
        similarities: of their features.
        options: thresholds.
        execution: threads and budget; they change no byte.
        on_progress: told the share of the similarities that are computed, 0 to 1.

    Raises:
        RefusedInput: `RUNS_NOT_COMPARABLE`, no feature of one of the runs gives anything to match by.
    """
    _check_comparable(a, b, similarities)
    chosen = options.min_similarity
    min_similarity = DEFAULT_MIN_SIMILARITY[similarities.method] if chosen is None else chosen
    matching = match_features(similarities, min_similarity, execution, on_progress)
    pairs = _pairs(a, b, matching, options.min_change)
    matched_a = matching.partners >= 0
    matched_b = np.isin(np.arange(len(b.features)), matching.partners)
    alone_a = similarities.comparable_a & _live(a) & ~matched_a
    alone_b = similarities.comparable_b & _live(b) & ~matched_b
    vanished = _alone(a, b, np.flatnonzero(alone_a), matching.nearest_b, matching.nearest_b_similarities)
    appeared = _alone(b, a, np.flatnonzero(alone_b), matching.nearest_a, matching.nearest_a_similarities)
    return Comparison(
        matched_by=similarities.method,
        min_similarity=min_similarity,
        min_change=options.min_change,
        common_texts=similarities.common_texts,
        a=a.run,
        b=b.run,
        summary=summarize(a, b, pairs, vanished, appeared),
        pairs=pairs,
        vanished=vanished,
        appeared=appeared,
        not_compared=NotCompared(similarities.lack, _ids(a, ~(matched_a | alone_a)), _ids(b, ~(matched_b | alone_b))),
        caveats=(*caveats_of(a.run, b.run), *similarities.caveats),
    )


def _check_comparable(a: RunFigures, b: RunFigures, similarities: Similarities) -> None:
    for name, run, comparable in (("A", a, similarities.comparable_a), ("B", b, similarities.comparable_b)):
        if not comparable.any():
            raise RefusedInput(
                "RUNS_NOT_COMPARABLE",
                f"none of the {len(run.features):,} features of {name} ({run.run.source_job_id}) can be matched by "
                f"{similarities.method}: {similarities.lack}",
                "compare runs over the same texts, or whole runs (folders with models/ and activations/) by decoder",
            )


def _live(run: RunFigures) -> NDArray[np.bool_]:
    """Return the features that fire: that another one does not is no news, as long as nothing matches it."""
    return np.array([feature.quality_tier not in SILENT_TIERS for feature in run.features], dtype=np.bool_)


def _pairs(a: RunFigures, b: RunFigures, matching: Matching, min_change: float) -> tuple[FeaturePair, ...]:
    found = zip(matching.partners.tolist(), matching.similarities.tolist(), strict=True)
    return tuple(
        _pair(a.features[row], b.features[partner], similarity, min_change)
        for row, (partner, similarity) in enumerate(found)
        if partner >= 0
    )


def _pair(a: FeatureFigures, b: FeatureFigures, similarity: float, min_change: float) -> FeaturePair:
    judged = {a.quality_tier, b.quality_tier} <= JUDGED_TIERS
    score_change = round(b.coherence_score - a.coherence_score, 9) if judged else None
    differences: dict[Change, bool] = {
        "score": score_change is not None and abs(score_change) >= min_change,
        "tier": a.quality_tier != b.quality_tier,
        "category": a.pattern_category != b.pattern_category,
    }
    return FeaturePair(
        feature_a=a.feature_id,
        feature_b=b.feature_id,
        similarity=similarity,
        score_a=a.coherence_score,
        score_b=b.coherence_score,
        score_change=score_change,
        tier_a=a.quality_tier,
        tier_b=b.quality_tier,
        category_a=a.pattern_category,
        category_b=b.pattern_category,
        keywords_a=a.pattern_keywords[:KEYWORDS],
        keywords_b=b.pattern_keywords[:KEYWORDS],
        changes=tuple(change for change, there in differences.items() if there),
    )


def _alone(
    run: RunFigures,
    other: RunFigures,
    rows: NDArray[np.int64],
    nearest: NDArray[np.int64],
    nearest_similarities: NDArray[np.float64],
) -> tuple[LoneFeature, ...]:
    return tuple(
        LoneFeature(
            feature_id=feature.feature_id,
            coherence_score=feature.coherence_score,
            quality_tier=feature.quality_tier,
            pattern_category=feature.pattern_category,
            pattern_keywords=feature.pattern_keywords[:KEYWORDS],
            nearest_feature=other.features[neighbor].feature_id,
            nearest_similarity=similarity,
        )
        for feature, neighbor, similarity in zip(
            (run.features[row] for row in rows.tolist()),
            nearest[rows].tolist(),
            nearest_similarities[rows].tolist(),
            strict=True,
        )
    )


def _ids(run: RunFigures, chosen: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(run.features[row].feature_id for row in np.flatnonzero(chosen).tolist())
