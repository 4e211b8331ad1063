"""The figures of a comparison as a whole."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING

from mistudio_worker.domain.comparison import ComparisonSummary, TierCounts, TierMove
from mistudio_worker.domain.feature_report import QUALITY_TIERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mistudio_worker.domain.comparison import FeaturePair, LoneFeature, RunFigures

MIN_PAIRS = 3
DECIMALS = 9


def summarize(
    a: RunFigures,
    b: RunFigures,
    pairs: Sequence[FeaturePair],
    vanished: Sequence[LoneFeature],
    appeared: Sequence[LoneFeature],
) -> ComparisonSummary:
    """Count and correlate; shares are of the features that could be compared, at least one of each run."""
    judged = [pair for pair in pairs if pair.score_change is not None]
    changes = [pair.score_b - pair.score_a for pair in judged]
    return ComparisonSummary(
        matched=len(pairs),
        matched_share_a=len(pairs) / (len(pairs) + len(vanished)),
        matched_share_b=len(pairs) / (len(pairs) + len(appeared)),
        changed=sum(bool(pair.changes) for pair in pairs),
        vanished=len(vanished),
        appeared=len(appeared),
        median_similarity=statistics.median(pair.similarity for pair in pairs) if pairs else None,
        score_correlation=_correlation([pair.score_a for pair in judged], [pair.score_b for pair in judged]),
        mean_score_change=round(statistics.fmean(changes), DECIMALS) if changes else None,
        tiers=_tiers(a, b),
        tier_moves=_moves(pairs),
    )


def _correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Pearson's r; None below 3 pairs or where either side does not vary."""
    if len(a) < MIN_PAIRS or len(set(a)) == 1 or len(set(b)) == 1:
        return None
    return round(statistics.correlation(a, b), DECIMALS)


def _tiers(a: RunFigures, b: RunFigures) -> Mapping[str, TierCounts]:
    in_a, in_b = (Counter(feature.quality_tier for feature in run.features) for run in (a, b))
    return {tier: TierCounts(in_a[tier], in_b[tier]) for tier in QUALITY_TIERS}


def _moves(pairs: Sequence[FeaturePair]) -> tuple[TierMove, ...]:
    moves = Counter((pair.tier_a, pair.tier_b) for pair in pairs)
    every = ((tier_a, tier_b) for tier_a in QUALITY_TIERS for tier_b in QUALITY_TIERS)
    return tuple(TierMove(*move, moves[move]) for move in every if moves[move])
