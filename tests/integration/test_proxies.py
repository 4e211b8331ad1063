"""The proxies before broker and store: clear, they change nothing; with a fault in, they do what its name says."""

from __future__ import annotations

import contextlib
import socket
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import urllib3
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from embedded.stack import BOOTSTRAP_SERVERS
from embedded.toxiproxy import FAULTS
from minio import Minio
from minio.error import MinioException
from support.services import Services
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.toxiproxy import Proxies


@pytest.fixture
def proxied(proxies: Proxies, services: Services) -> Iterator[Services]:
    """Clients that go through the proxies, which are clear before and after the test."""
    name = services.unique_name("proxied")
    with contextlib.closing(Services(proxies.environment(), name=name)) as made:
        yield made
    proxies.heal()


async def test_a_record_goes_through_the_proxy(proxies: Proxies, proxied: Services) -> None:
    """The broker sends its clients back to the proxy: none of their connections goes around it."""
    topic = await proxied.create_topic()
    producer = AIOKafkaProducer(bootstrap_servers=proxied.bootstrap_servers)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=proxied.bootstrap_servers, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    try:
        await producer.send_and_wait(topic, b"value")
        assert (await consumer.getone()).value == b"value"
        brokers = {f"{node.host}:{node.port}" for node in producer.client.cluster.brokers()}
        assert brokers == {proxies.broker.address} == {proxies.environment()[BOOTSTRAP_SERVERS]}
    finally:
        await consumer.stop()
        await producer.stop()


@pytest.mark.parametrize("fault", ["cut", "reset", "half-open", "requests lost", "answers lost"])
def test_a_fault_begins_and_ends(proxies: Proxies, proxied: Services, fault: str) -> None:
    """While it is in, nothing comes back; whether it arrived depends on the direction; then all is as before."""
    bucket = proxied.create_bucket()
    proxies.store.inject(fault)
    with _impatient(proxied) as store, pytest.raises((HTTPError, OSError, MinioException)):
        store.put_object(bucket, "key", BytesIO(b"content"), 7)
    proxies.store.heal()
    arrived = [item.object_name for item in proxied.store.list_objects(bucket)]
    assert arrived == (["key"] if fault in {"answers lost", "reset"} else [])


@pytest.mark.parametrize("fault", ["latency", "bandwidth"])
def test_a_slow_network_still_carries(proxies: Proxies, proxied: Services, fault: str) -> None:
    """What is only slow arrives."""
    bucket = proxied.create_bucket()
    proxies.store.inject(fault)
    proxied.store.put_object(bucket, "key", BytesIO(b"content"), 7)
    assert proxied.store.stat_object(bucket, "key").size == 7


def test_a_limited_connection_ends_in_the_middle(proxies: Proxies, proxied: Services) -> None:
    """More than the limit does not come over one connection."""
    bucket, size = proxied.create_bucket(), 2 * FAULTS["limit"][0].attributes["bytes"]
    proxied.store.put_object(bucket, "key", BytesIO(bytes(size)), size)
    proxies.store.inject("limit")
    response = proxied.store.get_object(bucket, "key")
    with contextlib.closing(response), pytest.raises(HTTPError):
        response.read()


@contextlib.contextmanager
def _impatient(services: Services) -> Iterator[Minio]:
    """A client that gives up after a second and never tries twice."""
    access_key, secret_key = services.store_settings.credentials()
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(1), retries=False)
    yield Minio(
        services.store_settings.address,
        access_key=access_key,
        secret_key=secret_key,
        secure=False,
        region="us-east-1",
        http_client=pool,
    )
    pool.clear()


def test_half_open_is_not_refused(proxies: Proxies, proxied: Services) -> None:
    """A half-open service takes connections; one that is cut takes none."""
    host, _, port = proxied.store_settings.address.partition(":")
    proxies.store.inject("half-open")
    socket.create_connection((host, int(port)), timeout=5).close()
    proxies.store.heal()
    proxies.store.inject("cut")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
