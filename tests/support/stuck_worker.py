"""A worker whose consumer stands still at its first record: `python stuck_worker.py`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mistudio_worker import bootstrap
from mistudio_worker.adapters.kafka_source import KafkaSource
from mistudio_worker.logging_setup import configure_logging
from mistudio_worker.settings import read_settings

if TYPE_CHECKING:
    from mistudio_worker.worker.ports import Record


class StuckSource(KafkaSource):
    """Its `poll` never comes back with the first record."""

    async def poll(self, timeout_s: float) -> Record | None:
        """See `RecordSource`."""
        if await super().poll(timeout_s) is not None:
            await asyncio.Event().wait()
        return None


if __name__ == "__main__":
    settings = read_settings()
    configure_logging(settings.log)
    setattr(bootstrap, "KafkaSource", StuckSource)  # noqa: B010 - what the composition root would build otherwise
    asyncio.run(bootstrap.run_worker(settings))
