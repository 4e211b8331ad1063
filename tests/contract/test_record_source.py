"""One suite for every record source: the fake group and Kafka's keep the same promises."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from support.fakes import FakeBroker, FakeSource

from mistudio_worker.adapters.kafka_connection import KafkaConnection
from mistudio_worker.adapters.kafka_source import KafkaSource
from mistudio_worker.errors import ServiceAway
from mistudio_worker.worker.ports import CommitOutcome, Partition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from embedded.toxiproxy import Proxies
    from support.services import Services

    from mistudio_worker.worker.ports import Record, RecordSource

PARTITIONS = 2
WITHIN_S = 20.0
REQUEST_TIMEOUT_S = 8.0


class NoUtf8(str):
    """A name that goes out as bytes which no UTF-8 text has."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """See `str.encode`."""
        del encoding, errors
        return b"\xff\xfe"


@dataclass
class Listener:
    """Remembers what it was told."""

    revoked: int = 0
    assigned: list[frozenset[Partition]] = field(default_factory=list)

    def on_revoked(self) -> None:
        """See `AssignmentListener`."""
        self.revoked += 1

    def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """See `AssignmentListener`."""
        self.assigned.append(partitions)


@dataclass
class SourceCase:
    """A topic of two partitions; each `member` is a new one of the same group."""

    topic: str
    member: Callable[[], RecordSource]
    append: Callable[[int, bytes], Awaitable[None]]

    def partition(self, number: int) -> Partition:
        """A partition of the topic."""
        return Partition(self.topic, number)

    @property
    def all(self) -> frozenset[Partition]:
        """Both partitions."""
        return frozenset(self.partition(number) for number in range(PARTITIONS))


class RecordSourceContract:
    """What `worker/ports.py` promises of a `RecordSource`."""

    async def test_a_new_group_begins_at_the_beginning(self, case: SourceCase) -> None:
        """What was written before the group was there is taken too, whole."""
        await case.append(0, b"old")
        source, listener = case.member(), Listener()
        await source.start(listener)
        assert source.assigned() == case.all == listener.assigned[-1]
        [record] = await take(source, 1)
        assert (record.topic, record.partition, record.offset, record.value) == (case.topic, 0, 0, b"old")
        assert record.timestamp_ms > 0
        assert await source.committed(case.partition(0)) is None
        assert await source.poll(0.05) is None

    async def test_a_paused_partition_gives_nothing(self, case: SourceCase) -> None:
        """Others go on meanwhile, and after the resume nothing is missing."""
        source = case.member()
        await source.start(Listener())
        source.pause([case.partition(0), Partition("another-topic", 0), case.partition(99)])
        for number in range(PARTITIONS):
            await case.append(number, b"%d" % number)
        assert [record.partition for record in await take(source, 1)] == [1]
        assert await source.poll(0.3) is None
        source.resume([case.partition(0), Partition("another-topic", 0)])
        assert [record.partition for record in await take(source, 1)] == [0]

    async def test_one_record_at_a_time(self, case: SourceCase) -> None:
        """A pause after a record holds the next one of that partition back, fetched or not."""
        source = case.member()
        for number in range(5):
            await case.append(0, b"%d" % number)
        await source.start(Listener())
        [first] = await take(source, 1)
        source.pause([case.partition(0)])
        assert await source.poll(0.3) is None
        source.resume([case.partition(0)])
        assert [r.offset for r in [first, *await take(source, 4)]] == [0, 1, 2, 3, 4]

    async def test_seek_takes_a_record_again(self, case: SourceCase) -> None:
        """After a seek the record at that offset comes next; a partition of others is passed over."""
        source = case.member()
        for number in range(3):
            await case.append(0, b"%d" % number)
        await source.start(Listener())
        await take(source, 3)
        source.seek(case.partition(0), 1)
        source.seek(case.partition(99), 0)
        assert [record.value for record in await take(source, 2)] == [b"1", b"2"]

    async def test_the_group_remembers_commits(self, case: SourceCase) -> None:
        """A member that comes later goes on at the committed offset."""
        source = case.member()
        for number in range(3):
            await case.append(0, b"%d" % number)
        await source.start(Listener())
        await take(source, 2)
        assert await source.commit(case.partition(0), 1) is CommitOutcome.DONE
        assert await source.committed(case.partition(0)) == 1
        await source.stop()
        later = case.member()
        await later.start(Listener())
        assert [record.value for record in await take(later, 2)] == [b"1", b"2"]

    async def test_members_share_the_partitions(self, case: SourceCase) -> None:
        """A second member gets one of the two; the first is told of the rebalance, and of the end of the second."""
        first, second = case.member(), case.member()
        heard, heard_by_second = Listener(), Listener()
        await first.start(heard)
        async with joined(first, second, heard_by_second):
            assert first.assigned() | second.assigned() == case.all
            assert heard.revoked >= 1
            # a member is told just after it is so
            await until(lambda: heard.assigned[-1] == first.assigned())
            await until(lambda: heard_by_second.assigned[-1] == second.assigned())
        await second.stop()
        async with polling(first):
            await until(lambda: first.assigned() == case.all)

    async def test_a_commit_of_a_lost_partition(self, case: SourceCase) -> None:
        """Who has lost a partition cannot commit it, and the group's offset stays."""
        first, second = case.member(), case.member()
        await case.append(0, b"0")
        await case.append(1, b"1")
        await first.start(Listener())
        async with joined(first, second, Listener()):
            pass
        [lost] = second.assigned()
        assert await first.commit(lost, 1) is CommitOutcome.LOST
        assert await second.committed(lost) is None
        first.seek(lost, 0)
        first.pause([lost])

    async def test_a_rebalance_forgets_pauses_and_positions(self, case: SourceCase) -> None:
        """The record that was not committed comes again after a rebalance, though its partition was paused."""
        first, second = case.member(), case.member()
        await case.append(0, b"0")
        await case.append(1, b"1")
        await first.start(Listener())
        await take(first, 2)
        first.pause(case.all)
        taken: list[Record] = []
        async with joined(first, second, Listener(), into=taken):
            await until(lambda: {record.partition for record in taken} == {0, 1})

    async def test_what_is_unread(self, case: SourceCase) -> None:
        """Records that were not given out are unread, unless their partition is paused."""
        source = case.member()
        await source.start(Listener())
        assert not await source.has_unread()
        await case.append(0, b"0")
        assert await source.has_unread()
        source.pause([case.partition(0)])
        assert not await source.has_unread()
        source.resume([case.partition(0)])
        await take(source, 1)
        assert not await source.has_unread()
        assert await source.broker_answers()

    async def test_starting_again(self, case: SourceCase) -> None:
        """A source that was stopped joins anew and goes on from what was committed."""
        source, listener = case.member(), Listener()
        await case.append(0, b"0")
        await case.append(0, b"1")
        await source.start(listener)
        await take(source, 2)
        await source.commit(case.partition(0), 1)
        await source.stop()
        await source.start(listener)
        assert [record.value for record in await take(source, 1)] == [b"1"]
        assert listener.assigned[-1] == source.assigned() == case.all

    async def test_stopping_twice(self, case: SourceCase) -> None:
        """A source that is stopped, or was never started, can be stopped."""
        source = case.member()
        await source.stop()
        await source.start(Listener())
        await source.stop()
        await source.stop()


