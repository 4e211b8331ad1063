"""The topics and buckets of a new stack, as docker-compose.yml makes them too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import urllib3
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from minio import Minio

if TYPE_CHECKING:
    from collections.abc import Mapping

TOPICS = ("training-complete", "find-complete", "find-failed", "find-progress", "training-complete.dead-letter")
BUCKETS = ("mistudio", "mistudio-results")
PARTITIONS = 3


def make_places(environment: Mapping[str, str]) -> None:
    """Make what is not there yet; what is there stays as it is. Not to be called on an event loop."""
    asyncio.run(_make_topics(environment["MISTUDIO_KAFKA__BOOTSTRAP_SERVERS"]))
    _make_buckets(environment)


async def _make_topics(bootstrap_servers: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        missing = set(TOPICS) - set(await admin.list_topics())
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in sorted(missing)])
    finally:
        await admin.close()


def _make_buckets(environment: Mapping[str, str]) -> None:
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(10))
    client = Minio(
        environment["MISTUDIO_STORE__ENDPOINT"].split("//")[-1],
        access_key=environment.get("MISTUDIO_STORE__ACCESS_KEY", ""),
        secret_key=environment.get("MISTUDIO_STORE__SECRET_KEY", ""),
        secure=environment.get("MISTUDIO_STORE__SECURE", "false") == "true",
        http_client=pool,
    )
    try:
        for bucket in BUCKETS:
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)
    finally:
        pool.clear()
