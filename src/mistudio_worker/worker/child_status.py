"""What is known of an analysing process from outside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """One child at one moment.

    Attributes:
        pid: None where there is no process.
        warm: whether it waits for a request, or works on one.
        restarts: how many processes came after the first.
        busy_since_s: when its request was sent, on the monotonic clock; None where it waits for one.
        resident_bytes: memory, without mapped files.
        deadline_s: longest run of one request.
    """

    pid: int | None
    warm: bool
    restarts: int
    busy_since_s: float | None
    resident_bytes: int
    deadline_s: float
