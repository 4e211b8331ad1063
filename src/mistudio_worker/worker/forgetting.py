"""Dropping the counts of attempts that have had their use, beside the loop and never in its way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from mistudio_worker.errors import MistudioError

if TYPE_CHECKING:
    from mistudio_worker.worker.job import JobRunner
    from mistudio_worker.worker.ports import Partition, Record, RecordSource

log = structlog.get_logger(__name__)


class Forgetting:
    """Drops the count of a record once it is committed, and what a dead worker did not come to drop.

    Args:
        runner: knows where the counts are.
        source: knows what is committed.
    """

    def __init__(self, runner: JobRunner, source: RecordSource) -> None:
        self._runner = runner
        self._source = source
        self._records: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None

    def forget(self, record: Record) -> None:
        """Drop the count of a record whose offset is committed: it has its use until then."""
        task = asyncio.create_task(self._runner.forget(record))
        self._records.add(task)
        task.add_done_callback(self._records.discard)

    def sweep(self, partitions: frozenset[Partition]) -> None:
        """Drop what the last owner of these partitions left: it may have died between a commit and `forget`."""
        self._stop_sweeping()
        self._sweeping = asyncio.create_task(self._sweep(partitions))

    async def end(self) -> None:
        """Drop what is committed, and sweep no more."""
        self._stop_sweeping()
        await asyncio.gather(*self._records, return_exceptions=True)

    async def _sweep(self, partitions: frozenset[Partition]) -> None:
        try:
            at = {partition: await self._source.committed(partition) for partition in partitions}
            past = {partition: offset for partition, offset in at.items() if offset is not None}
            keys = await self._runner.forget_passed(past)
        except MistudioError as error:
            log.info("counts of attempts not swept, the next rebalance tries again", code=error.code)
            return
        if keys:
            log.info("dropped the counts of attempts that a dead worker left", keys=len(keys))

    def _stop_sweeping(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
