"""A job under way and the record that it holds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.worker.ports import Partition

if TYPE_CHECKING:
    from mistudio_worker.worker.ports import Record
    from mistudio_worker.worker.steps import JobState


@dataclass(slots=True)
class RunningJob:
    """A job and the record that it holds."""

    state: JobState
    epoch: int
    task: asyncio.Task[None]

    @property
    def record(self) -> Record:
        """What it answers."""
        return self.state.record

    @property
    def partition(self) -> Partition:
        """Where the record came from."""
        return Partition(self.record.topic, self.record.partition)

    @property
    def error(self) -> BaseException | None:
        """Why it ended without an outcome; None where it has one."""
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()
