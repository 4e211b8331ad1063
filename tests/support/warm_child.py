"""One warm analysing process for many commands: each would start its own, which costs seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistudio_worker.worker.child import Child

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.background import BackgroundLoop

    from mistudio_worker.worker.analysis_request import AnalysisOutcome, AnalysisRequest, Progress


class WarmChild:
    """Stands where a command makes its `Child`; lives on a loop that outlasts the command's."""

    def __init__(self, loop: BackgroundLoop) -> None:
        self._loop = loop
        self._child = Child(memory_limit_bytes=8 << 30, deadline_s=120)

    async def run(self, request: AnalysisRequest, on_progress: Callable[[Progress], None]) -> AnalysisOutcome:
        """See `Child.run`."""
        return await self._loop.awaited(self._child.run(request, on_progress))

    async def stop(self) -> None:
        """Stay warm for the next command."""

    def end(self) -> None:
        """End the process."""
        self._loop.call(self._child.stop())
