"""The run as a whole, for `_summary_report.txt`: categories by quality, then what is true of all features together."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mistudio_worker.exports.printable import clip, columns_of, wrap
from mistudio_worker.exports.records import SCORED_TIERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mistudio_worker.domain.find_result import Corpus, FindResult, SaeQuality

LISTED_CATEGORIES = 12
LISTED_PAIRS = 3
MOST_PAIRS = 20
"""Pairs that the results hold at most: there may be more."""
_NAME = 25
_COUNT = 11
_LABEL = 16


def whole_run(result: FindResult) -> Iterator[str]:
    """Yield the lines of the part, without its heading."""
    yield from _table(result)
    yield ""
    for label, sentence in _findings(result.corpus):
        yield from wrap(sentence, f"{label:<{_LABEL}}")


def _table(result: FindResult) -> Iterator[str]:
    """Yield a row a category, a column a tier, as many as are in use; empty cells show a dot."""
    cells = Counter((f.pattern_category, _column(f.quality_tier)) for f in result.features)
    columns = [tier for tier in (*SCORED_TIERS, "unscored") if any(column == tier for _, column in cells)]
    yield _row("", ["features", *columns])
    ranked = list(result.corpus.categories.items())
    for name, count in ranked[:LISTED_CATEGORIES]:
        yield _row(name, [f"{count:,}", *(f"{cells[name, tier]:,}" if cells[name, tier] else "." for tier in columns)])
    if len(ranked) > LISTED_CATEGORIES:
        yield f"and {len(ranked) - LISTED_CATEGORIES} more categories"


def _column(tier: str) -> str:
    return tier if tier in SCORED_TIERS else "unscored"


def _row(name: str, cells: Sequence[str]) -> str:
    shown = clip(name, _NAME - 1)
    return shown + " " * (_NAME - columns_of(shown)) + "".join(f"{cell:>{_COUNT}}" for cell in cells)


def _findings(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """Yield label and sentence of what there is to say."""
    yield (
        "Density",
        f"{corpus.mean_l0:.1f} features fire on a text, a feature on {corpus.mean_density:.1%} of the texts",
    )
    explained = f"on {corpus.priority_covered_texts:.1%} one worth explaining fires"
    yield "Coverage", f"{corpus.covered_texts:.1%} of the texts are on top of some feature, {explained}"
    if corpus.near_duplicate_texts:
        yield "Near-copies", f"{corpus.near_duplicate_texts:,} of the texts"
    if corpus.sae_quality is not None:
        yield "Autoencoder", _quality(corpus.sae_quality)
    if corpus.duplicate_features:
        pairs = [(pair.feature_ids, f"{pair.cosine:.2f}") for pair in corpus.duplicate_features]
        yield "Same direction", _pairs("with nearly the same decoder direction (cosine)", pairs)
    if corpus.antipodal_features:
        pairs = [(pair.feature_ids, f"{pair.cosine:.2f}") for pair in corpus.antipodal_features]
        yield "Opposite", _pairs("with nearly opposite decoder directions (cosine)", pairs)
    if corpus.shared_top_texts:
        pairs = [(pair.feature_ids, f"{pair.shared}") for pair in corpus.shared_top_texts]
        yield "Shared texts", _pairs("with at least half of their top texts in common", pairs)
    for sentence in corpus.metadata_disagreements:
        yield "metadata.json", f"disagrees: {sentence}"


def _quality(quality: SaeQuality) -> str:
    shares = f"{quality.dead_share:.1%} of the features dead, {quality.dense_share:.1%} dense (on half of the texts)"
    if quality.explained_variance is None:
        return shares
    return f"explains {quality.explained_variance:.1%} of the variance; {shares}"


def _pairs(what: str, pairs: Sequence[tuple[tuple[int, ...], str]]) -> str:
    """Count pairs of features, and name the first ones with their figure."""
    count = f"{MOST_PAIRS} or more pairs" if len(pairs) == MOST_PAIRS else f"{len(pairs)} pair{'s' * (len(pairs) > 1)}"
    named = ", ".join(f"{' and '.join(map(str, ids))} ({figure})" for ids, figure in pairs[:LISTED_PAIRS])
    return f"{count} {what}: {named}{', ...' * (len(pairs) > LISTED_PAIRS)}"
