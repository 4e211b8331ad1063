"""MinIO itself as the store: one job from the event to the exports."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from typing import TYPE_CHECKING

import pytest
from support.runs import write_run
from support.services import Services
from support.workers import Place, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded.stack import EmbeddedStack
    from support.background import BackgroundLoop


@pytest.fixture
def minio_place(stack: EmbeddedStack, minio_stack: EmbeddedStack, background: BackgroundLoop) -> Iterator[Place]:
    """Topics of the shared broker, buckets of MinIO."""
    environment = stack.environment() | minio_stack.environment()
    with (
        contextlib.closing(Services(environment, name=f"m{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background)) as place,
    ):
        yield place


@pytest.mark.minio
def test_a_job_with_minio_as_the_store(minio_place: Place, minio_stack: EmbeddedStack, tmp_path: Path) -> None:
    """The manifest is complete, a second event changes nothing, and lost objects are made again."""
    place = minio_place
    run = write_run(tmp_path / "run")
    with Worker(place.environment, tmp_path / "worker", minio_stack.running_keeper()) as worker:
        worker.wait_ready()
        job = place.put_run(run.root)
        place.announce(job)
        event = place.wait_for_result(job).data
        raw = place.get(event["manifest_key"])
        assert hashlib.sha256(raw).hexdigest() == event["manifest_sha256"]
        objects = {key: place.get(key) for key in place.keys("find/") if key != event["manifest_key"]}
        assert {key: hashlib.sha256(content).hexdigest() for key, content in objects.items()} == {
            export["key"]: export["sha256"] for export in place.manifest(event["find_job_id"])["exports"]
        }
        lost = event["exports"][0]["key"]
        place.store.remove_object(place.results, lost)
        place.announce(job)
        again = place.wait_for_records(place.topics.find_complete, job, count=2)
        assert again[0].value == again[1].value
        assert place.get(lost) == objects[lost]
        assert place.get(event["manifest_key"]) == raw
        place.wait_until_committed()
        assert place.keys("attempts/") == []
        assert worker.stop() == 0
