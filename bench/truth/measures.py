"""Each measure's power to tell the kinds apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.truth.planted import CLEAN, POLYSEMANTIC
from bench.truth.statistics import auroc, mean_auroc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.truth.measuring import Outcome
    from bench.truth.planted import Kind
    from bench.truth.statistics import Auroc

    Measure = Callable[[Outcome], float | None]

SCORE, NAIVE = "coherence_score", "word overlap (naive)"
MEASURES: dict[str, Measure] = {
    SCORE: lambda outcome: outcome.report.coherence_score,
    "activation_space": lambda outcome: outcome.report.coherence.activation_space,
    "activation_percentile": lambda outcome: outcome.report.coherence.activation_percentile,
    "text_space": lambda outcome: outcome.report.coherence.text_space,
    "text_percentile": lambda outcome: outcome.report.coherence.text_percentile,
    "separability": lambda outcome: outcome.report.held_out.separability,
    "keyword_auroc": lambda outcome: outcome.report.held_out.keyword_auroc,
    "priority_score": lambda outcome: outcome.report.priority_score,
    NAIVE: lambda outcome: outcome.overlap,
}
COMPARISONS: dict[str, tuple[tuple[Kind, ...], tuple[Kind, ...]]] = {
    "clean > random": (CLEAN, ("random",)),
    "semantic > random": (("semantic",), ("random",)),
    "clean > polysemantic": (CLEAN, POLYSEMANTIC),
    "clean > equal parts": (CLEAN, ("equal parts",)),
    "clean > unequal parts": (CLEAN, ("unequal parts",)),
    "clean > majority": (CLEAN, ("majority",)),
    "clean > duplicates": (CLEAN, ("duplicates",)),
    "clean > dense": (CLEAN, ("dense",)),
    "clean > length": (CLEAN, ("length",)),
}
"""Name -> kinds that must score higher, kinds that must score lower."""


def of_kinds(outcomes: Sequence[Outcome], kinds: Sequence[Kind]) -> list[Outcome]:
    """Return the outcomes of features of these kinds."""
    return [outcome for outcome in outcomes if outcome.planted.kind in kinds]


def compare(corpora: Sequence[Sequence[Outcome]], measure: str, comparison: str) -> Auroc | None:
    """Return a measure's AUROC in a comparison, the mean over the corpora; None where it is defined in none."""
    higher, lower = COMPARISONS[comparison]
    return mean_auroc([separate(outcomes, measure, higher, lower) for outcomes in corpora])


def separate(outcomes: Sequence[Outcome], measure: str, higher: Sequence[Kind], lower: Sequence[Kind]) -> Auroc | None:
    """Return how well a measure puts features of some kinds above those of others, in one corpus."""
    score = MEASURES[measure]
    return auroc(*([score(outcome) for outcome in of_kinds(outcomes, kinds)] for kinds in (higher, lower)))


def value_of(found: Auroc | None) -> float | None:
    """Return the AUROC itself."""
    return None if found is None else found.value
