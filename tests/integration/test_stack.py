"""The embedded stack answers, and leaves nothing behind however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from embedded import stores
from embedded.process import Server, StackError
from embedded.stack import EmbeddedStack

if TYPE_CHECKING:
    from support.services import Services

DEPLOY = Path(__file__).parents[2] / "deploy"
# Starts a store, says where, and waits to be ended.
OWNER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from embedded.stack import EmbeddedStack
with EmbeddedStack(broker=False, variables={}) as stack:
    print(stack.environment()["MISTUDIO_STORE__ENDPOINT"], stack._directory, flush=True)
    time.sleep(120)
"""


async def test_a_record_comes_back(services: Services) -> None:
    """What is sent with all acknowledgements is consumed by a group."""
    topic = await services.create_topic()
    producer = AIOKafkaProducer(bootstrap_servers=services.bootstrap_servers, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"value", key=b"key", headers=[("ce_id", b"1")])
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=services.bootstrap_servers,
        group_id=services.unique_name("group"),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        record = await consumer.getone()
        await consumer.commit()
    finally:
        await consumer.stop()
    assert (record.key, record.value, record.headers) == (b"key", b"value", (("ce_id", b"1"),))


def test_an_object_comes_back(services: Services) -> None:
    """What is put into a new bucket is got again, byte by byte."""
    assert _put_and_get(services, b"some bytes") == b"some bytes"


@pytest.mark.minio
def test_an_object_comes_back_from_minio(minio_store: Services) -> None:
    """MinIO itself answers as well."""
    assert _put_and_get(minio_store, b"some bytes") == b"some bytes"


def _put_and_get(services: Services, content: bytes) -> bytes:
    bucket = services.create_bucket()
    services.store.put_object(bucket, "a/b", BytesIO(content), len(content))
    response = services.store.get_object(bucket, "a/b")
    try:
        return response.read()
    finally:
        response.close()
        response.release_conn()


def test_a_wrong_secret_is_refused(services: Services) -> None:
    """The store checks who asks."""
    store = services.store_settings
    assert not stores.answers(store.address, store.credentials()[0], "wrong-secret")


def test_nothing_is_left_after_a_block() -> None:
    """Servers, sockets and data are gone when the block ends with an error."""
    seen: list[tuple[str, Path]] = []
    with pytest.raises(ZeroDivisionError):
        _fail_within_a_block(seen)
    assert [_left(*stack) for stack in seen] == [[]]


def _fail_within_a_block(seen: list[tuple[str, Path]]) -> None:
    with EmbeddedStack(broker=False, variables={}) as stack:
        assert stack._directory is not None
        seen.append((stack.environment()["MISTUDIO_STORE__ENDPOINT"], stack._directory))
        assert _left(*seen[0]) != []
        raise ZeroDivisionError


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda end: end.name)
def test_nothing_is_left_after_a_signal(end: signal.Signals) -> None:
    """Servers, sockets and data are gone when the owner is ended from outside, even by SIGKILL."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(DEPLOY)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as owner:
        assert owner.stdout is not None
        endpoint, directory = owner.stdout.readline().decode().split()
        assert _left(endpoint, Path(directory)) != []
        owner.send_signal(end)
    until = time.monotonic() + 10
    while (left := _left(endpoint, Path(directory))) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []


def _left(endpoint: str, directory: Path) -> list[str]:
    """What there still is of a stack: a listener, its data, its socket files."""
    host, _, port = endpoint.partition(":")
    with socket.socket() as probe:
        listening = [endpoint] if probe.connect_ex((host, int(port))) == 0 else []
    data = [str(directory)] if directory.exists() else []
    return listening + data + [str(path) for path in Path("/tmp").glob(f"seaweedfs-*{port}.sock")]  # noqa: S108


@pytest.mark.usefixtures("own_broker")
def test_a_broker_comes_back_with_its_data() -> None:
    """After SIGKILL the broker starts again on the same port."""
    with EmbeddedStack(variables={"MISTUDIO_STORE__ENDPOINT": "unused:1"}) as stack:
        before = stack.environment()
        stack.kill_kafka()
        stack.start_kafka()
        assert stack.environment() == before


def test_running_services_are_used() -> None:
    """Where the environment names a broker and a store, none is started and all its variables are passed on."""
    running = {
        "MISTUDIO_KAFKA__BOOTSTRAP_SERVERS": "broker:9092",
        "MISTUDIO_STORE__ENDPOINT": "store:9000",
        "MISTUDIO_STORE__ACCESS_KEY": "key",
        "MISTUDIO_STORE__SECRET_KEY": "secret",
        "MISTUDIO_STORE__SECURE": "true",
        "MISTUDIO_STORE__REGION": "eu-central-1",
    }
    with EmbeddedStack(variables=running | {"HOME": "/"}) as stack:
        assert stack.environment() == running


def test_a_missing_java_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java the stack refuses in one sentence with the remedy, before it starts anything."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(StackError, match="install a Java runtime of version 17") as refused,
        EmbeddedStack(variables={}),
    ):
        pass
    assert "\n" not in str(refused.value)


def test_a_server_that_ends_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that ends at once is reported with the end of its own log."""
    fake = tmp_path / "weed"
    fake.write_text("#!/bin/sh\necho the disk is on fire\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setattr("embedded.programs.weed_binary", lambda: fake)
    with pytest.raises(StackError, match="the disk is on fire"), EmbeddedStack(broker=False, variables={}):
        pass
    assert not [entry for entry in os.listdir(tmp_path) if entry != "weed"]  # noqa: PTH208


def test_a_program_beside_the_stack_drains() -> None:
    """A worker that runs with the stack gets SIGTERM and the time to end by itself."""
    with EmbeddedStack(variables={"MISTUDIO_STORE__ENDPOINT": "unused:1"}, broker=False) as stack:
        assert stack._directory is not None
        script = "trap 'echo drained; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        server = Server("sh", ["sh", "-c", script], log=stack._directory / "sh.log", environment=os.environ)
        with stack.beside(server, grace_s=10) as running:
            running.wait_until(lambda: "ready" in running.log_tail())
        assert running.log_tail() == "ready\ndrained"
