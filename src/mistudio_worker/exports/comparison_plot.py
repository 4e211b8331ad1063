"""A comparison as a picture: score against score, and how alike the features are. Needs matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from mistudio_worker.domain.feature_report import JUDGED_TIERS
from mistudio_worker.exports.printable import clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from mistudio_worker.domain.comparison import ComparedRun, Comparison, LoneFeature

DPI = 150
BINS = 40
TIER_EDGES = (0.4, 0.6, 0.8)
MEASURES = {
    "decoder": "cosine of decoder directions",
    "activation": "correlation of activations over common texts",
    "top_texts": "weighted Jaccard of top texts",
}
MATCHED, VANISHED, APPEARED, QUIET = "#0072b2", "#d55e00", "#009e73", "#8a8a8a"
"""The first three from the palette of Okabe and Ito, which colour-blind readers can tell apart."""


def write_plot(comparison: Comparison, stream: BinaryIO, kind: str) -> None:
    """Draw the comparison as `png` or `svg`; no clock and no version stands in the file."""
    with mpl.rc_context():
        mpl.rcdefaults()  # the user's own style would change the bytes
        mpl.rcParams.update(
            {"svg.hashsalt": "mistudio", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
        )
        figure = Figure(figsize=(11, 5), layout="constrained")
        scores, similarities = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _draw_scores(scores, comparison)
        _draw_similarities(similarities, comparison)
        figure.suptitle(_title(comparison), fontsize=10)
        metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        figure.savefig(stream, format=kind, dpi=DPI, metadata=metadata)


def _title(comparison: Comparison) -> str:
    summary = comparison.summary
    return (
        f"A: {_name(comparison.a)}      B: {_name(comparison.b)}\n"
        f"{summary.matched:,} matched, of them {summary.changed:,} changed      "
        f"{summary.vanished:,} vanished      {summary.appeared:,} appeared"
    )


def _name(run: ComparedRun) -> str:
    return f"{clip(run.source_job_id, 48)} ({run.features:,} features)"


def _draw_scores(axes: Axes, comparison: Comparison) -> None:
    pairs = sorted((p for p in comparison.pairs if p.score_change is not None), key=lambda p: -p.similarity)
    axes.plot((0, 1), (0, 1), color=QUIET, linewidth=0.8)
    change = comparison.min_change
    for shift in (-change, change):
        axes.plot((max(0, -shift), min(1, 1 - shift)), (max(0, shift), min(1, 1 + shift)), "--", color=QUIET, lw=0.6)
    for edge in TIER_EDGES:
        axes.axvline(edge, color=QUIET, linewidth=0.4, linestyle=":")
        axes.axhline(edge, color=QUIET, linewidth=0.4, linestyle=":")
    points = axes.scatter(
        [p.score_a for p in pairs],
        [p.score_b for p in pairs],
        c=[p.similarity for p in pairs],
        s=_size(len(pairs)),
        vmin=comparison.min_similarity,
        vmax=1,
        linewidths=0,
        alpha=0.85,
        rasterized=True,
        zorder=2,
    )
    _mark_alone(axes, comparison)
    correlation = comparison.summary.score_correlation
    title = "" if correlation is None else f"correlation {correlation:.2f}, "
    axes.set_title(f"Scores of matched features: {title}{len(pairs):,} with a score in both", fontsize=9)
    axes.set(
        xlim=(-0.04, 1.02),
        ylim=(-0.04, 1.02),
        aspect="equal",
        xlabel="coherence score in A",
        ylabel="coherence score in B",
    )
    axes.figure.colorbar(points, ax=axes, label="similarity", shrink=0.8)


def _mark_alone(axes: Axes, comparison: Comparison) -> None:
    """Mark features without a match at the edge, where their only score stands."""
    vanished, appeared = (_scores(lone) for lone in (comparison.vanished, comparison.appeared))
    edge = np.full(len(vanished), -0.02), np.full(len(appeared), -0.02)
    axes.plot(vanished, edge[0], "|", color=VANISHED, markersize=7, alpha=0.6, label="vanished", rasterized=True)
    axes.plot(edge[1], appeared, "_", color=APPEARED, markersize=7, alpha=0.6, label="appeared", rasterized=True)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.04), fontsize=8, frameon=False)


def _scores(lone: Sequence[LoneFeature]) -> list[float]:
    return [feature.coherence_score for feature in lone if feature.quality_tier in JUDGED_TIERS]


def _size(points: int) -> float:
    """Return an area that keeps a crowd apart: 18 up to 500 points, 2 from 16,000 on."""
    return float(np.clip(18 * (500 / max(points, 1)) ** 0.65, 2, 18))


def _draw_similarities(axes: Axes, comparison: Comparison) -> None:
    groups = {
        "matched": [pair.similarity for pair in comparison.pairs],
        "vanished, to the nearest in B": [lone.nearest_similarity for lone in comparison.vanished],
        "appeared, to the nearest in A": [lone.nearest_similarity for lone in comparison.appeared],
    }
    low = min(0.0, *(min(values, default=0.0) for values in groups.values()))
    edges = np.linspace(low, 1.0, BINS + 1)
    highest = max(1, *(int(np.histogram(values, bins=edges)[0].max()) for values in groups.values()))
    for (label, values), color in zip(groups.items(), (MATCHED, VANISHED, APPEARED), strict=True):
        filled = color == MATCHED
        axes.hist(
            values,
            bins=edges.tolist(),
            histtype="stepfilled" if filled else "step",
            color=color,
            alpha=0.55 if filled else 1.0,
            linewidth=1.2,
            label=f"{label} ({len(values):,})",
        )
    axes.axvline(comparison.min_similarity, color="black", linewidth=0.8, linestyle="--")
    axes.set_yscale("log")
    axes.set_ylim(0.7, 20 * highest)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"Similarity: {MEASURES[comparison.matched_by]}", fontsize=9)
    axes.set(xlabel=f"similarity; dashed: no match below {comparison.min_similarity:g}", ylabel="features, log scale")
    axes.legend(loc="upper left", fontsize=8, framealpha=0.9, edgecolor="none")
