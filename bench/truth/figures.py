"""The figures that the analysis must reach, beside those of the naive baseline."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.truth import keyword_truth
from bench.truth.categories import ADMISSIBLE
from bench.truth.figure import Figure, figure, rate, share
from bench.truth.measures import MEASURES, NAIVE, SCORE, compare, of_kinds, value_of
from bench.truth.planted import CLEAN
from bench.truth.statistics import uniformity
from mistudio_worker.analysis.reasons import CONSTANT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.truth.figure import Corpora, Test, Value
    from bench.truth.measuring import Outcome
    from bench.truth.planted import Kind

READERS_THRESHOLD = 0.5
"""What Explain takes up by default."""
PRIORITY_THRESHOLD = 0.4
"""What is worth explaining by default."""
FEWEST_FOR_PERCENTILES = 20
SUFFICIENT = 5
"""Positives from which a feature is judged."""
RANDOM: tuple[Kind, ...] = ("random",)
FLAGS: tuple[tuple[Kind, str, float | None, float | None], ...] = (
    ("length", "length_driven", 0.9, 0.1),
    ("duplicates", "duplicate_driven", 0.9, 0.1),
    ("bimodal", "bimodal", None, None),
)
"""Kind, its flag, share of the kind that must have it, share of the clean ones that may."""
KEYWORDS: tuple[tuple[str, float | None, Callable[..., float], tuple[Kind, ...]], ...] = (
    ("precision, lexical concepts", 0.9, keyword_truth.precision, ("lexical",)),
    ("recall in the first five, lexical concepts", 0.8, keyword_truth.recall, ("lexical",)),
    ("precision, structures and sources", None, keyword_truth.precision, ("structural", "source")),
)
AUROC_TARGETS = {
    "clean > random": 0.98,
    "semantic > random": 0.95,
    "clean > polysemantic": 0.92,
    "clean > duplicates": 0.95,
    "clean > dense": 0.98,
}


def all_figures(corpora: Corpora) -> list[Figure]:
    """Return every figure, over the outcomes of one or more corpora."""
    return [
        *_auroc(corpora),
        *_scale(corpora),
        *_flags(corpora),
        *_keywords(corpora),
        *_labels(corpora),
        *_named(corpora),
    ]


def _auroc(corpora: Corpora) -> list[Figure]:
    figures = []
    for comparison, target in AUROC_TARGETS.items():
        ours, naive = (value_of(compare(corpora, measure, comparison)) for measure in (SCORE, NAIVE))
        each = tuple(value_of(compare([outcomes], SCORE, comparison)) for outcomes in corpora)
        figures.append(
            Figure(f"AUROC of coherence_score, {comparison}", target, ours, naive, at_most=False, corpora=each)
        )
    return figures


def _scale(corpora: Corpora) -> list[Figure]:
    def reach(kinds: Sequence[Kind], measure: str, threshold: float) -> Value:
        return share(kinds, lambda outcome: (MEASURES[measure](outcome) or 0.0) >= threshold)

    return [
        figure(
            corpora,
            "clean features with coherence_score >= 0.5",
            0.8,
            reach(CLEAN, SCORE, READERS_THRESHOLD),
            naive=reach(CLEAN, NAIVE, READERS_THRESHOLD),
        ),
        figure(
            corpora,
            "random features with coherence_score >= 0.4",
            0.02,
            reach(RANDOM, SCORE, PRIORITY_THRESHOLD),
            naive=reach(RANDOM, NAIVE, PRIORITY_THRESHOLD),
            at_most=True,
        ),
        figure(
            corpora,
            "clean features among the priority features",
            0.8,
            share(CLEAN, lambda outcome: outcome.worth_explaining),
            naive=reach(CLEAN, NAIVE, PRIORITY_THRESHOLD),
        ),
    ]


def _flags(corpora: Corpora) -> list[Figure]:
    def flagged(kinds: Sequence[Kind], flag: str) -> Value:
        return share(kinds, lambda outcome: flag in outcome.report.flags)

    figures = []
    for kind, flag, least, most in FLAGS:
        figures.append(figure(corpora, f"{kind} features flagged {flag}", least, flagged((kind,), flag)))
        figures.append(figure(corpora, f"clean features flagged {flag}", most, flagged(CLEAN, flag), at_most=True))
    return figures


def _keywords(corpora: Corpora) -> list[Figure]:
    def judged(judge: Callable[..., float], kinds: Sequence[Kind], *, naive: bool) -> Value:
        return lambda outcomes: judge(of_kinds(outcomes, kinds), naive=naive)

    return [
        *(
            figure(
                corpora,
                f"keyword {name}",
                least,
                judged(judge, kinds, naive=False),
                naive=judged(judge, kinds, naive=True),
            )
            for name, least, judge, kinds in KEYWORDS
        ),
        figure(
            corpora,
            "random features with any keyword",
            0.02,
            share(RANDOM, lambda outcome: bool(outcome.report.pattern_keywords)),
            naive=share(RANDOM, lambda outcome: bool(outcome.frequent)),
            at_most=True,
        ),
    ]


def _labels(corpora: Corpora) -> list[Figure]:
    return [
        figure(corpora, "category accuracy, features of labelled texts", 0.9, category_accuracy),
        figure(
            corpora,
            "random features with category unknown",
            0.9,
            share(RANDOM, lambda outcome: outcome.report.pattern_category == "unknown"),
        ),
        *(
            figure(corpora, f"Kolmogorov-Smirnov p of {name}, random features", 0.01, partial(_uniform, name))
            for name in ("activation_percentile", "text_percentile")
        ),
    ]


def _named(corpora: Corpora) -> list[Figure]:
    return [
        figure(corpora, "dead features named", 1.0, share(("dead",), _tier_is("dead"))),
        figure(corpora, "features below 5 positives named insufficient", 1.0, _insufficient_named),
        figure(corpora, "constant features named", 1.0, share(("constant",), _named_constant)),
    ]


def category_accuracy(outcomes: Sequence[Outcome]) -> float | None:
    """Return the share of features planted from judged sources whose category is admissible."""
    judged = [outcome for outcome in of_kinds(outcomes, ("source",)) if outcome.planted.name in ADMISSIBLE]
    return rate(judged, lambda outcome: outcome.report.pattern_category in ADMISSIBLE[outcome.planted.name])


def _uniform(measure: str, outcomes: Sequence[Outcome]) -> float | None:
    enough = [o for o in of_kinds(outcomes, RANDOM) if o.planted.positives >= FEWEST_FOR_PERCENTILES]
    return uniformity([MEASURES[measure](outcome) for outcome in enough])


def _insufficient_named(outcomes: Sequence[Outcome]) -> float | None:
    few = [outcome for outcome in of_kinds(outcomes, ("sparse",)) if outcome.planted.positives < SUFFICIENT]
    return rate(few, _tier_is("insufficient"))


def _tier_is(tier: str) -> Test:
    return lambda outcome: outcome.report.quality_tier == tier


def _named_constant(outcome: Outcome) -> bool:
    return outcome.report.reasons.get("coherence_score") == CONSTANT
