"""Workers that are told to end: nothing is lost, nothing is committed early, and others go on within seconds."""

from __future__ import annotations

import contextlib
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from support.gated_crew import SESSION_S, GatedCrew
from support.services import Services
from support.workers import Place, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from embedded.stack import EmbeddedStack
    from support.background import BackgroundLoop

GRACE_S = 120
SOON_S = 20.0
"""Far less than the grace, and enough for a busy machine."""


@pytest.fixture
def crew(stack: EmbeddedStack, background: BackgroundLoop, tmp_path: Path) -> Iterator[GatedCrew]:
    """A group of this test alone; nobody works yet."""
    with (
        contextlib.closing(Services(stack.environment(), name=f"d{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background)) as place,
        GatedCrew(place, stack.running_keeper(), tmp_path) as made,
    ):
        yield made


@pytest.mark.parametrize(("way", "within_s"), [("SIGTERM", SOON_S), ("SIGKILL", SESSION_S + SOON_S)])
def test_another_worker_takes_over(
    crew: GatedCrew, way: str, within_s: float, record_property: Callable[[str, object], None]
) -> None:
    """One that leaves says so, and its job begins elsewhere at once; one that is killed is missed after its session."""
    place, leaves = crew.place, crew.ready(JOB__GRACE_S=0)
    job = crew.put_job(is_held=True)
    place.announce(job, partition=0)
    crew.wait_for_attempt(job, 1)
    other = crew.ready()
    wait_for(lambda: len(leaves.said("partitions assigned")) == 2 or None, "both to have their partitions")
    begun_s = time.monotonic()
    if way == "SIGTERM":
        assert leaves.stop() == 0
    else:
        leaves.kill()
    crew.wait_for_attempt(job, 2)
    took_s = time.monotonic() - begun_s
    record_property("took_over_after_s", round(took_s, 2))
    assert took_s < within_s
    assert other.busy
    crew.release(job)
    place.wait_for_result(job)
    crew.check_one_result_each([job])


def test_a_job_may_end_within_the_grace(crew: GatedCrew) -> None:
    """After SIGTERM the running job is finished and committed; the record behind it is left to others."""
    place, worker = crew.place, crew.ready(JOB__GRACE_S=GRACE_S)
    jobs = [crew.put_job(is_held=True), crew.put_job()]
    for job in jobs:
        place.announce(job, partition=0)
    crew.wait_for_attempt(jobs[0], 1)
    worker.process.terminate()
    wait_for(lambda: worker.said("draining") or None, "the worker to drain")
    crew.release(jobs[0])
    assert worker.process.wait(SOON_S) == 0
    assert [(line["job"], line["outcome"]) for line in worker.said("job")] == [(jobs[0], "completed")]
    assert crew.committed() == {0: 1}
    place.wait_for_result(jobs[0])
    assert place.records(place.topics.find_complete, jobs[1]) == []


def test_waiting_for_artifacts_is_given_up_at_once(crew: GatedCrew) -> None:
    """There is nothing to finish: the record goes back without the grace, uncommitted, and another one waits on."""
    place, worker = crew.place, crew.ready(JOB__GRACE_S=GRACE_S, JOB__ARTIFACT_WAIT_S=GRACE_S)
    job = f"train_{uuid.uuid4().hex[:12]}"
    place.announce(job, partition=0)
    wait_for(lambda: worker.said("artifacts awaited") or None, "the worker to wait")
    assert worker.stop(SOON_S) == 0
    assert [line["outcome"] for line in crew.lines(job)] == ["given back"]
    assert (crew.committed(), place.keys("attempts/")) == ({}, [])
    assert place.records(place.topics.dead_letter) == []


def test_a_worker_without_a_broker_can_be_ended(crew: GatedCrew) -> None:
    """One that waits for its broker to come ends as soon as it is told to."""
    worker = crew.start(KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1", JOB__GRACE_S=GRACE_S)
    wait_for(lambda: worker.said("service away") or None, "the worker to miss its broker")
    assert worker.stop(SOON_S) == 0
    assert worker.said("worker stopped")
