"""Looking at topics and brokers, and creating topics."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    NotCoordinatorForGroupError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from mistudio_worker.adapters.kafka_errors import FAILURES, away, away_with_cause
from mistudio_worker.errors import ServiceAway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistudio_worker.adapters.kafka_connection import KafkaConnection

COORDINATOR_PAUSE_S = 0.2
DOING = "asking the broker"


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What a broker says of a topic."""

    partitions: int
    replicas: int
    max_message_bytes: int | None


class KafkaAdmin:
    """Asks brokers about topics; every call has a time limit.

    Args:
        connection: leads to the brokers.
        limit_s: longest wait for an answer.
    """

    def __init__(self, connection: KafkaConnection, limit_s: float = 10.0) -> None:
        self._connection = connection
        self._limit_s = limit_s
        self._client = AIOKafkaAdminClient(**connection.options(), request_timeout_ms=int(limit_s * 1000))

    async def __aenter__(self) -> KafkaAdmin:
        """Connect."""
        try:
            async with asyncio.timeout(self._limit_s):
                await self._client.start()
        except FAILURES as error:
            await self._client.close()
            raise await self._away(error) from error
        except asyncio.CancelledError:  # also by a time limit of the caller's
            await self._client.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._client.close()

    async def topics(self, names: Sequence[str]) -> dict[str, TopicFacts]:
        """Return what is known of those topics that are there."""
        try:
            async with asyncio.timeout(self._limit_s):
                described = await self._client.describe_topics(list(names))
                self._check_allowed(described)
                there = {t["topic"]: t["partitions"] for t in described if t["error_code"] == 0}
                limits = {
                    name: await self._config(ConfigResourceType.TOPIC, name, "max.message.bytes") for name in there
                }
        except FAILURES as error:
            raise await self._away(error) from error
        return {
            name: TopicFacts(
                partitions=len(partitions),
                replicas=min((len(p["replicas"]) for p in partitions), default=0),
                max_message_bytes=int(limit) if (limit := limits[name]) else None,
            )
            for name, partitions in there.items()
        }

    async def require(self, names: Sequence[str]) -> None:
        """Make sure that topics are there: a consumer would only wait for an absent one.

        Raises:
            ServiceAway: one is not there, or the broker does not answer.
        """
        try:
            async with asyncio.timeout(self._limit_s):
                described = await self._client.describe_topics(list(names))
        except FAILURES as error:
            raise await self._away(error) from error
        self._check_allowed(described)
        for topic in described:
            if topic["error_code"] == UnknownTopicOrPartitionError.errno:
                raise topic_absent(topic["topic"], self._connection.bootstrap_servers)

    async def broker_config(self, name: str) -> str | None:
        """Return one setting of the first broker; None where it does not tell."""
        try:
            async with asyncio.timeout(self._limit_s):
                cluster = await self._client.describe_cluster()
                return await self._config(ConfigResourceType.BROKER, str(cluster["brokers"][0]["node_id"]), name)
        except FAILURES as error:
            raise await self._away(error) from error

    async def group_members(self, group_id: str) -> int:
        """Return how many consumers a group has now; 0 for an unknown group."""
        try:
            async with asyncio.timeout(self._limit_s):
                described = await self._describe_group(group_id)
        except FAILURES as error:
            raise await self._away(error) from error
        return sum(len(group[5]) for response in described for group in response.groups)

    async def _describe_group(self, group_id: str) -> list[Any]:
        """Ask again while there is no coordinator: a new broker makes its own topic at the first question."""
        while True:
            try:
                found: list[Any] = await self._client.describe_consumer_groups([group_id])
            except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
                await asyncio.sleep(COORDINATOR_PAUSE_S)
            else:
                return found

    async def create_topics(self, names: Sequence[str], *, partitions: int, replicas: int = 1) -> None:
        """Create topics; those that are there already are left as they are."""
        for name in names:
            try:
                async with asyncio.timeout(self._limit_s):
                    await self._client.create_topics([NewTopic(name, partitions, replicas)])
            except TopicAlreadyExistsError:
                continue
            except FAILURES as error:
                raise await self._away(error) from error

    async def _config(self, kind: ConfigResourceType, resource: str, name: str) -> str | None:
        responses = await self._client.describe_configs([ConfigResource(kind, resource, configs={name: None})])
        for response in responses:
            for answered in response.resources:
                for entry in answered[4]:
                    if entry[0] == name:
                        return str(entry[1])
        return None

    def _check_allowed(self, described: Sequence[dict[str, Any]]) -> None:
        closed = [topic["topic"] for topic in described if topic["error_code"] == TopicAuthorizationFailedError.errno]
        if closed:
            raise away(self._connection, TopicAuthorizationFailedError(", ".join(closed)), DOING)

    async def _away(self, error: BaseException) -> ServiceAway:
        return await away_with_cause(self._connection, error, DOING)


def topic_absent(topic: str, bootstrap_servers: str) -> ServiceAway:
    """Build the error for a topic that the broker does not have."""
    return ServiceAway(
        "BROKER_UNAVAILABLE",
        f"the broker at {bootstrap_servers} has no topic {topic!r}",
        f"create it: kafka-topics.sh --create --topic {topic} --partitions 4; or correct the setting that names it",
    )
