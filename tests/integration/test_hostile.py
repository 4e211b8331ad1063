"""Every kind of hostile run and record through one worker: each has its outcome, and the partition moves on."""

from __future__ import annotations

import contextlib
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.hostile.catalogue import HOSTILE_RUNS
from support.hostile.events import HOSTILE_EVENTS, JOB
from support.hostile.kind import CANARY
from support.runs import write_run
from support.services import Services
from support.workers import Place, Worker, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.stack import EmbeddedStack
    from support.background import BackgroundLoop
    from support.workers import Seen

GIB = 1 << 30
ALL_WITHIN_S = 240.0
"""A quiet machine takes half a minute."""
RUNS = {name: kind for name, kind in HOSTILE_RUNS.items() if not kind.on_disk_only}


@pytest.fixture(scope="module")
def place(stack: EmbeddedStack, background: BackgroundLoop) -> Iterator[Place]:
    """One partition: what blocks it blocks all."""
    with (
        contextlib.closing(Services(stack.environment(), name=f"h{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background, partitions=1)) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def worker(stack: EmbeddedStack, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker whose child may hold 2 GiB, and that waits for nothing."""
    environment = {
        **place.environment,
        "MISTUDIO_JOB__ARTIFACT_WAIT_S": "0",
        "MISTUDIO_ANALYSIS__MEMORY_BYTES": str(2 * GIB),
        "MISTUDIO_ANALYSIS__THREADS": "1",
    }
    with Worker(environment, tmp_path_factory.mktemp("hostile") / "worker", stack.running_keeper()) as started:
        started.wait_ready()
        yield started
        assert started.stop() == 0


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch, of the tensors that are made to be refused
def test_every_hostile_run_has_its_outcome(place: Place, worker: Worker, tmp_path: Path) -> None:
    """Dead letter with the code or a result with the gaps; no child dies, nothing is executed, nothing is left."""
    child, sent = worker.child(), {}
    for name, kind in RUNS.items():
        kind.write(tmp_path / name)
        place.put_run(tmp_path / name, job=job_of(name))
        sent[name] = place.announce(job_of(name))
    place.wait_until_committed(ALL_WITHIN_S)
    found = {name: outcome(place, record, job_of(name)) for name, record in sent.items()}
    assert {name: codes for name, codes in found.items() if not codes & set(RUNS[name].codes)} == {}
    assert worker.said("attempt failed") == []
    assert worker.child() == child
    assert not list(tmp_path.rglob(CANARY))
    assert not list(worker.work_dir.iterdir())
    assert place.keys("attempts/") == []
    assert peak_of(worker) < GIB


def test_every_hostile_record_has_its_outcome(place: Place, worker: Worker, tmp_path: Path) -> None:
    """Dead letter with the original bytes and the code, or the result of the job that the record names."""
    write_run(tmp_path, n_texts=40)
    place.put_run(tmp_path, job=JOB)
    sent = {name: place.publish(kind.value, headers=kind.headers) for name, kind in HOSTILE_EVENTS.items()}
    place.wait_until_committed(ALL_WITHIN_S)
    found = {name: outcome(place, record, JOB) for name, record in sent.items()}
    assert {name: codes for name, codes in found.items() if not codes & set(HOSTILE_EVENTS[name].codes)} == {}
    assert worker.running
    assert peak_of(worker) < GIB


def job_of(name: str) -> str:
    """The job id under which a kind is uploaded."""
    return f"hostile-{name}"


def outcome(place: Place, record: Seen, job: str) -> set[str]:
    """Codes of a record's dead letter; else `completed` and the codes of its job's gaps."""

    def look() -> set[str] | None:
        if (letter := place.letter_of(record)) is not None:
            return {letter.header("error-code") or ""}
        complete = next(iter(place.records(place.topics.find_complete, job)), None)
        if complete is None:
            return None
        return {complete.data["status"], *(reason["code"] for reason in complete.data["reasons"])}

    return wait_for(look, f"an outcome of {record.value!r:.80}")


def peak_of(worker: Worker) -> int:
    """The most memory that the worker's own process has held."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text(encoding="ascii", errors="replace")
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return 1024 * int(peak)
