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
from support.services import store_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.services import Services

    from mistudio_worker.settings_services import StoreSettings

TARGET = "arn:minio:sqs::TRAINING:kafka"
KEY = "activations/train_20260102_030405_0001/metadata.json"


@pytest.fixture
def minio_of_its_own() -> Iterator[StoreSettings]:
    """A MinIO of this test alone beside the shared broker, with the bucket of the artifacts."""
    with EmbeddedStack(store="minio", broker=False, variables={}) as stack:
        store = store_settings(stack.environment())
        with places.store_client(store) as client:
            client.make_bucket(store.artifacts_bucket)
        yield store


def let_minio_publish(store: StoreSettings, brokers: str, topic: str) -> None:
    """What `mc admin config set` and `mc admin service restart` do."""
    endpoint, (key, secret) = store.address, store.credentials()
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(10))
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(key, secret), secure=False, http_client=pool)
    admin.config_set("notify_kafka:TRAINING", {"enable": "on", "brokers": brokers, "topic": topic})
    admin.service_restart()
    pool.clear()
    time.sleep(1)  # the old process still answers for a moment
    until = time.monotonic() + 30
    while not stores.answers(endpoint, key, secret) and time.monotonic() < until:
        time.sleep(0.1)


@pytest.mark.minio
async def test_metadata_written_last_becomes_an_event(services: Services, minio_of_its_own: StoreSettings) -> None:
    """The trainer's last file brings one record with bucket and key; its other files bring none."""
    topic = await services.create_topic()
    let_minio_publish(minio_of_its_own, services.bootstrap_servers, topic)
    places.notify_of_trainings(minio_of_its_own, TARGET)
    with places.store_client(minio_of_its_own) as client:
        for key in (KEY.replace("metadata.json", "feature_activations.pt"), KEY):
            client.put_object(minio_of_its_own.artifacts_bucket, key, BytesIO(b"{}"), 2)
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
        ("s3:ObjectCreated:Put", f"{minio_of_its_own.artifacts_bucket}/{KEY}")
    ]
