"""When a worker doubts itself."""

from __future__ import annotations

import pytest

from mistudio_worker.errors import AttemptsExhausted, ChildFailed, MistudioError, NotYetThere, RefusedInput
from mistudio_worker.worker.dead_letter_rate import DeadLetterLimits, DeadLetterRate, may_be_own_fault

LIMITS = DeadLetterLimits(per_minute=3, suspect_after=2, hold_s=60.0, hold_max_s=200.0)


def suspect() -> DeadLetterRate:
    """A worker that two jobs speak against."""
    rate = DeadLetterRate(LIMITS)
    for job in ("a", "b"):
        assert rate.hold_s() == 0
        rate.failed(job)
    return rate


def test_pauses_grow_to_a_limit() -> None:
    """After as many failed jobs as are believed each further one has to wait, longer each time."""
    rate = suspect()
    assert [rate.hold_s() for _ in range(4)] == [60.0, 120.0, 200.0, 200.0]


def test_the_longest_pause_of_a_long_life() -> None:
    """Years of failures do not overflow."""
    rate = suspect()
    assert {rate.hold_s() for _ in range(3000)} == {60.0, 120.0, 200.0}


def test_a_job_that_works_ends_the_doubt() -> None:
    """One result is proof enough; the next doubt begins with the short pause."""
    rate = suspect()
    rate.hold_s()
    rate.worked()
    assert rate.hold_s() == 0
    rate.failed("c")
    assert rate.hold_s() == 0
    rate.failed("d")
    assert rate.hold_s() == 60.0


def test_one_job_again_and_again_is_no_proof() -> None:
    """A job that is announced ten times and fails ten times speaks against the job."""
    rate = DeadLetterRate(LIMITS)
    for _ in range(10):
        rate.failed("a")
        assert rate.hold_s() == 0


def test_the_window_slides() -> None:
    """Three letters a minute go out at once, the fourth when the first is a minute old."""
    rate = DeadLetterRate(LIMITS)
    for now_s in (0.0, 10.0, 20.0):
        assert rate.wait_s(now_s) == 0
        rate.written(now_s)
    assert rate.wait_s(25.0) == 35.0
    assert rate.wait_s(60.0) == 0
    rate.written(60.0)
    assert rate.wait_s(60.0) == 10.0


@pytest.mark.parametrize(
    ("kind", "code", "own"),
    [
        (AttemptsExhausted, "ATTEMPTS_EXHAUSTED", True),
        (MistudioError, "WORKER_DEFECT", True),
        (ChildFailed, "CHILD_KILLED", True),
        (NotYetThere, "ARTIFACT_MISSING", True),
        (NotYetThere, "ARTIFACT_NOT_READY", False),
        (NotYetThere, "ARTIFACT_CHANGED", False),
        (RefusedInput, "MEMORY_BUDGET_EXCEEDED", True),
        (RefusedInput, "ARTIFACT_CORRUPT", False),
        (RefusedInput, "EVENT_MALFORMED", False),
    ],
)
def test_whose_fault_it_may_be(kind: type[MistudioError], code: str, own: bool) -> None:  # noqa: FBT001 - a column
    """Refused or unfinished input is the input's fault; what fails or is not there may be the worker's."""
    assert may_be_own_fault(kind(code, "found", "do")) is own
