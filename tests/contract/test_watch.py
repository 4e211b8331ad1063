"""What commands see of the topics while they wait for an outcome."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from mistudio_worker.adapters.kafka_connection import KafkaConnection
from mistudio_worker.adapters.kafka_watch import KafkaWatch
from mistudio_worker.errors import ServiceAway

if TYPE_CHECKING:
    from support.services import Services

AT_ONCE_S = 10.0


async def test_every_record_from_now_on_is_seen(services: Services) -> None:
    """What was there before is passed over; of several topics each new record comes, with its headers."""
    topics = [await services.create_topic(), await services.create_topic(partitions=2)]
    producer = AIOKafkaProducer(bootstrap_servers=services.bootstrap_servers)
    await producer.start()
    try:
        await producer.send_and_wait(topics[0], b"old")
        async with KafkaWatch(KafkaConnection(services.bootstrap_servers), topics) as watch, asyncio.timeout(AT_ONCE_S):
            await producer.send_and_wait(topics[0], b"0", headers=[("a", b"1")])
            await producer.send_and_wait(topics[1], b"1", partition=1)
            records = watch.records()
            seen = [await anext(records), await anext(records)]
    finally:
        await producer.stop()
    assert sorted((record.value, tuple(record.headers)) for record in seen) == [(b"0", (("a", b"1"),)), (b"1", ())]


async def test_an_absent_topic_is_named_at_once(services: Services) -> None:
    """It is not the broker that is away: the error names the topic and says how to create it."""
    watch = KafkaWatch(KafkaConnection(services.bootstrap_servers), [await services.create_topic(), "not-there"])
    begun_s = time.monotonic()
    with pytest.raises(ServiceAway, match="no topic 'not-there'") as refused:
        async with watch:
            pass
    assert time.monotonic() - begun_s < AT_ONCE_S
    assert "create it: kafka-topics.sh --create --topic not-there" in refused.value.hint


async def test_a_broker_that_is_away_is_told() -> None:
    """Where nobody listens, the hint is about the broker."""
    with pytest.raises(ServiceAway) as refused:
        async with KafkaWatch(KafkaConnection("127.0.0.1:9"), ["a"]):
            pass
    assert refused.value.code == "BROKER_UNAVAILABLE"
    assert "MISTUDIO_KAFKA__BOOTSTRAP_SERVERS" in refused.value.hint
