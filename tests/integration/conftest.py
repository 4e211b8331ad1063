"""Workers for the tests of the whole. One is shared, since each takes some ten seconds to be warm."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.background import BackgroundLoop
from support.services import Services
from support.workers import Place, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.stack import EmbeddedStack

MAX_ATTEMPTS = 2
ARTIFACT_WAIT_S = 2.0


@pytest.fixture(scope="session")
def background() -> Iterator[BackgroundLoop]:
    """Where the Kafka clients of all places live."""
    with BackgroundLoop() as loop:
        yield loop


@pytest.fixture(scope="session")
def example_run() -> Path:
    """The run that lies in the repository."""
    return Path(__file__).parents[2] / "examples" / "run"


@pytest.fixture(scope="session")
def place(stack: EmbeddedStack, background: BackgroundLoop) -> Iterator[Place]:
    """Topics and buckets of the shared worker."""
    with (
        contextlib.closing(Services(stack.environment(), name=f"p{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background)) as made,
    ):
        yield made


@pytest.fixture(scope="session")
def worker(stack: EmbeddedStack, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The shared worker: it has little patience with absent artifacts, and ends a job after few failures."""
    environment = {
        **place.environment,
        "MISTUDIO_JOB__ARTIFACT_WAIT_S": str(ARTIFACT_WAIT_S),
        "MISTUDIO_JOB__MAX_ATTEMPTS": str(MAX_ATTEMPTS),
        "MISTUDIO_JOB__PROGRESS_INTERVAL_S": "0.05",
    }
    with Worker(environment, tmp_path_factory.mktemp("shared") / "worker", stack.running_keeper()) as started:
        started.wait_ready()
        yield started
        assert started.stop() == 0
