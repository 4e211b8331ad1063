"""One suite for every publisher: the fake and Kafka's keep the same promises."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from support.fakes import FakePublisher

from mistudio_worker.adapters.kafka_connection import KafkaConnection
from mistudio_worker.adapters.kafka_publisher import KafkaPublisher
from mistudio_worker.errors import MistudioError, ServiceAway
from mistudio_worker.worker.ports import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from embedded.toxiproxy import Proxies
    from support.services import Services

    from mistudio_worker.worker.ports import Publisher

LIMIT_S = 4.0
MAX_BYTES = 100_000
Row = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


@dataclass
class PublisherCase:
    """A publisher with an empty topic, and the same one with what can be wrong."""

    publisher: Publisher
    topic: str
    missing_topic: str
    unreachable: Publisher
    read: Callable[[int], Awaitable[list[Row]]]


class PublisherContract:
    """What `worker/ports.py` promises of a `Publisher`."""

    async def test_a_message_comes_through(self, case: PublisherCase) -> None:
        """Key, value and headers arrive as they were, repeated names included."""
        headers = [("ce_id", b"1"), ("again", b"\x00\xff"), ("again", b""), ("ümlaut", "é".encode())]
        await case.publisher.publish(Message(case.topic, b"key", b'{"a": 1}', headers))
        assert await case.read(1) == [(b"key", b'{"a": 1}', headers)]

    async def test_nothing_is_a_message_too(self, case: PublisherCase) -> None:
        """A record without value keeps being without; one without a key as well goes out with an empty value."""
        await case.publisher.publish(Message(case.topic, b"key", None))
        await case.publisher.publish(Message(case.topic, b"", b""))
        await case.publisher.publish(Message(case.topic, None, None, [("error-code", b"EVENT_MALFORMED")]))
        assert await case.read(3) == [
            (b"key", None, []),
            (b"", b"", []),
            (None, b"", [("error-code", b"EVENT_MALFORMED")]),
        ]

    async def test_messages_keep_their_order(self, case: PublisherCase) -> None:
        """What was acknowledged first comes first."""
        for number in range(20):
            await case.publisher.publish(Message(case.topic, b"key", b"%d" % number))
        assert [value for _, value, _ in await case.read(20)] == [b"%d" % number for number in range(20)]

    async def test_many_at_a_time(self, case: PublisherCase) -> None:
        """Calls beside each other all get through, once each."""
        await asyncio.gather(*(case.publisher.publish(Message(case.topic, None, b"%d" % n)) for n in range(50)))
        assert sorted(int(value or b"") for _, value, _ in await case.read(50)) == list(range(50))

    @pytest.mark.parametrize("part", ["value", "key", "headers"])
    async def test_too_large(self, case: PublisherCase, part: str) -> None:
        """A message over the limit is refused as such, whichever part is large, and harms no other one."""
        large = b"x" * (MAX_BYTES + 1)
        messages = {
            "value": Message(case.topic, b"key", large),
            "key": Message(case.topic, large, b"value"),
            "headers": Message(case.topic, b"key", b"value", [("name", large)]),
        }
        with pytest.raises(MistudioError) as refused:
            await case.publisher.publish(messages[part])
        assert refused.value.code == "MESSAGE_TOO_LARGE"
        assert not refused.value.retriable
        await case.publisher.publish(Message(case.topic, None, b"small"))
        assert [value for _, value, _ in await case.read(1)] == [b"small"]

    async def test_a_missing_topic(self, case: PublisherCase) -> None:
        """A topic that is not there counts as away, within the limit; others are served after it."""
        begun_s = time.monotonic()
        with pytest.raises(ServiceAway) as refused:
            await case.publisher.publish(Message(case.missing_topic, None, b"value"))
        assert refused.value.code == "BROKER_UNAVAILABLE"
        assert time.monotonic() - begun_s < 3 * LIMIT_S
        await case.publisher.publish(Message(case.topic, None, b"after"))
        assert [value for _, value, _ in await case.read(1)] == [b"after"]

    async def test_an_unreachable_broker(self, case: PublisherCase) -> None:
        """A broker that does not answer is told within the limit."""
        begun_s = time.monotonic()
        with pytest.raises(ServiceAway) as refused:
            await case.unreachable.publish(Message(case.topic, None, b"value"))
        assert refused.value.code == "BROKER_UNAVAILABLE"
        assert time.monotonic() - begun_s < 3 * LIMIT_S


class TestFake(PublisherContract):
    """The publisher of the unit tests."""

    @pytest.fixture
    def case(self) -> PublisherCase:
        """Two fakes."""
        publisher, unreachable = FakePublisher(MAX_BYTES), FakePublisher()
        publisher.missing = {"missing"}
        unreachable.missing = {"topic"}

        async def read(count: int) -> list[Row]:
            await asyncio.sleep(0)
            return [(m.key, m.value, list(m.headers)) for m in publisher.on("topic")][:count]

        return PublisherCase(publisher, "topic", "missing", unreachable, read)


class TestKafka(PublisherContract):
    """The adapter on a real broker."""

    @pytest.fixture
    async def case(self, services: Services) -> AsyncIterator[PublisherCase]:
        """The adapter with a topic of this test alone."""
        topic = await services.create_topic()

        async def read(count: int) -> list[Row]:
            return await read_topic(services, topic, count)

        async with AsyncExitStack() as stack:
            publisher = await stack.enter_async_context(_closing(adapter(services.bootstrap_servers)))
            unreachable = await stack.enter_async_context(_closing(adapter("127.0.0.1:1")))
            yield PublisherCase(publisher, topic, services.unique_name("missing"), unreachable, read)

    async def test_too_large_for_the_broker(self, services: Services) -> None:
        """A topic with a smaller limit than the setting's refuses likewise, and the next message gets through."""
        topic = services.unique_name("narrow")
        admin = AIOKafkaAdminClient(bootstrap_servers=services.bootstrap_servers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "2000"})])
        finally:
            await admin.close()
        async with _closing(adapter(services.bootstrap_servers)) as publisher:
            await publisher.publish(Message(topic, None, b"before"))
            with pytest.raises(MistudioError) as refused:
                await publisher.publish(Message(topic, None, b"x" * 50_000))
            assert refused.value.code == "MESSAGE_TOO_LARGE"
            await _publish_patiently(publisher, Message(topic, None, b"after"))
        assert [value for _, value, _ in await read_topic(services, topic, 2)] == [b"before", b"after"]

    @pytest.mark.parametrize("fault", ["answers lost", "requests lost"])
    async def test_a_message_that_is_tried_again_comes_once(
        self, services: Services, proxies: Proxies, fault: str
    ) -> None:
        """However often it was tried in the meantime, and whether the broker had it at the first time or not."""
        topic = await services.create_topic()
        message = Message(topic, b"key", b"value")
        async with _closing(adapter(proxies.broker.address, limit_s=1.0)) as publisher:
            await _publish_patiently(publisher, Message(topic, b"key", b"before"))
            proxies.broker.inject(fault)
            try:
                for _ in range(2):
                    with pytest.raises(ServiceAway):
                        await publisher.publish(message)
            finally:
                proxies.broker.heal()
            await _publish_patiently(publisher, message)
            await _publish_patiently(publisher, Message(topic, b"key", b"after"))
        assert [value for _, value, _ in await read_topic(services, topic, 3)] == [b"before", b"value", b"after"]

    async def test_closing_while_the_broker_is_away(self, services: Services, proxies: Proxies) -> None:
        """It waits no longer than it may, and leaves no client behind that runs on for good."""
        topic = await services.create_topic()
        before = asyncio.all_tasks()
        publisher = adapter(proxies.broker.address, limit_s=1.0)
        await _publish_patiently(publisher, Message(topic, None, b"1"))
        proxies.broker.inject("cut")
        try:
            with pytest.raises(ServiceAway):
                await publisher.publish(Message(topic, None, b"2"))
            async with asyncio.timeout(5 * LIMIT_S):
                await publisher.close()
        finally:
            proxies.broker.heal()
        async with asyncio.timeout(60):
            while asyncio.all_tasks() - before:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.05)

    async def test_closing_twice(self, services: Services) -> None:
        """A publisher that was closed can be closed again, and connects anew when it is used."""
        topic = await services.create_topic()
        async with _closing(adapter(services.bootstrap_servers)) as publisher:
            await publisher.publish(Message(topic, None, b"1"))
            await publisher.close()
            await publisher.close()
            await publisher.publish(Message(topic, None, b"2"))
        assert len(await read_topic(services, topic, 2)) == 2


def adapter(bootstrap_servers: str, *, limit_s: float = LIMIT_S) -> KafkaPublisher:
    """The adapter with short limits."""
    return KafkaPublisher(
        connection=KafkaConnection(bootstrap_servers),
        publish_timeout_s=limit_s,
        request_timeout_ms=3_000,
        stop_timeout_s=LIMIT_S,
        max_message_bytes=MAX_BYTES,
    )


@asynccontextmanager
async def _closing(publisher: KafkaPublisher) -> AsyncIterator[KafkaPublisher]:
    try:
        yield publisher
    finally:
        await publisher.close()


async def _publish_patiently(publisher: Publisher, message: Message) -> None:
    for _ in range(10):
        try:
            return await publisher.publish(message)
        except ServiceAway:
            continue
    raise AssertionError("the broker stays away")


async def read_topic(services: Services, topic: str, count: int) -> list[Row]:
    """The first records of a topic."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=services.bootstrap_servers, group_id=None, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        rows: list[Row] = []
        while len(rows) < count:
            batches = await consumer.getmany(timeout_ms=5_000)
            if not batches:
                break
            rows += [(r.key, r.value, list(r.headers)) for batch in batches.values() for r in batch]
        return rows
    finally:
        await consumer.stop()
