"""The tables, for the terminal and for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.truth.measures import COMPARISONS, MEASURES, compare, of_kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.truth.figure import Figure
    from bench.truth.measuring import Outcome
    from bench.truth.statistics import Auroc

START, END = "<!-- bench-truth: start -->", "<!-- bench-truth: end -->"


def figure_table(figures: Sequence[Figure], corpora: Sequence[str]) -> list[list[str]]:
    """Return rows of cells, the heading first."""
    rows = [["figure", "target", "value", *corpora, "naive", "met"]]
    for figure in figures:
        target = "" if figure.target is None else f"{'<=' if figure.at_most else '>='} {figure.target:g}"
        met = {None: "", True: "yes", False: "**no**"}[figure.met]
        cells = [
            number(figure.value),
            *map(number, figure.corpora),
            "-" if figure.naive is None else number(figure.naive),
        ]
        rows.append([figure.name, target, *cells, met])
    return rows


def measure_table(corpora: Sequence[Sequence[Outcome]]) -> list[list[str]]:
    """Return rows of cells: the AUROC of every measure in every comparison, with its 95 % interval."""
    rows = [["measure", *COMPARISONS]]
    rows.extend([name, *(interval(compare(corpora, name, c)) for c in COMPARISONS)] for name in MEASURES)
    return rows


def kind_table(corpora: Sequence[Sequence[Outcome]]) -> list[list[str]]:
    """Return rows of cells: how each kind scores, over all corpora together."""
    rows = [
        [
            "kind",
            "features",
            "positives, median",
            "coherence_score 10 %",
            "50 %",
            "90 %",
            ">= 0.4",
            ">= 0.5",
            "naive 50 %",
        ]
    ]
    outcomes = [outcome for of_corpus in corpora for outcome in of_corpus]
    for kind in dict.fromkeys(outcome.planted.kind for outcome in outcomes):
        of_kind = of_kinds(outcomes, (kind,))
        scores = np.array([outcome.report.coherence_score for outcome in of_kind])
        positives = float(np.median([outcome.planted.positives for outcome in of_kind]))
        figures = [*np.quantile(scores, (0.1, 0.5, 0.9)), (scores >= 0.4).mean(), (scores >= 0.5).mean()]
        naive = float(np.median([outcome.overlap for outcome in of_kind]))
        rows.append([kind, str(len(of_kind)), f"{positives:g}", *(number(float(f)) for f in (*figures, naive))])
    return rows


def number(value: float | None) -> str:
    """Return three decimals, more where the value is small."""
    if value is None:
        return "n/a"
    return f"{value:.3f}" if value == 0 or value >= 0.001 else f"{value:.1e}"


def interval(found: Auroc | None) -> str:
    """Return an AUROC with its interval."""
    return "n/a" if found is None else "{:.3f} ({:.3f}-{:.3f})".format(found.value, *found.interval)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as a Markdown table."""
    heading, *body = rows
    lines = [heading, ["---"] * len(heading), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def between_markers(page: str, content: str) -> str:
    """Return the page with what stands between its markers replaced.

    Raises:
        ValueError: the page has not both markers.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"the page lacks {START} or {END}")
    return f"{before}{START}\n{content}{END}{after}"
