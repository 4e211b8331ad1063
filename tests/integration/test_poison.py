"""Jobs that end every child which works on them: counted, tried with less, given up, and the partition moves on."""

from __future__ import annotations

import contextlib
import os
import signal
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
    from support.background import BackgroundLoop

ATTEMPTS = 2
MEMORY_BYTES = 700 << 20
"""A warm child takes some 430 MiB of it."""
SETTINGS = {
    "MISTUDIO_JOB__MAX_ATTEMPTS": str(ATTEMPTS),
    "MISTUDIO_JOB__DEADLINE_S": "15",
    "MISTUDIO_ANALYSIS__MEMORY_BYTES": str(MEMORY_BYTES),
    "MISTUDIO_JOB__PROGRESS_INTERVAL_S": "0.05",
}
LONG_TEXT = "river boat water " * 600


@pytest.fixture(scope="module")
def own_place(stack: EmbeddedStack, background: BackgroundLoop) -> Iterator[Place]:
    """One partition, so that what stands behind a poisoned record has to wait for its end."""
    with (
        contextlib.closing(Services(stack.environment(), name=f"x{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background, partitions=1)) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def mortal(stack: EmbeddedStack, own_place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker with little memory and a short deadline."""
    environment = {**own_place.environment, **SETTINGS}
    with Worker(environment, tmp_path_factory.mktemp("mortal") / "worker", stack.running_keeper()) as started:
        started.wait_ready()
        yield started
        assert started.stop() == 0


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        ("CHILD_OUT_OF_MEMORY", None),
        ("CHILD_KILLED", signal.SIGSEGV),
        pytest.param("CHILD_TIMEOUT", signal.SIGSTOP, marks=pytest.mark.chaos),
    ],
)
def test_a_job_that_ends_every_child(
    own_place: Place, mortal: Worker, tmp_path: Path, code: str, sent: signal.Signals | None
) -> None:
    """Out of memory, hung, or its interpreter crashed: given up after the attempts, and the next record is done."""
    texts = [f"{number} {LONG_TEXT}" for number in range(20_000)] if sent is None else None
    write_run(tmp_path / "poison", texts=texts, n_texts=20_000, n_features=16 if texts else 320, d=16)
    write_run(tmp_path / "good", n_texts=60)
    bad, good = (
        own_place.put_run(tmp_path / name, job=f"train_{uuid.uuid4().hex[:12]}") for name in ("poison", "good")
    )
    before = len(mortal.said("attempt failed"))
    record = own_place.announce(bad)
    own_place.announce(good)
    if sent is not None:
        for attempt in range(1, ATTEMPTS + 1):
            wait_until_analysing(own_place, bad, attempt)
            os.kill(wait_for(mortal.child, "the worker's child"), sent)
    letter = own_place.wait_for_letter(record, within_s=180)
    assert (letter.header("error-code"), letter.header("attempt")) == ("ATTEMPTS_EXHAUSTED", str(ATTEMPTS))
    assert code in (letter.header("error-message") or "")
    failed = mortal.said("attempt failed")[before:]
    assert [(line["code"], line["attempt"]) for line in failed] == [(code, n) for n in range(1, ATTEMPTS + 1)]
    assert [line["memory_bytes"] for line in failed] == [MEMORY_BYTES // 2 >> n for n in range(ATTEMPTS)]
    assert own_place.wait_for_result(good).data["status"] == "completed"
    own_place.wait_until_committed()


def wait_until_analysing(place: Place, job: str, attempt: int) -> None:
    """Wait until the child works on an attempt."""

    def told() -> bool | None:
        events = [seen.data for seen in place.records(place.topics.find_progress, job)]
        return any(e["attempt"] == attempt and e["step"] != "fetch" for e in events) or None

    wait_for(told, f"attempt {attempt} at {job}", within_s=120)
