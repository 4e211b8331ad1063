"""Asks the services now and then, so that health knows of an outage before a job does."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from typing import TYPE_CHECKING

import structlog

from mistudio_worker.errors import MistudioError, ServiceAway
from mistudio_worker.worker.pulse import Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from mistudio_worker.worker.ports import ObjectStore, RecordSource
    from mistudio_worker.worker.pulse import Pulse
    from mistudio_worker.worker.service_watch import ServiceWatch

log = structlog.get_logger(__name__)


class Probe:
    """Looks at store, broker and disk, each by itself: one that is away holds up no other.

    Args:
        store: watched.
        bucket: one that must be there.
        source: of records, asked how many wait.
        broker: notes what the source answers.
        pulse: tells whether the source is open.
        work_dir: of the jobs; None for the system's.

    Attributes:
        disk_free_bytes: None where it was not looked at yet.
        backlog: partition number -> records that the group has not committed, as the broker last said.
    """

    def __init__(  # noqa: PLR0913 - what it asks, by name
        self,
        *,
        store: ObjectStore,
        bucket: str,
        source: RecordSource,
        broker: ServiceWatch,
        pulse: Pulse,
        work_dir: Path | None,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._source = source
        self._broker = broker
        self._pulse = pulse
        self._work_dir = work_dir
        self.disk_free_bytes: int | None = None
        self.backlog: dict[int, int] = {}

    async def run(self, interval_s: float) -> None:
        """Ask until cancelled."""
        await asyncio.gather(
            *(self._repeat(ask, interval_s) for ask in (self.ask_store, self.ask_broker, self.look_at_disk))
        )

    async def ask_store(self) -> None:
        """Ask for the results bucket; an open store notes the answer itself."""
        try:
            await self._store.bucket_exists(self._bucket)
        except MistudioError:
            return

    async def ask_broker(self) -> None:
        """Ask how far the group is behind."""
        if self._pulse.phase not in (Phase.WORKING, Phase.DRAINING):
            return  # the source is not open
        try:
            with self._broker.call():
                found = await self._source.backlog()
        except ServiceAway:
            return
        self.backlog = {partition.number: count for partition, count in found.items()}

    async def look_at_disk(self) -> None:
        """Look how much room there is; in a thread, since a network's disk may be away, too."""
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, self._work_dir or tempfile.gettempdir())
        except OSError:
            self.disk_free_bytes = None
        else:
            self.disk_free_bytes = usage.free

    @staticmethod
    async def _repeat(ask: Callable[[], Awaitable[None]], interval_s: float) -> None:
        while True:
            try:
                await ask()
            except Exception:  # a probe that ends would leave health with what it last knew
                log.exception("a probe failed")
            await asyncio.sleep(interval_s)
