"""MinIO itself tells the worker's topic of a finished training, as docs/howto/bucket-notifications.md sets it up."""

from __future__ import annotations

import json
import time
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import urllib3
from aiokafka import AIOKafkaConsumer
from embedded import places, stores
from embedded.stack import EmbeddedStack
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.services import Services

TARGET = "arn:minio:sqs::TRAINING:kafka"
KEY = "activations/train_20260102_030405_0001/metadata.json"


@pytest.fixture
def minio_of_its_own(services: Services) -> Iterator[dict[str, str]]:
    """A MinIO of this test alone beside the shared broker, with the bucket of the artifacts."""
    broker = {"MISTUDIO_KAFKA__BOOTSTRAP_SERVERS": services.bootstrap_servers}
    with EmbeddedStack(store="minio", variables=broker) as stack:
        with places.store_client(stack.environment()) as client:
            client.make_bucket(places.ARTIFACTS_BUCKET)
        yield stack.environment()


def let_minio_publish(environment: dict[str, str], topic: str) -> None:
    """What `mc admin config set` and `mc admin service restart` do."""
    names = (f"MISTUDIO_STORE__{name}" for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
    endpoint, key, secret = (environment[name] for name in names)
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(10))
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(key, secret), secure=False, http_client=pool)
    brokers = environment["MISTUDIO_KAFKA__BOOTSTRAP_SERVERS"]
    admin.config_set("notify_kafka:TRAINING", {"enable": "on", "brokers": brokers, "topic": topic})
    admin.service_restart()
    pool.clear()
    time.sleep(1)  # the old process still answers for a moment
    until = time.monotonic() + 30
    while not stores.answers(endpoint, key, secret) and time.monotonic() < until:
        time.sleep(0.1)


@pytest.mark.minio
async def test_metadata_written_last_becomes_an_event(services: Services, minio_of_its_own: dict[str, str]) -> None:
    """The trainer's last file brings one record with bucket and key; its other files bring none."""
    topic = await services.create_topic()
    let_minio_publish(minio_of_its_own, topic)
    places.notify_of_trainings(minio_of_its_own, TARGET)
    with places.store_client(minio_of_its_own) as client:
        for key in (KEY.replace("metadata.json", "feature_activations.pt"), KEY):
            client.put_object(places.ARTIFACTS_BUCKET, key, BytesIO(b"{}"), 2)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=services.bootstrap_servers, group_id=None, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        batches = await consumer.getmany(timeout_ms=15_000)
    finally:
        await consumer.stop()
    events = [json.loads(record.value) for records in batches.values() for record in records]
    assert [(event["EventName"], event["Key"]) for event in events] == [
        ("s3:ObjectCreated:Put", f"{places.ARTIFACTS_BUCKET}/{KEY}")
    ]
