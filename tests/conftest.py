"""What every test may ask for: the running stack, and names that no other test uses."""

from __future__ import annotations

import contextlib
import os
import uuid
from typing import TYPE_CHECKING

import pytest
from embedded import preflight, programs
from embedded.stack import EmbeddedStack
from support.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack() -> Iterator[EmbeddedStack]:
    """The broker and the store that all integration tests share: started once a run, or running already."""
    with EmbeddedStack() as running:
        yield running


@pytest.fixture(scope="session")
def minio_stack() -> Iterator[EmbeddedStack]:
    """MinIO itself, without a broker. Built from source the first time."""
    with EmbeddedStack(store="minio", broker=False) as running:
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


def unique_name() -> str:
    """A name that topics, buckets and consumer groups may have."""
    return f"t{uuid.uuid4().hex[:12]}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what asks for the stack, and run it last: a wrong unit shows before a broker is started."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if names & {"stack", "services", "minio_stack", "minio_store"}:
            item.add_marker(pytest.mark.integration)
        if names & {"minio_stack", "minio_store"}:
            item.add_marker(pytest.mark.minio)
    items.sort(key=lambda item: (item.get_closest_marker("integration") is not None, _is_minio(item)))
    if not _minio_wanted():
        config.hook.pytest_deselected(items=[item for item in items if _is_minio(item)])
        items[:] = [item for item in items if not _is_minio(item)]


def _is_minio(item: pytest.Item) -> bool:
    return item.get_closest_marker("minio") is not None


def _minio_wanted() -> bool:
    """MinIO is built with Go: left out where there is none, except in CI, where its absence is an error."""
    built = (programs.cache_directory() / f"minio-{programs.MINIO_VERSION}").is_dir()
    return built or bool(os.environ.get("CI")) or preflight.problem("go") is None
