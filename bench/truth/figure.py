"""One figure of the benchmark, over one or more corpora."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.truth.measures import of_kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.truth.measuring import Outcome
    from bench.truth.planted import Kind

    Corpora = Sequence[Sequence[Outcome]]
    Value = Callable[[Sequence[Outcome]], float | None]
    Test = Callable[[Outcome], bool]


@dataclass(frozen=True)
class Figure:
    """One figure, what it must be, and what the naive baseline has.

    Attributes:
        name: what is measured.
        target: the least it must be; the most it may be where `at_most`; None where it is only told.
        value: over all corpora; None where the analysis publishes nothing to measure.
        naive: None where the baseline has no such figure.
        at_most: whether lower is better.
        corpora: the value in each corpus.
    """

    name: str
    target: float | None
    value: float | None
    naive: float | None
    at_most: bool
    corpora: tuple[float | None, ...]

    @property
    def met(self) -> bool | None:
        """Whether the target is reached, which takes a value; None without a target."""
        if self.target is None:
            return None
        if self.value is None:
            return False
        return self.value <= self.target if self.at_most else self.value >= self.target


def figure(  # noqa: PLR0913 - the columns of the table
    corpora: Corpora,
    name: str,
    target: float | None,
    value: Value,
    *,
    naive: Value | None = None,
    at_most: bool = False,
) -> Figure:
    """Return a figure of the outcomes of all corpora together, and of each."""
    together = [outcome for outcomes in corpora for outcome in outcomes]
    each = tuple(value(outcomes) for outcomes in corpora)
    return Figure(name, target, value(together), naive(together) if naive else None, at_most, each)


def share(kinds: Sequence[Kind], holds: Test) -> Value:
    """Return what gives the share of the features of some kinds that pass a test."""
    return lambda outcomes: rate(of_kinds(outcomes, kinds), holds)


def rate(outcomes: Sequence[Outcome], holds: Test) -> float | None:
    """Return the share of outcomes that pass a test; None without any."""
    return sum(map(holds, outcomes)) / len(outcomes) if outcomes else None
