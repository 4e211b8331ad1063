"""Clients of a broker and a store, with topics and buckets that no other test uses."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import urllib3
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from embedded.stack import BOOTSTRAP_SERVERS, STORE_PREFIX
from minio import Minio

from mistudio_worker.settings_services import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


def store_settings(environment: Mapping[str, str]) -> StoreSettings:
    """What a worker reads of the variables of the store; the endpoint may be host:port or a URL."""
    ours = (name for name in environment if name.startswith(STORE_PREFIX))
    return StoreSettings.model_validate({n.removeprefix(STORE_PREFIX).lower(): environment[n] for n in ours})


class Services:
    """What one test knows of the stack.

    Args:
        environment: The MISTUDIO_ variables of the stack.
        name: Unique to the test; a prefix of all topics and buckets.
        replicas: Copies of each topic.
    """

    def __init__(self, environment: Mapping[str, str], *, name: str, replicas: int = 1) -> None:
        self._replicas = replicas
        self.environment = dict(environment)
        self._name = name
        self._numbers = itertools.count()
        self.store_settings = store_settings(environment)
        ca_file = self.store_settings.ca_file
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(10), maxsize=4, ca_certs=str(ca_file) if ca_file is not None else None
        )
        access_key, secret_key = self.store_settings.credentials()
        self.store = Minio(
            self.store_settings.address,
            access_key=access_key,
            secret_key=secret_key,
            secure=self.store_settings.uses_tls,
            region=self.store_settings.region,
            http_client=self._pool,
        )

    @property
    def bootstrap_servers(self) -> str:
        """Where the broker is."""
        return self.environment[BOOTSTRAP_SERVERS]

    def unique_name(self, role: str) -> str:
        """A name for a topic, a bucket or a consumer group."""
        return f"{self._name}-{role}-{next(self._numbers)}"

    def create_bucket(self, role: str = "bucket") -> str:
        """Create an empty bucket and return its name."""
        name = self.unique_name(role)
        self.store.make_bucket(name)
        return name

    def empty_bucket(self, bucket: str) -> None:
        """Remove all objects: SeaweedFS has room for some dozen buckets only."""
        for item in self.store.list_objects(bucket, recursive=True):
            self.store.remove_object(bucket, item.object_name or "")

    async def create_topic(self, role: str = "topic", *, partitions: int = 1) -> str:
        """Create an empty topic and return its name."""
        name = self.unique_name(role)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, partitions, self._replicas)])
        finally:
            await admin.close()
        return name

    def close(self) -> None:
        """Close the store's connections."""
        self._pool.clear()
