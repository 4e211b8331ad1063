"""The crash matrix: who is killed when, on which way of a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mistudio_worker.worker.steps import Step

Scenario = Literal["good", "refused", "known", "repaired", "raced", "chained"]
Victim = Literal["worker", "child"]
When = Literal["before", "during", "after"]

SCENARIOS: dict[Scenario, str] = {
    "good": "a run that is analysed",
    "refused": "a run that ends in the dead-letter topic",
    "known": "a record whose result is there already",
    "repaired": "a record whose result has lost an object",
    "raced": "two workers, one job",
    "chained": "three records in one partition, the first one is hit",
}
ANALYSIS = ("decode", "coherence", "export")
"""What the child tells of its own way; being told of it is a point during `Step.ANALYZE`."""
UNANSWERED = {
    Step.CLAIM,
    Step.UPLOAD,
    Step.MANIFEST,
    Step.PUBLISH,
    Step.DEAD_LETTER,
    Step.PUBLISH_FAILURE,
    Step.COMMIT,
}
"""Steps that change broker or store: during one, the change is made and its answer never arrives."""
_FAILURE = (Step.DEAD_LETTER, Step.PUBLISH_FAILURE)


@dataclass(frozen=True)
class Kill:
    """One SIGKILL.

    Attributes:
        scenario: what becomes of the record otherwise.
        victim: the worker, or its child alone.
        when: relative to the step.
        step: one of `Step`, or one of `ANALYSIS`.
    """

    scenario: Scenario
    victim: Victim
    when: When
    step: str

    @property
    def name(self) -> str:
        """What it is called in the table and in pytest."""
        return f"{self.scenario}-{self.victim}-{self.when}-{self.step}"

    @property
    def is_held(self) -> bool:
        """Whether the worker is held at the step's beginning until the test lets the network fail."""
        return self.when == "during" and self.step not in ANALYSIS


def _matrix() -> list[Kill]:
    every_step = [
        Kill("refused" if step in _FAILURE else "good", victim, when, step.value)
        for step in Step
        for victim in ("worker", "child")
        for when in ("before", "after")
    ]
    unanswered = [
        Kill("refused" if step in _FAILURE else "good", "worker", "during", step.value)
        for step in Step
        if step in UNANSWERED | {Step.FETCH}
    ]
    analysis = [Kill("good", victim, "during", step) for step in ANALYSIS for victim in ("worker", "child")]
    return [*every_step, *unanswered, *analysis, *_other_ways()]


def _other_ways() -> list[Kill]:
    return [
        Kill("refused", "worker", "before", "commit"),
        Kill("refused", "worker", "after", "commit"),
        Kill("known", "worker", "before", "look_up"),
        Kill("known", "worker", "after", "look_up"),
        Kill("known", "worker", "during", "publish"),
        Kill("known", "worker", "after", "publish"),
        Kill("repaired", "worker", "before", "upload"),
        Kill("repaired", "worker", "during", "upload"),
        Kill("repaired", "worker", "after", "upload"),
        Kill("raced", "worker", "after", "upload"),
        Kill("raced", "worker", "before", "manifest"),
        Kill("raced", "worker", "during", "manifest"),
        Kill("raced", "worker", "after", "manifest"),
        Kill("chained", "worker", "during", "coherence"),
        Kill("chained", "child", "during", "coherence"),
        Kill("chained", "worker", "after", "publish"),
        Kill("chained", "worker", "after", "commit"),
    ]


MATRIX = _matrix()


def sample(seed: int, *, workers: int, children: int) -> list[Kill]:
    """Choose kills of either victim; consecutive seeds go through all of them."""
    chosen = []
    for victim, count in (("worker", workers), ("child", children)):
        kills = [kill for kill in MATRIX if kill.victim == victim]
        # a stride that shares no divisor with most lengths spreads the steps within one sample
        order = sorted(range(len(kills)), key=lambda place: (place * 7 % 12, place))
        chosen += [kills[order[(seed * count + number) % len(kills)]] for number in range(count)]
    return chosen
