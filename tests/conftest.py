"""What every test may ask for: the running stack, and names that no other test uses."""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING

import pytest
from embedded import programs
from embedded.process import StackError
from embedded.stack import BOOTSTRAP_SERVERS, EmbeddedStack
from support.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.toxiproxy import Proxies

ON_KAFKA = {"stack", "services", "own_broker", "crash_stack"}
ON_MINIO = {"minio_stack", "minio_store", "crash_stack"}
ON_TOXIPROXY = {"proxies", "own_network", "crash_proxies"}
"""Fixtures that start servers."""


@pytest.fixture(scope="session")
def stack() -> Iterator[EmbeddedStack]:
    """The broker and the store that all integration tests share: started once a run, or running already."""
    with EmbeddedStack() as running:
        yield running


@pytest.fixture(scope="session")
def minio_stack() -> Iterator[EmbeddedStack]:
    """MinIO itself, without a broker, whatever store the environment names."""
    with EmbeddedStack(store="minio", broker=False, variables={}) as running:
        yield running


@pytest.fixture(scope="session")
def proxies(stack: EmbeddedStack) -> Iterator[Proxies]:
    """The ways to broker and store of the shared stack that a test may let fail; it heals them at its end."""
    if BOOTSTRAP_SERVERS in os.environ:
        pytest.skip(f"puts a proxy before a Kafka of its own, and {BOOTSTRAP_SERVERS} names one: unset it to run this")
    with stack.proxies() as running:
        yield running


@pytest.fixture(scope="session")
def crash_stack() -> Iterator[EmbeddedStack]:
    """A Kafka and a MinIO for the crash matrix alone: it lets their answers get lost."""
    if BOOTSTRAP_SERVERS in os.environ:
        pytest.skip(f"puts a proxy before a Kafka of its own, and {BOOTSTRAP_SERVERS} names one: unset it to run this")
    with EmbeddedStack(store="minio", variables={}) as running:
        yield running


@pytest.fixture(scope="session")
def crash_proxies(crash_stack: EmbeddedStack) -> Iterator[Proxies]:
    """The ways of the crashing workers."""
    with crash_stack.proxies() as running:
        yield running


@pytest.fixture
def services(stack: EmbeddedStack) -> Iterator[Services]:
    """Clients of the shared stack, with topics and buckets of this test alone."""
    with contextlib.closing(Services(stack.environment(), name=unique_name())) as made:
        yield made


@pytest.fixture
def minio_store(minio_stack: EmbeddedStack) -> Iterator[Services]:
    """Clients of MinIO, with buckets of this test alone. Use it with the marker `minio`."""
    with contextlib.closing(Services(minio_stack.environment(), name=unique_name())) as made:
        yield made


@pytest.fixture(scope="session")
def own_broker() -> None:
    """For tests that start a broker of their own: left out where the environment names one, maybe for want of Java."""
    if BOOTSTRAP_SERVERS in os.environ:
        pytest.skip(f"starts a Kafka of its own, and {BOOTSTRAP_SERVERS} names one: unset it to run this")


@pytest.fixture
def own_network(own_broker: None) -> None:
    """For tests that start a stack of their own, with proxies before it."""
    del own_broker


def unique_name() -> str:
    """A name that topics, buckets and consumer groups may have."""
    return f"t{uuid.uuid4().hex[:12]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for the stack, and run it last: a wrong unit shows before a broker is started."""
    for item in items:
        if _fixtures(item) & (ON_KAFKA | ON_MINIO | ON_TOXIPROXY):
            item.add_marker(pytest.mark.integration)
        if _fixtures(item) & ON_MINIO:
            item.add_marker(pytest.mark.minio)
    items.sort(key=lambda item: (item.get_closest_marker("integration") is not None, _is_minio(item)))
    # Left out where there is neither the program nor Go to build it with; in CI its absence is an error.
    for item in [] if os.environ.get("CI") else items:
        if problems := [problem for program in _go_programs(item) if (problem := program.problem())]:
            item.add_marker(pytest.mark.skip(reason=problems[0]))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch the programs that the chosen tests need: it may take minutes, which no test's time limit should count."""
    chosen = [item for item in session.items if item.get_closest_marker("skip") is None]
    if session.config.option.collectonly:
        return
    try:
        with session.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            if BOOTSTRAP_SERVERS not in os.environ and any(_fixtures(item) & ON_KAFKA for item in chosen):
                programs.require("java")
                programs.kafka_jars()
            for program in {program for item in chosen for program in _go_programs(item)}:
                program.binary()
    except StackError as error:
        raise pytest.UsageError(str(error)) from None


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def _go_programs(item: pytest.Item) -> list[programs.GoProgram]:
    """Programs built with Go that a test needs."""
    toxiproxy = [programs.TOXIPROXY] if _fixtures(item) & ON_TOXIPROXY else []
    return [programs.MINIO, *toxiproxy] if _is_minio(item) else toxiproxy


def _is_minio(item: pytest.Item) -> bool:
    return item.get_closest_marker("minio") is not None
