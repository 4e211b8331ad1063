"""Each error ends a command with its documented exit code."""

from __future__ import annotations

import pytest

from mistudio_worker.commands.exit_codes import ExitCode, code_of
from mistudio_worker.errors import ChildFailed, JobNotFound, MistudioError, RefusedInput, ServiceAway, WrongUsage


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongUsage("A", "m", "h"), ExitCode.WRONG_USAGE),
        (ServiceAway("A", "m", "h"), ExitCode.SERVICE_AWAY),
        (JobNotFound("A", "m", "h"), ExitCode.UNKNOWN_JOB),
        (RefusedInput("A", "m", "h"), ExitCode.REFUSED),
        (ChildFailed("CHILD_OUT_OF_MEMORY", "m", "h"), ExitCode.REFUSED),
        (ChildFailed("CHILD_CRASHED", "m", "h"), ExitCode.DEFECT),
        (MistudioError("WORKER_DEFECT", "m", "h"), ExitCode.DEFECT),
    ],
)
def test_code_of(error: MistudioError, code: ExitCode) -> None:
    """What the user can mend, what he must wait for, and what is ours are told apart."""
    assert code_of(error) is code
