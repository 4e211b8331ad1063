"""Worker or child is killed at every step, before, in the middle and after: nothing is lost, nothing is done twice."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.crash_field import MEMBERS, PARTITIONS, Crew, Field
from support.crash_points import MATRIX, Kill, sample
from support.services import Services
from support.watchful_reader import WatchfulReader
from support.workers import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.stack import EmbeddedStack
    from embedded.toxiproxy import Proxies
    from support.background import BackgroundLoop

SEED = int(os.environ.get("CRASH_SEED", datetime.now(UTC).toordinal()))
SAMPLE = sample(SEED, workers=6, children=6)


@pytest.fixture(scope="module")
def field(
    crash_stack: EmbeddedStack,
    crash_proxies: Proxies,
    background: BackgroundLoop,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Field]:
    """One group of workers for all cases, on a real Kafka and a real MinIO."""
    directory = tmp_path_factory.mktemp("crash")
    with (
        contextlib.closing(Services(crash_stack.environment(), name=f"c{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background, partitions=PARTITIONS)) as place,
        WatchfulReader(place) as reader,
        Crew(place, crash_proxies, crash_stack.running_keeper(), directory) as crew,
    ):
        yield Field(place, crash_proxies, crew, reader, directory)
        assert {worker.stop() for worker in crew.running} == {0}
        assert len(list(crew.work_dir.iterdir())) <= MEMBERS, "what the dead leave on disk piles up"


def survive(field: Field, kill: Kill) -> None:
    """Run one case; tell what became of it to who asked for a report, and what the workers said where it failed."""
    begun_s, survived = time.monotonic(), False
    try:
        field.survive(kill)
        survived = True
    except AssertionError as error:
        error.add_note(field.crew.logs())
        raise
    finally:
        if report := os.environ.get("CRASH_REPORT"):
            line = {"kill": kill.name, "survived": survived, "took_s": round(time.monotonic() - begun_s, 1)}
            with Path(report).open("a") as file:
                file.write(json.dumps(line) + "\n")


@pytest.mark.parametrize("kill", SAMPLE, ids=lambda kill: kill.name)
def test_a_sample_of_the_kills_is_survived(field: Field, kill: Kill) -> None:
    """Another sample each day; CRASH_SEED chooses it."""
    survive(field, kill)


@pytest.mark.chaos
@pytest.mark.parametrize("kill", MATRIX, ids=lambda kill: kill.name)
def test_every_kill_is_survived(field: Field, kill: Kill) -> None:
    """The whole matrix: `make chaos`."""
    survive(field, kill)
