"""A comparison for people: tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mistudio_worker.exports.printable import clip, columns_of, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mistudio_worker.domain.comparison import ComparedRun, Comparison, FeaturePair, LoneFeature

_KEYWORD_COLUMNS = 40
_MEASURES = {
    "decoder": "decoder direction (cosine)",
    "activation": "activation over common texts (correlation)",
    "top_texts": "top texts (weighted Jaccard)",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: one header and one alignment (`<` or `>`) a column."""

    title: str
    headers: Sequence[str]
    align: str
    rows: Sequence[Sequence[str]]


def say_comparison(comparison: Comparison, shown: int) -> None:
    """Write the summary and, of each list, the most telling features to stdout."""
    console = Console(highlight=False, soft_wrap=True)
    for line in _head(comparison):
        console.print(Text(line))
    for sheet in _sheets(comparison, shown):
        if sheet.rows:
            console.print()
            if console.is_terminal:
                console.print(_rich(sheet), soft_wrap=False)
            else:
                console.print(Text("\n".join(_lines(sheet))))


def say_files(directory: Path, names: Sequence[str]) -> None:
    """Say what was written."""
    console = Console(highlight=False, soft_wrap=True)
    console.print()
    for name in names:
        console.print(Text(f"wrote {directory / name}"))


def _head(comparison: Comparison) -> Iterator[str]:
    summary = comparison.summary
    yield f"A  {_run(comparison.a)}"
    yield f"B  {_run(comparison.b)}"
    common = "" if comparison.common_texts is None else f", {comparison.common_texts:,} common texts"
    yield f"matched by {_MEASURES[comparison.matched_by]}, from {comparison.min_similarity:g} on{common}"
    similar = "" if summary.median_similarity is None else f", median similarity {summary.median_similarity:.3f}"
    yield (
        f"{summary.matched:,} pairs: {summary.matched_share_a:.0%} of A, {summary.matched_share_b:.0%} of B{similar}"
    )
    yield (
        f"{summary.changed:,} changed (score by {comparison.min_change:g} or more, tier or category), "
        f"{summary.vanished:,} vanished, {summary.appeared:,} appeared"
    )
    if summary.mean_score_change is not None:
        correlation = "not defined" if summary.score_correlation is None else f"{summary.score_correlation:.3f}"
        yield f"scores of the pairs: mean change {summary.mean_score_change:+.3f}, correlation {correlation}"
    lone = comparison.not_compared
    if lone.a or lone.b:
        yield f"not compared: {len(lone.a):,} of A, {len(lone.b):,} of B ({lone.reason})"
    yield from (f"mind: {printable(caveat)}" for caveat in comparison.caveats)


def _run(run: ComparedRun) -> str:
    return f"{run.source_job_id}  {run.find_job_id}  {run.features:,} features, {run.texts:,} texts, {run.status}"


def _sheets(comparison: Comparison, shown: int) -> Iterator[Sheet]:
    yield Sheet(
        "Tiers", ("tier", "A", "B"), "<>>", [(t, f"{c.a:,}", f"{c.b:,}") for t, c in comparison.summary.tiers.items()]
    )
    moves = [move for move in comparison.summary.tier_moves if move.tier_a != move.tier_b]
    yield Sheet(
        "Pairs of another tier", ("in A", "in B", "pairs"), "<<>", [(m.tier_a, m.tier_b, f"{m.pairs:,}") for m in moves]
    )
    changed = sorted((p for p in comparison.pairs if p.changes), key=_most_changed)
    yield Sheet(
        _title("Changed", len(changed), shown, "by the difference of scores"),
        ("A", "B", "similarity", "score A", "score B", "change", "tier", "category", "keywords in B"),
        ">>>>>><<<",
        [_pair_row(pair) for pair in changed[:shown]],
    )
    for word, other, lone in (("Vanished", "B", comparison.vanished), ("Appeared", "A", comparison.appeared)):
        best = sorted(lone, key=lambda feature: (-feature.coherence_score, feature.feature_id))
        yield Sheet(
            _title(word, len(best), shown, "best first"),
            ("feature", "score", "tier", f"nearest in {other}", "similarity", "category", "keywords"),
            ">><>><<",
            [_lone_row(feature) for feature in best[:shown]],
        )


def _title(word: str, total: int, shown: int, order: str) -> str:
    return f"{word}: {total:,}, {order}" if total <= shown else f"{word}: {shown:,} of {total:,}, {order}"


def _most_changed(pair: FeaturePair) -> tuple[float, int]:
    return -abs(pair.score_change or 0.0), pair.feature_a


def _pair_row(pair: FeaturePair) -> tuple[str, ...]:
    return (
        str(pair.feature_a),
        str(pair.feature_b),
        f"{pair.similarity:.3f}",
        f"{pair.score_a:.3f}",
        f"{pair.score_b:.3f}",
        "" if pair.score_change is None else f"{pair.score_change:+.3f}",
        _move(pair.tier_a, pair.tier_b),
        _move(pair.category_a, pair.category_b),
        _words(pair.keywords_b),
    )


def _lone_row(feature: LoneFeature) -> tuple[str, ...]:
    return (
        str(feature.feature_id),
        f"{feature.coherence_score:.3f}",
        feature.quality_tier,
        str(feature.nearest_feature),
        f"{feature.nearest_similarity:.3f}",
        printable(feature.pattern_category),
        _words(feature.pattern_keywords),
    )


def _move(before: str, after: str) -> str:
    return printable(before if before == after else f"{before} -> {after}")


def _words(keywords: Sequence[str]) -> str:
    return clip(", ".join(keywords), _KEYWORD_COLUMNS)


def _rich(sheet: Sheet) -> Table:
    table = Table(title=sheet.title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for header, align in zip(sheet.headers, sheet.align, strict=True):
        table.add_column(header, justify="right" if align == ">" else "left", overflow="fold")
    for row in sheet.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _lines(sheet: Sheet) -> list[str]:
    rows = [sheet.headers, *sheet.rows]
    widths = [max(columns_of(row[i]) for row in rows) for i in range(len(sheet.headers))]
    return [sheet.title, *(_line(row, widths, sheet.align) for row in rows)]


def _line(row: Sequence[str], widths: Sequence[int], align: str) -> str:
    cells = []
    for cell, width, side in zip(row, widths, align, strict=True):
        blanks = " " * (width - columns_of(cell))
        cells.append(blanks + cell if side == ">" else cell + blanks)
    return "  ".join(cells).rstrip()
