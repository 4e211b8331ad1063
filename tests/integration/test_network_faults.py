"""The network between worker, broker and store fails in every way that TCP knows, amid a job; so does the disk.

One worker goes through all of it. Each time: it says that a service is away (where it is), takes nothing new, counts no
attempt, dead-letters nothing, and goes on by itself when the network is well again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from support.runs import write_run
from support.services import Services
from support.workers import Place, Worker, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded.stack import EmbeddedStack
    from embedded.toxiproxy import Proxies, Proxy
    from support.background import BackgroundLoop

GRACE_S = 1.0
DISK_BYTES = 32 << 20
LIMITS = {
    "MISTUDIO_STORE__CONNECT_TIMEOUT_S": "1",
    "MISTUDIO_STORE__READ_TIMEOUT_S": "1.5",
    "MISTUDIO_STORE__CALL_TIMEOUT_S": "8",
    "MISTUDIO_KAFKA__PUBLISH_TIMEOUT_S": "1.5",
    "MISTUDIO_KAFKA__COMMIT_TIMEOUT_S": "1.5",
    "MISTUDIO_KAFKA__STOP_TIMEOUT_S": "1",
    "MISTUDIO_KAFKA__REBALANCE_TIMEOUT_MS": "2000",
    "MISTUDIO_KAFKA__REQUEST_TIMEOUT_MS": "3000",
    "MISTUDIO_KAFKA__SESSION_TIMEOUT_MS": "60000",
    "MISTUDIO_JOB__RETRY_WAIT_MAX_S": "0.5",
    "MISTUDIO_JOB__RELEASE_TIMEOUT_S": "1",
    "MISTUDIO_JOB__GRACE_S": str(GRACE_S),
}
SLOW = ("latency", "bandwidth")
AWAY = ("cut", "reset", "half-open", "requests lost", "answers lost")
_numbers = itertools.count()


@pytest.fixture(scope="module")
def far_place(stack: EmbeddedStack, background: BackgroundLoop) -> Iterator[Place]:
    """Topics and buckets of the worker, which the test itself reaches without the proxies."""
    with (
        contextlib.closing(Services(stack.environment(), name=f"n{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background)) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def far_worker(
    far_place: Place, proxies: Proxies, stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """A worker that is led through the proxies, with short limits."""
    environment = {**far_place.environment, **proxies.environment(), **LIMITS}
    worker = Worker(environment, tmp_path_factory.mktemp("far") / "worker", stack.running_keeper())
    with small_disk(worker.work_dir), worker:
        worker.wait_ready()
        yield worker


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that takes a second to be analysed, and a small one."""
    folder = tmp_path_factory.mktemp("runs")
    return write_run(folder / "long", n_texts=8_000, n_features=64, d=32).root, write_run(folder / "small").root


@pytest.fixture(autouse=True)
def healed(proxies: Proxies) -> Iterator[None]:
    """The network is well after each test."""
    yield
    proxies.heal()


@pytest.mark.parametrize("fault", [*SLOW, *AWAY, "limit"])
def test_the_way_to_the_store(
    far_worker: Worker, far_place: Place, proxies: Proxies, runs: tuple[Path, Path], fault: str
) -> None:
    """The fetch or the upload of the running job meets the fault, and so does the next job."""
    outlast(proxies.store, fault, far_worker, far_place, runs)


@pytest.mark.parametrize("fault", [*SLOW, *AWAY])
def test_the_way_to_the_broker(
    far_worker: Worker, far_place: Place, proxies: Proxies, runs: tuple[Path, Path], fault: str
) -> None:
    """The running job is finished and cannot say so; the next one cannot be heard of."""
    outlast(proxies.broker, fault, far_worker, far_place, runs)


