"""What a worker says in its log, where MISTUDIO_LOG__FORMAT is json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def log_lines(log: Path, event: str) -> list[dict[str, Any]]:
    """The lines of one event, oldest first; `job` is the canonical line of a job.

    What is no whole JSON object is passed over: tracebacks, and a line that is still being written.
    """
    lines = [_parsed(line) for line in log.read_text(errors="replace").splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == event]


def _parsed(line: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return parsed
