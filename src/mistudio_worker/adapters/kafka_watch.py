"""Reading topics from now on, outside any group: for commands that wait for an outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from mistudio_worker.adapters.kafka_admin import KafkaAdmin
from mistudio_worker.adapters.kafka_errors import FAILURES, away, away_with_cause
from mistudio_worker.adapters.kafka_records import record_of
from mistudio_worker.errors import ServiceAway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mistudio_worker.adapters.kafka_connection import KafkaConnection
    from mistudio_worker.worker.ports import Record


class KafkaWatch:
    """Sees every record that is written to some topics after `__aenter__` returned.

    Args:
        connection: leads to the brokers.
        topics: all of them must be there.
        limit_s: longest wait for the broker.
    """

    def __init__(self, connection: KafkaConnection, topics: Sequence[str], limit_s: float = 15.0) -> None:
        self._connection = connection
        self._topics = topics
        self._doing = f"reading {', '.join(topics)}"
        self._limit_s = limit_s
        self._consumer = AIOKafkaConsumer(
            *topics, **connection.options(), enable_auto_commit=False, auto_offset_reset="latest"
        )

    async def __aenter__(self) -> KafkaWatch:
        """Connect and remember where the topics end.

        Raises:
            ServiceAway: the broker does not answer, or does not have one of the topics.
        """
        try:
            async with asyncio.timeout(self._limit_s):
                async with KafkaAdmin(self._connection) as admin:
                    await admin.require(self._topics)
                await self._consumer.start()
                for partition, end in (await self._consumer.end_offsets(self._consumer.assignment())).items():
                    self._consumer.seek(partition, end)
        except ServiceAway:
            await self._consumer.stop()
            raise
        except FAILURES as error:
            await self._consumer.stop()
            raise await away_with_cause(self._connection, error, self._doing) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def records(self) -> AsyncIterator[Record]:
        """Yield records for ever."""
        while True:
            try:
                found = await self._consumer.getone()
            except KafkaError as error:
                raise away(self._connection, error, self._doing) from error
            yield record_of(found)
