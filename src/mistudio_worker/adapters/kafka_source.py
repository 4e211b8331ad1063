"""The consuming side of a Kafka group, by aiokafka."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from mistudio_worker.adapters.kafka_admin import KafkaAdmin
from mistudio_worker.adapters.kafka_errors import FAILURES, NOT_ALLOWED, away, away_with_cause
from mistudio_worker.adapters.kafka_records import read_any_header_name, record_of
from mistudio_worker.errors import ServiceAway
from mistudio_worker.worker.ports import CommitOutcome, Partition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistudio_worker.adapters.kafka_connection import KafkaConnection
    from mistudio_worker.worker.ports import AssignmentListener, Record

FETCH_WAIT_MS = 100


class KafkaSource:
    """Implements `RecordSource`.

    Every wait but `poll` has a limit: aiokafka's own calls would wait for ever while the broker is away.
    `poll` is never cancelled, since that would switch off aiokafka's poll watchdog for good.
    """

    def __init__(  # noqa: PLR0913 - a consumer's settings, by name
        self,
        *,
        connection: KafkaConnection,
        topic: str,
        group_id: str,
        session_timeout_ms: int,
        heartbeat_interval_ms: int,
        max_poll_interval_ms: int,
        rebalance_timeout_ms: int,
        request_timeout_ms: int,
        metadata_max_age_ms: int,
        start_timeout_s: float,
        commit_timeout_s: float,
        stop_timeout_s: float,
    ) -> None:
        self._topic = topic
        self._doing = f"consuming topic {topic!r}"
        self._connection = connection
        self._start_timeout_s = start_timeout_s
        self._commit_timeout_s = commit_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._options: dict[str, Any] = {
            "group_id": group_id,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            # a partition that is resumed waits for the request under way, which does not ask for it
            "fetch_max_wait_ms": FETCH_WAIT_MS,
            "session_timeout_ms": session_timeout_ms,
            "heartbeat_interval_ms": heartbeat_interval_ms,
            "max_poll_interval_ms": max_poll_interval_ms,
            "rebalance_timeout_ms": rebalance_timeout_ms,
            "request_timeout_ms": request_timeout_ms,
            "metadata_max_age_ms": metadata_max_age_ms,  # new partitions are seen after it at the latest
            # a class of its own for each consumer: the assignor keeps its state on the class
            "partition_assignment_strategy": [type("WorkerStickyAssignor", (StickyPartitionAssignor,), {})],
        }
        self._consumer: AIOKafkaConsumer | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._rebalances: _Listener | None = None

    async def start(self, listener: AssignmentListener) -> None:
        """See `RecordSource`."""
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._require_topic()  # for one that is absent a consumer would wait the whole request timeout
                await self._join(listener)
        except FAILURES as error:
            await self.stop()
            raise await away_with_cause(self._connection, error, self._doing) from error

    async def _require_topic(self) -> None:
        async with KafkaAdmin(self._connection) as admin:
            await admin.require([self._topic])

    async def _join(self, listener: AssignmentListener) -> None:
        read_any_header_name()
        consumer = AIOKafkaConsumer(**self._connection.options(), **self._options)
        self._rebalances = _Listener(listener)
        consumer.subscribe([self._topic], listener=self._rebalances)
        self._consumer = consumer  # before start: the first assignment comes while it runs
        await consumer.start()

    async def poll(self, timeout_s: float) -> Record | None:
        """See `RecordSource`."""
        self._connection.renew(self._open._client)  # noqa: SLF001 - see there
        try:
            batches = await self._open.getmany(timeout_ms=int(timeout_s * 1000), max_records=1)
        except KafkaError as error:
            raise self._away(error) from error
        for batch in batches.values():
            for found in batch:
                return record_of(found)
        return None

    def assigned(self) -> frozenset[Partition]:
        """See `RecordSource`."""
        return frozenset(Partition(tp.topic, tp.partition) for tp in self._open.assignment())

    def pause(self, partitions: Iterable[Partition]) -> None:
        """See `RecordSource`."""
        self._open.pause(*self._ours(partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        """See `RecordSource`."""
        self._open.resume(*self._ours(partitions))

    def seek(self, partition: Partition, offset: int) -> None:
        """See `RecordSource`."""
        for tp in self._ours([partition]):
            self._open.seek(tp, offset)

    async def committed(self, partition: Partition) -> int | None:
        """See `RecordSource`."""
        try:
            async with asyncio.timeout(self._commit_timeout_s):
                offset: int | None = await self._open.committed(TopicPartition(*partition))
        except (KafkaError, TimeoutError) as error:
            raise self._away(error) from error
        return offset

    async def backlog(self) -> dict[Partition, int]:
        """See `RecordSource`."""
        consumer = self._open  # it may be stopped meanwhile
        ours = consumer.assignment()
        try:
            async with asyncio.timeout(self._commit_timeout_s):
                if not ours:  # nothing to count, but the broker is asked all the same
                    await consumer.topics()
                ends = await consumer.end_offsets(ours)
                begins = await consumer.beginning_offsets(ours)
                held = {tp: await consumer.committed(tp) for tp in ours}
        except (KafkaError, TimeoutError) as error:
            raise self._away(error) from error
        return {
            Partition(tp.topic, tp.partition): max(0, end - max(held[tp] or 0, begins.get(tp, 0)))
            for tp, end in ends.items()
        }

    async def commit(self, partition: Partition, offset: int) -> CommitOutcome:
        """See `RecordSource`."""
        try:
            async with asyncio.timeout(self._commit_timeout_s):
                await self._open.commit({TopicPartition(*partition): offset})
        except (CommitFailedError, IllegalStateError):
            return CommitOutcome.LOST
        except NOT_ALLOWED as error:
            raise self._away(error) from error
        except (KafkaError, TimeoutError):
            return CommitOutcome.UNKNOWN
        return CommitOutcome.DONE

    async def has_unread(self) -> bool:
        """See `RecordSource`."""
        partitions = list(self._open.assignment() - self._open.paused())
        if not partitions:
            return False
        try:
            async with asyncio.timeout(self._commit_timeout_s):
                ends: dict[TopicPartition, int] = await self._open.end_offsets(partitions)
        except (KafkaError, TimeoutError) as error:
            raise self._away(error) from error
        try:
            async with asyncio.timeout(self._commit_timeout_s):
                return any([await self._open.position(partition) < end for partition, end in ends.items()])
        except TimeoutError:  # the broker answers, and the consumer has not found out where it stands
            return True
        except KafkaError as error:
            raise self._away(error) from error

    async def broker_answers(self) -> bool:
        """See `RecordSource`."""
        try:
            await self._require_topic()
        except ServiceAway:
            return False
        return True

    async def stop(self) -> None:
        """See `RecordSource`."""
        consumer, self._consumer = self._consumer, None
        if self._rebalances is not None:
            self._rebalances.silent = True
        if consumer is not None:
            leaving = asyncio.create_task(_leave(consumer))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        if self._leaving:
            # what takes longer goes on beside: cancelled, it would leave its connections open
            await asyncio.wait(set(self._leaving), timeout=self._stop_timeout_s)

    @property
    def _open(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("the consumer is not started")
        return self._consumer

    def _ours(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        assigned = self._open.assignment()
        return [tp for p in partitions if (tp := TopicPartition(*p)) in assigned]

    def _away(self, error: BaseException) -> ServiceAway:
        return away(self._connection, error, self._doing)


async def _leave(consumer: AIOKafkaConsumer) -> None:
    with contextlib.suppress(KafkaError):
        await consumer.stop()


class _Listener(ConsumerRebalanceListener):
    """Passes rebalances on at once: heartbeats start again only when these calls return.

    Attributes:
        silent: set when the consumer is stopped: one that does not end in time must not speak for its successor.
    """

    def __init__(self, listener: AssignmentListener) -> None:
        self._listener = listener
        self.silent = False

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        del revoked  # every rebalance is eager: all partitions are in doubt
        if not self.silent:
            self._listener.on_revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        if not self.silent:
            self._listener.on_assigned(frozenset(Partition(tp.topic, tp.partition) for tp in assigned))
