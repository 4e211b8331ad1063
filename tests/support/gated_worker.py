"""`mistudio-worker run` whose jobs take as long as the test says, without computing anything.

    python -m support.gated_worker DIRECTORY

A job ends at once, unless there is a file `held-<training job id>` in the directory: then when that is gone. One that
is held fails as if its child were killed where there is a file `fail-<training job id>`, which it takes away. Where
there is a file `stop-at-<step>`, the process takes it away and stops itself (SIGSTOP) at the beginning of that step.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support.fakes import outcome_of

from mistudio_worker import bootstrap
from mistudio_worker.errors import ChildFailed
from mistudio_worker.logging_setup import configure_logging
from mistudio_worker.settings import read_settings
from mistudio_worker.worker.analysis_request import Progress
from mistudio_worker.worker.child import ChildPool
from mistudio_worker.worker.steps import Begun, Finished

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistudio_worker.worker.analysis_request import AnalysisOutcome, AnalysisRequest
    from mistudio_worker.worker.steps import JobEvent, JobState

LOOK_S = 0.05


class GatedAnalyst(ChildPool):
    """Stands where the children would; none of them is started."""

    def __init__(self, directory: Path) -> None:
        super().__init__([])
        self._directory = directory

    async def run(self, request: AnalysisRequest, on_progress: Callable[[Progress], None]) -> AnalysisOutcome:
        """See `Analyst`."""
        job = request.files.training_job_id
        while (self._directory / f"held-{job}").exists():
            if taken(self._directory / f"fail-{job}"):
                raise ChildFailed("CHILD_KILLED", "told to fail", "do not tell it")
            on_progress(Progress("analyze", 0.5))
            await asyncio.sleep(LOOK_S)
        return outcome_of(request)


class StopAt:
    """Stops this process where the test wants it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, state: JobState, event: JobEvent) -> None:
        """See `JobObserver`."""
        del state
        match event:
            case Begun(step):
                self._stop_if_asked(step.value)
            case Finished():
                self._stop_if_asked("finished")
            case _:
                pass

    def _stop_if_asked(self, where: str) -> None:
        if taken(self._directory / f"stop-at-{where}"):
            os.kill(os.getpid(), signal.SIGSTOP)


def taken(file: Path) -> bool:
    """Take a file away; False where there is none."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


def main() -> None:
    """Work until told to end."""
    directory, settings = Path(sys.argv[1]), read_settings()
    configure_logging(settings.log)
    # what the composition root would build otherwise
    setattr(bootstrap, "ChildPool", lambda _: GatedAnalyst(directory))  # noqa: B010
    asyncio.run(bootstrap.run_worker(settings, [StopAt(directory)]))


if __name__ == "__main__":
    main()
