"""Make the topics and buckets of a new stack: for the demo, and as the one-shot of docker-compose.yml.

    python places.py --partitions 6 --notify arn:minio:sqs::TRAINING:kafka

Reads the settings of the worker from the same MISTUDIO_ variables. What is there already stays as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import urllib3
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from minio import Minio
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig, SuffixFilterRule

from mistudio_worker.errors import WrongUsage
from mistudio_worker.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistudio_worker.settings import Settings
    from mistudio_worker.settings_services import KafkaSettings, StoreSettings

PARTITIONS = 3


def make_places(settings: Settings, *, partitions: int = PARTITIONS) -> None:
    """Make the missing topics and buckets. Not to be called on an event loop.

    Args:
        settings: Lead to the broker and the store, and name the topics and buckets.
        partitions: Of each new topic; no more workers than this can work at the same time.
    """
    asyncio.run(_make_topics(settings.kafka, partitions))
    with store_client(settings.store) as client:
        for bucket in (settings.store.artifacts_bucket, settings.store.results_bucket):
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)


def notify_of_trainings(store: StoreSettings, target: str) -> None:
    """Let MinIO publish an event when a trainer has written metadata.json, the last of its three files.

    Args:
        store: Leads to the store, and names the bucket of the artifacts.
        target: ARN of a Kafka target that the MinIO server knows, such as `arn:minio:sqs::TRAINING:kafka`.
    """
    rule = QueueConfig(
        events=["s3:ObjectCreated:*"],
        prefix_filter_rule=PrefixFilterRule("activations/"),
        suffix_filter_rule=SuffixFilterRule("/metadata.json"),
        queue=target,
    )
    with store_client(store) as client:
        client.set_bucket_notification(store.artifacts_bucket, NotificationConfig(queue_config_list=[rule]))


@contextmanager
def store_client(store: StoreSettings) -> Iterator[Minio]:
    """A client of the store; its connections are closed at the end."""
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(10))
    access_key, secret_key = store.credentials()
    try:
        yield Minio(
            store.address,
            access_key=access_key,
            secret_key=secret_key,
            secure=store.uses_tls,
            region=store.region,
            http_client=pool,
        )
    finally:
        pool.clear()


async def _make_topics(kafka: KafkaSettings, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        missing = _topics(kafka) - set(await admin.list_topics())
        await admin.create_topics([NewTopic(name, partitions, 1) for name in sorted(missing)])
    finally:
        await admin.close()


def _topics(kafka: KafkaSettings) -> set[str]:
    return {
        kafka.training_complete_topic,
        kafka.find_complete_topic,
        kafka.find_failed_topic,
        kafka.find_progress_topic,
        kafka.dead_letter_topic,
    }


def main() -> None:
    """Make the places that the environment leads to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=PARTITIONS)
    parser.add_argument("--notify", metavar="ARN", help="publish an event for each new metadata.json to this target")
    arguments = parser.parse_args()
    try:
        settings = read_settings()
        make_places(settings, partitions=arguments.partitions)
        if arguments.notify:
            notify_of_trainings(settings.store, arguments.notify)
    except WrongUsage as error:
        sys.exit(f"{error.message}: {error.hint}")


if __name__ == "__main__":
    main()