def test_the_disk_of_the_worker(far_worker: Worker, far_place: Place, runs: tuple[Path, Path]) -> None:
    """A disk without room for the artifacts, and then for the exports, is waited for; with room again all goes on."""
    if not far_worker.work_dir.is_mount():
        pytest.skip("needs to mount a small file system: run it as root")
    begun, ballast = len(far_worker.said("service away")), far_worker.work_dir / "ballast"
    job = far_place.put_run(runs[1], job=f"train_20260102_030405_{next(_numbers):03d}d")
    fill(ballast, room_bytes=20_000)
    far_place.announce(job)
    wait_for(lambda: len(far_worker.said("service away")) > begun or None, "the worker to say it")
    assert far_worker.said("service away")[-1]["code"] == "DISK_FULL"
    assert not [key for key in far_place.keys("attempts/") if key.endswith("released")]
    fill(ballast, room_bytes=300_000)
    wait_for(lambda: [k for k in far_place.keys("attempts/") if k.endswith("released")] or None, "full at the exports")
    assert not far_place.records(far_place.topics.find_complete, job)
    ballast.unlink()
    find_job = far_place.wait_for_result(job).data["find_job_id"]
    far_place.wait_until_committed()
    assert far_place.manifest(find_job)["attempt"] > 1
    assert not far_place.records(far_place.topics.dead_letter)
    wait_for(lambda: not far_place.keys("attempts/") or None, "the count of attempts to be removed")


def test_a_drain_while_nothing_answers(
    far_worker: Worker, far_place: Place, proxies: Proxies, runs: tuple[Path, Path]
) -> None:
    """SIGTERM ends the worker soon after the grace, though broker and store are half-open; nothing is committed."""
    begin(far_worker, far_place, runs)
    proxies.store.inject("half-open")
    proxies.broker.inject("half-open")
    wait_for(lambda: far_worker.said("service away") or None, "the worker to say it")
    begun_s = time.monotonic()
    assert far_worker.stop(within_s=60) == 0
    assert time.monotonic() - begun_s < GRACE_S + 10
    assert far_place.lag() == 1
    assert not any(far_worker.work_dir.iterdir())


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Put a file system of its own there, where this user may; it is gone after the block."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
    mounted = os.getuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(ballast: Path, *, room_bytes: int) -> None:
    """Leave so much room on a disk."""
    ballast.unlink(missing_ok=True)
    free_bytes = shutil.disk_usage(ballast.parent).free
    ballast.write_bytes(bytes(free_bytes - room_bytes))


def outlast(proxy: Proxy, fault: str, worker: Worker, place: Place, runs: tuple[Path, Path]) -> None:
    """Let a way fail amid one job and before another; both are done when it is well again."""
    running, next_one = begin(worker, place, runs)
    begun = len(worker.said("service away"))
    proxy.inject(fault)
    place.announce(next_one)
    if fault in AWAY:
        wait_for(lambda: len(worker.said("service away")) > begun or None, "the worker to say it")
        assert not place.records(place.topics.find_complete, next_one)
        proxy.heal()
    end_well(place, running, next_one)


def begin(worker: Worker, place: Place, runs: tuple[Path, Path]) -> tuple[str, str]:
    """Start a job that takes a while; return it, and the name of one that is there and not announced."""
    number = next(_numbers)
    long, small = (f"train_20260102_030405_{number:03d}{kind}" for kind in "ab")
    place.put_run(runs[0], job=long)
    place.put_run(runs[1], job=small)
    place.announce(long)
    wait_for(lambda: worker.busy or None, "the job to begin")
    return long, small


def end_well(place: Place, *jobs: str) -> None:
    """Each job has one result at its first attempt, told under one id; all is committed, nothing is left."""
    events = {job: place.wait_for_result(job).data for job in jobs}
    place.wait_until_committed()
    assert [place.manifest(event["find_job_id"])["attempt"] for event in events.values()] == [1, 1]
    for job, event in events.items():
        told = {seen.header("ce_id") for seen in place.records(place.topics.find_complete, job)}
        assert told == {event["find_job_id"]}
    assert not place.records(place.topics.dead_letter)
    wait_for(lambda: not place.keys("attempts/") or None, "the count of attempts to be removed")
    for event in events.values():
        named = {event["manifest_key"], *(export["key"] for export in event["exports"])}
        assert set(place.keys(f"find/{event['find_job_id']}/")) == named
