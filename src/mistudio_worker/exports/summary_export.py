"""What a person likes to read first, at most 100 columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from mistudio_worker.domain.feature_report import QUALITY_TIERS
from mistudio_worker.exports.printable import clip, printable, wrap
from mistudio_worker.exports.records import BEST_FEATURES, SCORED_TIERS, summary_insights
from mistudio_worker.exports.summary_corpus import whole_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mistudio_worker.domain.feature_report import Coherence, FeatureReport, HeldOut
    from mistudio_worker.domain.find_result import FindResult

BAR_COLUMNS = 40
_SCORES = (
    "Coherence, 0 to 1: how alike the texts are that drive a feature; high stands for one clear idea.",
    "Keywords are over-represented in the top texts beyond chance (adjusted p at most 0.01).",
    "Priority, 0 to 1, orders the features; held out: checked on texts that were not used before.",
)
_TIER_NOTES: Mapping[str, str] = {
    "excellent": "coherence 0.8 or more",
    "good": "0.6 or more",
    "fair": "0.4 or more",
    "poor": "below 0.4",
    "insufficient": "fires on fewer than 5 texts",
    "dead": "never fires",
    "invalid": "holds values that are no activations",
}


def write_summary(result: FindResult, stream: BinaryIO) -> None:
    """Write `_summary_report.txt`, UTF-8."""
    stream.write(summary_report(result).encode())


def summary_report(result: FindResult) -> str:
    """Return the report as text; the JSON carries the same under `summary_report`.

    Texts of the run are made printable: no control, bidi or escape character gets to a terminal.
    """
    parts = (_header, _overview, _tiers, _whole, _best, _gaps)
    lines = [line for part in parts for line in [*part(result), ""]]
    return "\n".join(lines[:-1]) + "\n"


def _header(result: FindResult) -> Iterator[str]:
    title = "miStudioFind: what the features respond to"
    yield title
    yield "=" * len(title)
    yield f"Find job      {result.identity.find_job_id}"
    yield f"Training job  {result.identity.training_job_id}"
    layer = "" if result.metadata.layer is None else f", layer {result.metadata.layer}"
    yield f"Model         {clip(result.metadata.model_name or 'unknown', 70)}{layer}"
    yield f"Parameters    top {result.parameters.top_k} texts, threshold {result.parameters.coherence_threshold}"
    yield f"Versions      analysis {result.versions.analysis}, taxonomy {result.versions.taxonomy}"
    yield f"Status        {result.status}"


def _overview(result: FindResult) -> Iterator[str]:
    insights, corpus = summary_insights(result), result.corpus
    dead = insights.features_by_tier.get("dead", 0)
    insufficient = insights.features_by_tier.get("insufficient", 0)
    yield from _heading("Overview")
    yield f"{corpus.features:,} features over {corpus.texts:,} texts"
    share = "" if corpus.priority_share is None else f", {corpus.priority_share:.0%} of those that were scored"
    yield f"{insights.priority_feature_count:,} worth explaining: coherence at or over the threshold{share}"
    yield f"{dead:,} dead, {insufficient:,} with too few texts to judge"
    if insights.mean_coherence is not None:
        yield f"{insights.mean_coherence:.3f} mean coherence of the features that were scored"
    yield from (line for sentence in _SCORES for line in wrap(sentence))


def _tiers(result: FindResult) -> Iterator[str]:
    yield from _heading("Quality")
    total = max(result.corpus.features, 1)
    for tier in QUALITY_TIERS:
        count = result.corpus.tiers.get(tier, 0)
        yield f"{tier:<13}{count:>8,} {_bar(count, total)}{_TIER_NOTES[tier]}"


def _whole(result: FindResult) -> Iterator[str]:
    yield from _heading("The run as a whole")
    yield from whole_run(result)


def _best(result: FindResult) -> Iterator[str]:
    yield from _heading("Best features")
    best = [f for f in result.priority_features if f.quality_tier in SCORED_TIERS][:BEST_FEATURES]
    if not best:
        yield "None is at or over the threshold."
    for place, feature in enumerate(best, 1):
        yield from _one(place, feature)


def _one(place: int, feature: FeatureReport) -> Iterator[str]:
    category = clip(feature.pattern_category, 30)
    scores = f"coherence {feature.coherence_score:.3f}{_interval(feature.coherence)}"
    yield f"{place:>2}. feature {feature.feature_id:<6} priority {feature.priority_score:.3f}  {scores}  {category}"
    if feature.pattern_keywords:
        yield f"    keywords  {clip(', '.join(feature.pattern_keywords), 86)}"
    if checks := _held_out(feature.held_out):
        yield f"    held out  {checks}"
    top = feature.top_activations[0]
    yield f"    example   {clip(top.context or top.text, 86)}"


def _interval(coherence: Coherence) -> str:
    low, high = coherence.score_low, coherence.score_high
    return "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"


def _held_out(held_out: HeldOut) -> str:
    figures = []
    if held_out.separability is not None:
        figures.append(f"texts AUROC {held_out.separability:.3f}")
    if held_out.keyword is not None and held_out.keyword_auroc is not None:
        figures.append(f"keyword {clip(held_out.keyword, 40)} AUROC {held_out.keyword_auroc:.3f}")
    return ", ".join(figures)


def _gaps(result: FindResult) -> Iterator[str]:
    yield from _heading("Gaps")
    if not result.gaps:
        yield "None: the input was whole."
    for gap in result.gaps:
        yield from wrap(f"{gap.code}: {gap.message}")


def _heading(title: str) -> Iterator[str]:
    yield printable(title)
    yield "-" * len(title)


def _bar(count: int, total: int) -> str:
    """Draw a share as a bar; what is there at all gets one mark at least."""
    marks = max(round(BAR_COLUMNS * count / total), 1) if count else 0
    return f"{'#' * marks:<{BAR_COLUMNS}} "
