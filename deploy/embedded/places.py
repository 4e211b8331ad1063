"""Make the topics and buckets of a new stack: for the demo, and as the one-shot of docker-compose.yml.

    python places.py --partitions 6 --notify arn:minio:sqs::TRAINING:kafka

Reads the same MISTUDIO_ variables as the worker. What is there already stays as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import urllib3
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from minio import Minio
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig, SuffixFilterRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOPICS = ("training-complete", "find-complete", "find-failed", "find-progress", "training-complete.dead-letter")
ARTIFACTS_BUCKET, RESULTS_BUCKET = "mistudio", "mistudio-results"
PARTITIONS = 3


def make_places(environment: Mapping[str, str], *, partitions: int = PARTITIONS) -> None:
    """Make the missing topics and buckets. Not to be called on an event loop.

    Args:
        environment: The MISTUDIO_ variables that lead to the broker and the store.
        partitions: Of each new topic; no more workers than this can work at the same time.
    """
    asyncio.run(_make_topics(environment["MISTUDIO_KAFKA__BOOTSTRAP_SERVERS"], partitions))
    with store_client(environment) as client:
        for bucket in (ARTIFACTS_BUCKET, RESULTS_BUCKET):
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)


def notify_of_trainings(environment: Mapping[str, str], target: str) -> None:
    """Let MinIO publish an event when a trainer has written metadata.json, the last of its three files.

    Args:
        environment: The MISTUDIO_ variables that lead to the store.
        target: ARN of a Kafka target that the MinIO server knows, such as `arn:minio:sqs::TRAINING:kafka`.
    """
    rule = QueueConfig(
        events=["s3:ObjectCreated:*"],
        prefix_filter_rule=PrefixFilterRule("activations/"),
        suffix_filter_rule=SuffixFilterRule("/metadata.json"),
        queue=target,
    )
    with store_client(environment) as client:
        client.set_bucket_notification(ARTIFACTS_BUCKET, NotificationConfig(queue_config_list=[rule]))


@contextmanager
def store_client(environment: Mapping[str, str]) -> Iterator[Minio]:
    """A client of the store; its connections are closed at the end."""
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(10))
    endpoint = environment["MISTUDIO_STORE__ENDPOINT"]
    tls = endpoint.startswith("https://") or environment.get("MISTUDIO_STORE__SECURE", "false").lower() in {"1", "true"}
    try:
        yield Minio(
            endpoint.split("//")[-1],
            access_key=environment.get("MISTUDIO_STORE__ACCESS_KEY", ""),
            secret_key=environment.get("MISTUDIO_STORE__SECRET_KEY", ""),
            secure=tls,
            http_client=pool,
        )
    finally:
        pool.clear()


async def _make_topics(bootstrap_servers: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        missing = set(TOPICS) - set(await admin.list_topics())
        await admin.create_topics([NewTopic(name, partitions, 1) for name in sorted(missing)])
    finally:
        await admin.close()


def main() -> None:
    """Make the places that the environment leads to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=PARTITIONS)
    parser.add_argument("--notify", metavar="ARN", help="publish an event for each new metadata.json to this target")
    arguments = parser.parse_args()
    make_places(os.environ, partitions=arguments.partitions)
    if arguments.notify:
        notify_of_trainings(os.environ, arguments.notify)


if __name__ == "__main__":
    main()
