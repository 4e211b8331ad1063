"""When a worker should doubt itself rather than go on dead-lettering; pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from mistudio_worker.errors import MistudioError, NotYetThere, RefusedInput

WINDOW_S = 60.0
_OF_THE_INPUT = (RefusedInput, NotYetThere)
_OR_OF_THE_WORKER = {"MEMORY_BUDGET_EXCEEDED", "ARTIFACT_MISSING"}


@dataclass(frozen=True, slots=True)
class DeadLetterLimits:
    """How many dead letters are believed.

    Attributes:
        per_minute: of any kind; more wait for their turn.
        suspect_after: different jobs in a row that failed in a way that may be the worker's own fault.
        hold_s: pause before the next such failure is believed; doubled each time.
        hold_max_s: longest pause.
    """

    per_minute: int = 600
    suspect_after: int = 10
    hold_s: float = 60.0
    hold_max_s: float = 600.0


def may_be_own_fault(error: MistudioError) -> bool:
    """Whether a worker with a wrong setting, too little memory or a broken device fails like this at any job.

    Input that is refused or not ready is the input's fault, whoever reads it; but for memory, which is the worker's,
    and for what is not there at all, where the worker may look into the wrong bucket.
    """
    return not isinstance(error, _OF_THE_INPUT) or error.code in _OR_OF_THE_WORKER


class DeadLetterRate:
    """What speaks against the worker itself: many jobs that failed, and none that worked in between."""

    def __init__(self, limits: DeadLetterLimits) -> None:
        self._limits = limits
        self._failed_jobs: set[str] = set()
        self._holds = 0
        self._written_s: deque[float] = deque()

    def worked(self) -> None:
        """A result was made: the worker is well."""
        self._failed_jobs.clear()
        self._holds = 0

    def failed(self, job: str) -> None:
        """A job was given up that may have failed by the worker's own fault."""
        if len(self._failed_jobs) < self._limits.suspect_after:
            self._failed_jobs.add(job)

    def hold_s(self) -> float:
        """Return how long to pause before one more such failure is believed; 0 where nothing speaks against the worker.

        hold_s * 2^n for the n-th pause since a job worked, from 0; at most hold_max_s. Asking counts as a pause.
        """
        if len(self._failed_jobs) < self._limits.suspect_after:
            return 0.0
        pause_s = min(self._limits.hold_s * 2.0 ** min(self._holds, 32), self._limits.hold_max_s)
        self._holds += 1
        return pause_s

    def wait_s(self, now_s: float) -> float:
        """Return how long the next dead letter has to wait for its turn, 0 where it may go; `now_s` is monotonic."""
        while self._written_s and self._written_s[0] <= now_s - WINDOW_S:
            self._written_s.popleft()
        if len(self._written_s) < self._limits.per_minute:
            return 0.0
        return self._written_s[0] + WINDOW_S - now_s

    def written(self, now_s: float) -> None:
        """A dead letter goes out."""
        self._written_s.append(now_s)
