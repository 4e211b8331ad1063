"""What a command's exit code means."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import TYPE_CHECKING

from mistudio_worker.errors import JobNotFound, MistudioError, ServiceAway, WrongUsage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistudio_worker.contracts.events import GapV1
    from mistudio_worker.domain.training_run import Gap


class ExitCode(IntEnum):
    """Exit codes, documented in docs/reference/commands.md."""

    DONE = 0
    DEFECT = 1
    WRONG_USAGE = 2
    PARTIAL = 3
    REFUSED = 4
    SERVICE_AWAY = 5
    UNKNOWN_JOB = 6


_DEFECTS = frozenset({"CHILD_CRASHED", "WORKER_DEFECT"})


def code_of(error: MistudioError) -> ExitCode:
    """Return the exit code for an error."""
    if error.code in _DEFECTS:
        return ExitCode.DEFECT
    if isinstance(error, WrongUsage):
        return ExitCode.WRONG_USAGE
    if isinstance(error, ServiceAway):
        return ExitCode.SERVICE_AWAY
    if isinstance(error, JobNotFound):
        return ExitCode.UNKNOWN_JOB
    return ExitCode.REFUSED


def say_error(code: str, message: str, hint: str) -> None:
    """Tell a person on stderr what was found and what to do."""
    sys.stderr.write(f"error {code}: {message}\n  hint: {hint}\n")


def say_gaps(reasons: Iterable[GapV1 | Gap]) -> None:
    """Name on stderr what is missing from a partial result."""
    for gap in reasons:
        sys.stderr.write(f"partial {gap.code}: {gap.message}\n")
