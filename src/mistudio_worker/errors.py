"""One error tree for every room.

    MistudioError                 code, message, hint, retriable
    ├── RefusedInput              the event or artifact can never work: dead letter at once
    ├── NotYetThere               an artifact that may still come: asked again for a while
    ├── ServiceAway               store or broker out of reach: waited for, never counted
    ├── ChildFailed               the child process died, hung or ran out of memory: an attempt
    ├── AttemptsExhausted         too many failed attempts: dead letter
    ├── JobNotFound               nobody knows this job
    └── WrongUsage                a command or setting that makes no sense

Each error says what was found, what was expected (`message`) and what to do (`hint`).
The same four fields go out in find-failed events, dead letters, REST answers and on stderr.
"""

from __future__ import annotations

from typing import ClassVar


class MistudioError(Exception):
    """An error that a user can act on.

    Attributes:
        code: stable name in the style `ARTIFACT_MISALIGNED`.
        message: what was found and what was expected, one sentence or two.
        hint: what to do about it.
        retriable: whether the same input may work later, unchanged.
    """

    retriable: ClassVar[bool] = False

    def __init__(self, code: str, message: str, hint: str) -> None:
        message = message.encode("utf-8", "backslashreplace").decode()  # it may quote what no header can carry
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[MistudioError], tuple[str, str, str]]:
        """Errors cross the pipe between child and worker, so they pickle by their fields."""
        return type(self), (self.code, self.message, self.hint)


class RefusedInput(MistudioError):
    """The event or an artifact can never be processed as it is."""


class NotYetThere(MistudioError):
    """An artifact is absent or not ready; uploads can lag behind their event."""

    retriable = True


class ServiceAway(MistudioError):
    """The store or the broker cannot be reached, or answers that it is overloaded."""

    retriable = True


class ChildFailed(MistudioError):
    """The analysing process was killed, hung, or ran out of memory or device."""

    retriable = True


class AttemptsExhausted(MistudioError):
    """The job failed as often as it may."""


class JobNotFound(MistudioError):
    """No job of this name is known."""


class WrongUsage(MistudioError):
    """A command line or a setting that makes no sense."""


def disk_full() -> ServiceAway:
    """Return the error for a worker without room for artifacts or exports: waited for, like a service."""
    return ServiceAway(
        "DISK_FULL", "the worker's disk is full", "free some space, or name another MISTUDIO_JOB__WORK_DIR"
    )
