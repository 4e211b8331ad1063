"""Reading a topic from its beginning to where it ends now, outside any group: for commands that look things up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from mistudio_worker.adapters.kafka_admin import KafkaAdmin
from mistudio_worker.adapters.kafka_errors import FAILURES, away_with_cause
from mistudio_worker.adapters.kafka_records import read_any_header_name, record_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mistudio_worker.adapters.kafka_connection import KafkaConnection
    from mistudio_worker.worker.ports import Record

POLL_S = 0.5


class KafkaLog:
    """The records that a topic holds at one moment.

    Args:
        connection: leads to the brokers.
        topic: must be there.
        limit_s: longest wait for the broker without any progress.
    """

    def __init__(self, connection: KafkaConnection, topic: str, limit_s: float = 15.0) -> None:
        self._connection = connection
        self._topic = topic
        self._limit_s = limit_s

    async def records(self) -> AsyncIterator[Record]:
        """Yield every record that is there now, each partition in order; those that come meanwhile are left out.

        Raises:
            ServiceAway: the broker does not answer, or does not have the topic.
        """
        read_any_header_name()
        consumer = AIOKafkaConsumer(
            self._topic,
            **self._connection.options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        try:
            async with asyncio.timeout(self._limit_s):
                async with KafkaAdmin(self._connection) as admin:
                    await admin.require([self._topic])
                await consumer.start()
                ends = await consumer.end_offsets(consumer.assignment())
            async for record in self._read(consumer, ends):
                yield record
        except FAILURES as error:
            doing = f"reading topic {self._topic!r}"
            raise await away_with_cause(self._connection, error, doing) from error
        finally:
            await consumer.stop()

    async def _read(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> AsyncIterator[Record]:
        left, silent_s = dict(ends), 0.0
        while left := {tp: end for tp, end in left.items() if await self._position(consumer, tp) < end}:
            batches = await consumer.getmany(timeout_ms=int(POLL_S * 1000))
            silent_s = 0.0 if batches else silent_s + POLL_S
            if silent_s > self._limit_s:
                raise TimeoutError
            for tp, batch in batches.items():
                for found in batch:
                    if found.offset < ends[tp]:
                        yield record_of(found)

    async def _position(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> int:
        """Where reading stands: it passes the end also where the last offsets are marks of transactions."""
        async with asyncio.timeout(self._limit_s):
            offset: int = await consumer.position(partition)
            return offset
