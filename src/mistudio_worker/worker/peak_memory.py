"""The largest memory that this process has held since a moment, as Linux counts it."""

from __future__ import annotations

import contextlib
import re
import resource
from pathlib import Path

_PROCESS = Path("/proc/self")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def reset_peak() -> None:
    """Begin anew: a warm process would else report the peak of an earlier, larger job."""
    with contextlib.suppress(OSError):  # not every container may; the peak is then that of the process's life
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """Return the peak of resident memory since `reset_peak`, in bytes."""
    with contextlib.suppress(OSError):
        if found := _PEAK.search((_PROCESS / "status").read_text(encoding="ascii", errors="replace")):
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
