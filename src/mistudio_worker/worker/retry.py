"""What to do after an error: a pure decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.errors import AttemptsExhausted, ChildFailed

if TYPE_CHECKING:
    from mistudio_worker.errors import MistudioError


@dataclass(frozen=True, slots=True)
class AttemptCounts:
    """What the store remembers of one record.

    Attributes:
        started: attempts that were ever begun.
        failed: attempts whose child was seen to fail.
        released: attempts that were given back in order (shutdown, rebalance).
    """

    started: int = 0
    failed: int = 0
    released: int = 0

    @property
    def silent(self) -> int:
        """Attempts that ended with the death of their worker."""
        return max(0, self.started - self.failed - self.released)


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """When a job has failed for good."""

    max_failed: int = 3
    max_silent: int = 10

    def with_one_more(self) -> AttemptLimits:
        """The same limits, after a doubt about the worker itself."""
        return AttemptLimits(self.max_failed + 1, self.max_silent + 1)


def check_attempts(counts: AttemptCounts, limits: AttemptLimits, last: MistudioError | None = None) -> None:
    """Let a further attempt pass, or end the job.

    A worker's death is no proof against the job, so it weighs less than a failure that was observed.

    Raises:
        AttemptsExhausted: the observed failures or the silent deaths reached their limit.
    """
    if counts.failed < limits.max_failed and counts.silent < limits.max_silent:
        return
    because = f", the last with {last.code}: {last.message}" if last else ""
    raise AttemptsExhausted(
        "ATTEMPTS_EXHAUSTED",
        f"{counts.failed} of {limits.max_failed} failures and {counts.silent} of {limits.max_silent} "
        f"silent deaths of a worker{because}",
        (last.hint if last else "look at the worker's log for the cause") + "; then replay the dead letter",
    )


@dataclass(frozen=True, slots=True)
class Budget:
    """What the child may use in one attempt."""

    memory_bytes: int
    device: str


def smaller_budget(full: Budget, counts: AttemptCounts, last: MistudioError | None = None) -> Budget:
    """Return the budget for the next attempt: half of the working memory after each failure.

    After a failure of the device, and in a last try after a failure that nobody saw, the CPU is used.
    """
    halvings = min(counts.failed + counts.silent, 4)
    device_failed = isinstance(last, ChildFailed) and last.code == "DEVICE_FAILED"
    device = "cpu" if device_failed or counts.failed >= 2 else full.device
    return Budget(memory_bytes=max(full.memory_bytes >> halvings, 64 << 20), device=device)
