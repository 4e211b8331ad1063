"""`mistudio-worker run` that can be told where to die: an observer of the steps is all that differs.

    python -m support.crashing_worker DIRECTORY

The worker that takes the next record takes the file `armed.json` from the directory, too: so one dies, once.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from support.crash_points import ANALYSIS, Kill

from mistudio_worker.worker.analysis_request import Progress
from mistudio_worker.worker.steps import Begun, Ended, Taken

if TYPE_CHECKING:
    from mistudio_worker.worker.steps import JobEvent, JobState

ARMED, REACHED, RELEASED, STRUCK = "armed.json", "reached", "released", "struck"
HELD_FOR_S = 60.0
CHILD_GONE_WITHIN_S = 10.0


class KillAt:
    """Kills this process, or its child, at a point of the next job.

    Args:
        directory: where the point is said, and where it is told that it was reached.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kill: Kill | None = None

    def __call__(self, state: JobState, event: JobEvent) -> None:
        """Look whether this is the point."""
        del state
        if isinstance(event, Taken) and self._kill is None:
            self._kill = self._taken()
        if self._kill is not None and is_point(self._kill, event):
            kill, self._kill = self._kill, None
            self._strike(kill)

    def _taken(self) -> Kill | None:
        mine = self._directory / f"taken-{os.getpid()}.json"
        try:
            (self._directory / ARMED).rename(mine)
        except FileNotFoundError:
            return None
        return Kill(**json.loads(mine.read_text()))

    def _strike(self, kill: Kill) -> None:
        if kill.is_held:
            _write(self._directory / REACHED, os.getpid())
            self._hold()
            return  # who holds us kills us, when the step has had its effect
        if kill.victim == "child":
            _kill_child()
        _write(self._directory / STRUCK, os.getpid())
        if kill.victim == "worker":
            os.kill(os.getpid(), signal.SIGKILL)

    def _hold(self) -> None:
        """Stop the event loop: the step must not go on before its answers are held back."""
        until = time.monotonic() + HELD_FOR_S
        while not (self._directory / RELEASED).exists() and time.monotonic() < until:
            time.sleep(0.01)


def is_point(kill: Kill, event: JobEvent) -> bool:
    """Whether a kill is meant for this moment."""
    match event:
        case Begun(step):
            return step == kill.step and (kill.when == "before" or kill.is_held)
        case Ended(step, _, None):
            return step == kill.step and kill.when == "after"
        case Progress(step):
            return step == kill.step and kill.when == "during" and step in ANALYSIS
        case _:
            return False


def armed(kill: Kill) -> str:
    """What stands in `armed.json`."""
    return json.dumps(asdict(kill))


def _kill_child() -> None:
    for child in multiprocessing.active_children():
        child.kill()
        child.join(CHILD_GONE_WITHIN_S)


def _write(path: Path, pid: int) -> None:
    """Write a file that is never seen half."""
    draft = path.with_suffix(".draft")
    draft.write_text(str(pid))
    draft.rename(path)


def main() -> None:
    """Work as `mistudio-worker run` does."""
    from mistudio_worker import bootstrap  # noqa: PLC0415 - not for the child, which loads this module, too
    from mistudio_worker.logging_setup import configure_logging  # noqa: PLC0415
    from mistudio_worker.settings import read_settings  # noqa: PLC0415

    settings = read_settings()
    configure_logging(settings.log)
    asyncio.run(bootstrap.run_worker(settings, [KillAt(Path(sys.argv[1]))]))


if __name__ == "__main__":
    main()
