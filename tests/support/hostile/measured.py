"""How long a child works on a run, and how much memory it holds meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mistudio_worker.commands.local_job import analyze_run_dir
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.errors import MistudioError

if TYPE_CHECKING:
    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.child import Child

LOOK_EVERY_S = 0.01
_ANONYMOUS = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Measured:
    """How one analysis ended.

    Attributes:
        codes: code of the error, or `completed` or the codes of the gaps.
        duration_s: from the start of `analyze` to its end.
        peak_bytes: most memory of the child, mapped files left out, as the worker's watchdog counts it.
    """

    codes: tuple[str, ...]
    duration_s: float
    peak_bytes: int


def memory_of(pid: int) -> int:
    """Memory that a process holds, mapped files left out; 0 where it is gone."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        return 1024 * sum(map(int, _ANONYMOUS.findall(status)))
    return 0


async def measure(child: Child, run_dir: Path, out: Path, settings: Settings) -> Measured:
    """Analyse a run in a warm child, as the command `analyze` does."""
    await child.start()
    peak = asyncio.create_task(_peak(child))
    begun_s = time.perf_counter()
    try:
        codes = await _codes(child, run_dir, out, settings)
    finally:
        duration_s = time.perf_counter() - begun_s
        peak.cancel()
    return Measured(codes, duration_s, await peak)


async def _codes(child: Child, run_dir: Path, out: Path, settings: Settings) -> tuple[str, ...]:
    try:
        _, outcome, _ = await analyze_run_dir(
            run_dir,
            out,
            job=None,
            parameters=Parameters(),
            settings=settings,
            on_progress=lambda _: None,
            child=child,
        )
    except MistudioError as error:
        return (error.code,)
    return tuple(reason.code for reason in outcome.reasons) or (outcome.status,)


async def _peak(child: Child) -> int:
    assert child._process is not None
    pid, peak = child._process.pid or 0, 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            peak = max(peak, memory_of(pid))
            await asyncio.sleep(LOOK_EVERY_S)
    return max(peak, memory_of(pid))