class TestFake(RecordSourceContract):
    """The group of the unit tests."""

    @pytest.fixture
    def case(self) -> SourceCase:
        """A fake broker."""
        broker = FakeBroker(partitions=PARTITIONS)

        async def append(partition: int, value: bytes) -> None:
            await asyncio.sleep(0)
            broker.append(value, partition=partition)

        return SourceCase(broker.topic, lambda: FakeSource(broker), append)


class TestKafka(RecordSourceContract):
    """The adapter on a real broker."""

    @pytest.fixture
    async def case(self, services: Services) -> AsyncIterator[SourceCase]:
        """A topic and a group of this test alone."""
        topic, group = await services.create_topic(partitions=PARTITIONS), services.unique_name("group")
        async with AsyncExitStack() as stack:
            producer = AIOKafkaProducer(bootstrap_servers=services.bootstrap_servers)
            await producer.start()
            stack.push_async_callback(producer.stop)

            def member() -> RecordSource:
                source = adapter(services.bootstrap_servers, topic, group)
                stack.push_async_callback(source.stop)
                return source

            async def append(partition: int, value: bytes) -> None:
                await producer.send_and_wait(topic, value, partition=partition)

            yield SourceCase(topic, member, append)

    async def test_headers_and_nothing(self, services: Services) -> None:
        """Key, headers and an absent value come as they were written."""
        topic = await services.create_topic()
        producer = AIOKafkaProducer(bootstrap_servers=services.bootstrap_servers)
        await producer.start()
        try:
            await producer.send_and_wait(topic, None, key=b"k", headers=[("a", b"1"), ("a", b"2")])
        finally:
            await producer.stop()
        source = adapter(services.bootstrap_servers, topic, services.unique_name("group"))
        await source.start(Listener())
        try:
            [record] = await take(source, 1)
        finally:
            await source.stop()
        assert (record.key, record.value, record.headers) == (b"k", None, [("a", b"1"), ("a", b"2")])

    async def test_header_names_that_are_no_text(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        """Such a record comes whole but for the name, and holds up neither its batch nor its partition."""
        topic = await services.create_topic(partitions=PARTITIONS)
        monkeypatch.setattr(message_accumulator, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
        producer = AIOKafkaProducer(bootstrap_servers=services.bootstrap_servers)
        await producer.start()
        try:
            batch = producer.create_batch()
            for number, name in enumerate(("fine", NoUtf8("bad"), "fine")):
                batch.append(key=None, value=b"%d" % number, timestamp=1, headers=[(name, b"")])
            await (await producer.send_batch(batch, topic, partition=0))
            await producer.send_and_wait(topic, b"next", partition=0)
            await producer.send_and_wait(topic, b"other", partition=1)
        finally:
            await producer.stop()
        source = adapter(services.bootstrap_servers, topic, services.unique_name("group"))
        await source.start(Listener())
        try:
            records = await take(source, 5)
        finally:
            await source.stop()
        found = [(r.offset, r.value, [name for name, _ in r.headers]) for r in records if r.partition == 0]
        fine, mended = ["fine"], ["\ufffd\ufffd"]
        assert found == [(0, b"0", fine), (1, b"1", mended), (2, b"2", fine), (3, b"next", [])]
        assert [r.value for r in records if r.partition == 1] == [b"other"]

    @pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
    async def test_compressed_records(self, services: Services, compression: str) -> None:
        """The producer, or the topic's own setting, chooses how records are compressed; all four ways are read."""
        topic = await services.create_topic(partitions=1)
        producer = AIOKafkaProducer(bootstrap_servers=services.bootstrap_servers, compression_type=compression)
        await producer.start()
        try:
            await producer.send_and_wait(topic, b"a" * 9000)
        finally:
            await producer.stop()
        source = adapter(services.bootstrap_servers, topic, services.unique_name("group"))
        await source.start(Listener())
        try:
            [record] = await take(source, 1)
        finally:
            await source.stop()
        assert record.value == b"a" * 9000

    async def test_an_unreachable_broker(self) -> None:
        """A broker that does not answer is told, and nothing is left open."""
        source = adapter("127.0.0.1:1", "topic", "group")
        begun_s = time.monotonic()
        with pytest.raises(ServiceAway) as refused:
            await source.start(Listener())
        assert refused.value.code == "BROKER_UNAVAILABLE"
        assert not await source.broker_answers()
        assert time.monotonic() - begun_s < WITHIN_S
        await source.stop()

    async def test_a_consumer_that_fetches_no_more(self, services: Services) -> None:
        """Such a one says nothing: what waits is seen by the broker's word, and a new start gives it out."""
        topic = await services.create_topic()
        source = adapter(services.bootstrap_servers, topic, services.unique_name("group"))
        await source.start(Listener())
        producer = AIOKafkaProducer(bootstrap_servers=services.bootstrap_servers)
        await producer.start()
        try:
            await end_fetching(source)
            await producer.send_and_wait(topic, b"0")
            assert await source.poll(0.5) is None
            assert await source.has_unread()
            await source.stop()
            await source.start(Listener())
            assert [record.value for record in await take(source, 1)] == [b"0"]
        finally:
            await producer.stop()
            await source.stop()

    async def test_a_half_open_broker(self, services: Services, proxies: Proxies) -> None:
        """A broker that takes connections and says nothing holds up neither the start nor the end."""
        group, topic = services.unique_name("group"), await services.create_topic()
        late, early = (adapter(proxies.broker.address, topic, group, start_timeout_s=1.0) for _ in range(2))
        await early.start(Listener())
        proxies.broker.inject("half-open")
        try:
            async with asyncio.timeout(WITHIN_S):
                with pytest.raises(ServiceAway) as refused:
                    await late.start(Listener())
                await early.stop()
        finally:
            proxies.broker.heal()
        assert refused.value.code == "BROKER_UNAVAILABLE"
        for source in (late, early):  # what hung is over now
            await source.stop()

    async def test_an_absent_topic(self, services: Services) -> None:
        """It is not the broker that is away: the error names the topic, at once, and says how to create it."""
        source = adapter(services.bootstrap_servers, "not-there", services.unique_name("group"))
        begun_s = time.monotonic()
        with pytest.raises(ServiceAway, match="no topic 'not-there'") as refused:
            await source.start(Listener())
        assert "create it: kafka-topics.sh --create --topic not-there" in refused.value.hint
        assert time.monotonic() - begun_s < REQUEST_TIMEOUT_S, "the consumer waited for it"

    async def test_a_topic_that_gains_partitions(self, services: Services) -> None:
        """Records in partitions that were added while a member consumes come to it without a new start."""
        topic = await services.create_topic(partitions=1)
        source = adapter(services.bootstrap_servers, topic, services.unique_name("group"))
        await source.start(Listener())
        admin, producer = (
            AIOKafkaAdminClient(bootstrap_servers=services.bootstrap_servers),
            AIOKafkaProducer(bootstrap_servers=services.bootstrap_servers),
        )
        await admin.start()
        try:
            await admin.create_partitions({topic: NewPartitions(3)})
            await producer.start()
            await producer.send_and_wait(topic, b"new", partition=2)
            assert [(r.partition, r.value) for r in await take(source, 1)] == [(2, b"new")]
            assert len(source.assigned()) == 3
        finally:
            await producer.stop()
            await admin.close()
            await source.stop()


def adapter(bootstrap_servers: str, topic: str, group: str, *, start_timeout_s: float = 60.0) -> KafkaSource:
    """The adapter with short limits."""
    return KafkaSource(
        connection=KafkaConnection(bootstrap_servers),
        topic=topic,
        group_id=group,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=300,
        max_poll_interval_ms=10_000,
        rebalance_timeout_ms=4_000,
        request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
        metadata_max_age_ms=500,
        start_timeout_s=start_timeout_s,
        stop_timeout_s=2.0,
        commit_timeout_s=5.0,
    )


async def end_fetching(source: KafkaSource) -> None:
    """End the client's fetching as an error inside it would: also a fetch under way must not deliver any more."""
    fetcher = source._open._fetcher
    fetching = {fetcher._fetch_task, *fetcher._pending_tasks}
    for task in fetching:
        task.cancel()
    await asyncio.gather(*fetching, return_exceptions=True)
    fetcher._pending_tasks.clear()


async def take(source: RecordSource, count: int) -> list[Record]:
    """The next records, within a limit."""
    taken: list[Record] = []
    async with asyncio.timeout(WITHIN_S):
        while len(taken) < count:
            record = await source.poll(0.2)
            if record is not None:
                taken.append(record)
    return taken


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something, within a limit."""
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def polling(source: RecordSource, into: list[Record] | None = None) -> AsyncIterator[None]:
    """Let a member poll meanwhile, as a worker's loop does: no rebalance ends without it."""
    over = asyncio.Event()

    async def poll() -> None:
        while not over.is_set():
            record = await source.poll(0.1)
            if record is not None and into is not None:
                into.append(record)

    task = asyncio.create_task(poll())
    try:
        yield
    finally:
        over.set()
        await task


@asynccontextmanager
async def joined(
    first: RecordSource, second: RecordSource, listener: Listener, into: list[Record] | None = None
) -> AsyncIterator[None]:
    """Let a second member join the first, until each has one of the two partitions; both poll meanwhile."""
    async with polling(first, into):
        await second.start(listener)
        async with polling(second, into):
            await until(lambda: len(first.assigned()) == len(second.assigned()) == 1)
            yield
