"""The numbered steps of a job, and those who are told of them: logs, metrics, traces."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from mistudio_worker.worker.figures import JobFigures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mistudio_worker.worker.analysis_request import Progress
    from mistudio_worker.worker.ports import Record


class Step(StrEnum):
    """What a job does, in this order; a refused one goes from where it is to `DEAD_LETTER`."""

    READ = "read"  # 1. validate the event
    IDENTIFY = "identify"  # 2. find the artifacts, derive the find job id
    LOOK_UP = "look_up"  # 2. is the result known already?
    CLAIM = "claim"  # 3. claim an attempt
    FETCH = "fetch"  # 4. fetch and verify the artifacts
    ANALYZE = "analyze"  # 5. decode, analyse, write the exports, in the child
    UPLOAD = "upload"  # 6. upload the exports
    MANIFEST = "manifest"  # 7. make them visible
    PUBLISH = "publish"  # 8. find-complete
    DEAD_LETTER = "dead_letter"  # 8. instead: the dead letter
    PUBLISH_FAILURE = "publish_failure"  # 8. and find-failed
    COMMIT = "commit"  # 9. offset + 1


@dataclass(frozen=True, slots=True)
class Taken:
    """A record was taken."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A step begins."""

    step: Step


@dataclass(frozen=True, slots=True)
class Ended:
    """A step is over, by an error where there is one; it may begin again."""

    step: Step
    duration_s: float
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Finished:
    """The job has its outcome, or was given back; only `Step.COMMIT` may follow."""


JobEvent: TypeAlias = "Taken | Begun | Progress | Ended | Finished"
JobObserver: TypeAlias = "Callable[[JobState, JobEvent], None]"
"""Is told what happens to jobs: on the event loop, so it returns at once, and it raises nothing."""


@dataclass(slots=True)
class JobState:
    """What is known of a running job.

    Attributes:
        record: what it answers.
        observers: told of its steps.
        job: training job id; None until the event is read.
        find_job_id: None until the artifacts are found.
        event_id: of the event, where it has one.
        traceparent: of the event, or of the span that goes on from it; given to all that the job publishes.
        attempt: 0 until one is claimed.
        outcome: `completed`, `partial`, `dead-lettered`, or `given back`.
        code: of the error that ended it.
        begun_s: on the monotonic clock.
        queued_s: how old its record was then, by the broker's clock and ours; None where the record has no time.
        second_try: whether all attempts were used up and one more is made, since the worker doubts itself.
        is_waiting: whether nothing is under way that would be lost if the job were given back.
        doing: the step that it is in.
        figures: what it took and made so far.
    """

    record: Record
    observers: Sequence[JobObserver] = ()
    job: str | None = None
    find_job_id: str | None = None
    event_id: str | None = None
    traceparent: str | None = None
    attempt: int = 0
    outcome: str = "given back"
    code: str | None = None
    begun_s: float = field(default_factory=time.monotonic)
    second_try: bool = False
    is_waiting: bool = False
    doing: Step | None = None
    figures: JobFigures = field(default_factory=JobFigures)
    queued_s: float | None = None

    def __post_init__(self) -> None:
        """Note how long the record waited."""
        if self.record.timestamp_ms > 0:
            self.queued_s = round(max(0.0, time.time() - self.record.timestamp_ms / 1000), 3)

    @property
    def age_s(self) -> float:
        """Seconds since it was taken."""
        return time.monotonic() - self.begun_s

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Say that the job only waits meanwhile."""
        self.is_waiting = True
        try:
            yield
        finally:
            self.is_waiting = False

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Tell the observers when a step begins and ends."""
        self.doing = step
        self.tell(Begun(step))
        begun_s, failure = time.monotonic(), None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            duration_s = time.monotonic() - begun_s
            self.figures.took(step.value, duration_s)
            self.tell(Ended(step, duration_s, failure))

    def tell(self, event: JobEvent) -> None:
        """Tell the observers what happened."""
        for observer in self.observers:
            observer(self, event)

    def summary(self) -> dict[str, object]:
        """Return the fields of the canonical log line."""
        place = {name: getattr(self.record, name) for name in ("topic", "partition", "offset")}
        told = {name: getattr(self, name) for name in ("job", "find_job_id", "attempt", "outcome", "code")}
        return {
            **place,
            **told,
            "duration_s": round(self.age_s, 3),
            "queued_s": self.queued_s,
            **self.figures.summary(),
        }
