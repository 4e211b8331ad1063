"""What a worker's pages say of it: in the middle of a job, in outages, and when its consumer stands still."""

from __future__ import annotations

import contextlib
import statistics
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import stuck_worker
from support.pages import Pages
from support.runs import write_run
from support.services import Services
from support.workers import Place, Worker, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.stack import EmbeddedStack
    from embedded.toxiproxy import Proxies
    from support.background import BackgroundLoop

IMPATIENT = {
    "MISTUDIO_HTTP__PROBE_INTERVAL_S": "0.5",
    "MISTUDIO_STORE__CONNECT_TIMEOUT_S": "1",
    "MISTUDIO_STORE__READ_TIMEOUT_S": "2",
    "MISTUDIO_KAFKA__COMMIT_TIMEOUT_S": "3",
}


@pytest.fixture(scope="module")
def far_place(stack: EmbeddedStack, background: BackgroundLoop) -> Iterator[Place]:
    """Topics and buckets that the tests reach without a proxy."""
    with (
        contextlib.closing(Services(stack.environment(), name=f"h{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background)) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def far_worker(
    far_place: Place, proxies: Proxies, stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """A worker that is led through the proxies."""
    environment = {**far_place.environment, **proxies.environment(), **IMPATIENT}
    with Worker(environment, tmp_path_factory.mktemp("far") / "worker", stack.running_keeper()) as started:
        started.wait_ready()
        yield started
    proxies.heal()


def test_a_worker_that_works_is_live_and_ready(worker: Worker, place: Place, tmp_path: Path) -> None:
    """Its pages are answered all the while a job runs, and tell of the job."""
    pages = Pages(worker)
    pages.wait_for_statuses(200, 200)
    write_run(tmp_path / "run", n_texts=20_000, n_features=64, d=64)
    job = place.put_run(tmp_path / "run", job=f"train_{uuid.uuid4().hex[:12]}")
    place.announce(job)

    def busy() -> dict[str, object] | None:
        content = pages.get("/health").content
        return content if content["checks"]["child_0"]["value"]["busy"] else None

    found = wait_for(busy, "a busy child")
    assert found["live"] is found["ready"] is True
    assert [shown["job"] for shown in found["jobs"]] == [job]  # type: ignore[attr-defined]
    assert [shown["step"] for shown in found["jobs"]] == ["analyze"]  # type: ignore[attr-defined]
    elapsed_s = [pages.get("/health").elapsed_s for _ in range(50)]
    assert statistics.median(elapsed_s) < 1.0, elapsed_s  # `make bench` measures it; this only finds a page that hangs
    place.wait_for_result(job)
    counted = pages.get("/metrics").text
    assert "mistudio_attempts_total" in counted
    assert "mistudio_live 1.0" in counted
    after = wait_for(lambda: None if (c := pages.get("/health").content)["jobs"] else c, "the job's end")
    assert after["checks"]["last_commit"]["age_s"] >= 0
    assert after["checks"]["assignment"]["value"]["partitions"] == [0, 1, 2]


@pytest.mark.parametrize("service", ["store", "broker"])
def test_an_outage_makes_unready_and_passes(far_worker: Worker, proxies: Proxies, service: str) -> None:
    """An orchestrator sends no traffic and kills nothing; it ends by itself."""
    pages = Pages(far_worker)
    pages.wait_for_statuses(200, 200)
    getattr(proxies, service).inject("cut")
    pages.wait_for_statuses(200, 503)
    assert service in pages.get("/ready").text
    assert pages.get("/health").content["status"] == "unready"
    proxies.heal()
    pages.wait_for_statuses(200, 200)


def test_a_worker_that_waits_for_its_store_is_live(
    far_place: Place, proxies: Proxies, stack: EmbeddedStack, tmp_path: Path
) -> None:
    """At its start, too: a restart would begin the same wait again."""
    proxies.store.inject("cut")
    environment = {**far_place.environment, **proxies.environment(), **IMPATIENT}
    with Worker(environment, tmp_path / "worker", stack.running_keeper()) as worker:
        pages = Pages(worker)
        wait_for(lambda: worker.said("service away") or None, "the store to be missed", 120)
        assert pages.statuses() == (200, 503)
        proxies.heal()
        pages.wait_for_statuses(200, 200)
        assert worker.stop() == 0


def test_a_consumer_that_stands_still_is_not_live(place: Place, stack: EmbeddedStack, tmp_path: Path) -> None:
    """The one thing that a restart helps."""
    limits = {
        "MISTUDIO_KAFKA__MAX_POLL_INTERVAL_MS": "1000",
        "MISTUDIO_KAFKA__COMMIT_TIMEOUT_S": "1",
        "MISTUDIO_KAFKA__GROUP_ID": place.services.unique_name("group"),
    }
    command = (sys.executable, str(Path(stuck_worker.__file__)))
    environment = {**place.environment, **limits}
    with Worker(environment, tmp_path / "worker", stack.running_keeper(), command=command) as worker:
        worker.wait_ready()
        place.publish(b"a record to stand still at")
        pages = Pages(worker)
        pages.wait_for_statuses(503, 503)
        assert pages.get("/live").text == "failed: poll_loop\n"
        assert pages.get("/health").content["status"] == "stuck"
