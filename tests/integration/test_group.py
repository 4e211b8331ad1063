"""Several workers of one group: they join, leave and die in the middle, and every job has one result."""

from __future__ import annotations

import contextlib
import os
import signal
import uuid
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.runs import write_run
from support.services import Services
from support.workers import READY_WITHIN_S, Place, Worker, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.stack import EmbeddedStack
    from support.background import BackgroundLoop

PARTITIONS = 4
JOBS = 12
AT_ONCE_S = 5.0
# A worker that died is missed after the session timeout.
SESSION = {"MISTUDIO_KAFKA__SESSION_TIMEOUT_MS": "6000", "MISTUDIO_KAFKA__HEARTBEAT_INTERVAL_MS": "1000"}


class Crew:
    """The workers of one group.

    Args:
        place: Where they work.
        stack: Ends them should the tests be killed.
        directory: For their logs.
    """

    def __init__(self, place: Place, stack: EmbeddedStack, directory: Path) -> None:
        self.place = place
        self.workers: list[Worker] = []
        self._stack, self._directory, self._exits = stack, directory, ExitStack()

    def __enter__(self) -> Crew:
        """Nobody works yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End those that still run."""
        self._exits.close()

    def start(self, *, grace_s: float = 30) -> Worker:
        """Start one more; it is not ready yet."""
        environment = {**self.place.environment, **SESSION, "MISTUDIO_JOB__GRACE_S": str(grace_s)}
        worker = Worker(environment, self._directory / f"worker{len(self.workers)}", self._stack.running_keeper())
        self.workers.append(self._exits.enter_context(worker))
        return worker

    def ensure(self, count: int) -> list[Worker]:
        """Have at least so many running and ready."""
        while len(self.running) < count:
            self.start()
        for worker in self.running:
            worker.wait_ready()
        return self.running

    @property
    def running(self) -> list[Worker]:
        """Those that were started and have not ended."""
        return [worker for worker in self.workers if worker.running]

    def busy(self) -> Worker | None:
        """One that works on a job now."""
        return next((worker for worker in self.running if worker.busy), None)

    def outcomes(self) -> Counter[tuple[str, str]]:
        """How often each job ended in which way, by the logs of all."""
        lines = [line for worker in self.workers for line in worker.said("job")]
        return Counter((line["job"], line["outcome"]) for line in lines)


@pytest.fixture(scope="module")
def crew(stack: EmbeddedStack, background: BackgroundLoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """A group on four partitions; nobody works yet."""
    with (
        contextlib.closing(Services(stack.environment(), name=f"g{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background, partitions=PARTITIONS)) as place,
        Crew(place, stack, tmp_path_factory.mktemp("crew")) as made,
    ):
        yield made


def check_one_result_each(place: Place, jobs: list[str]) -> None:
    """One manifest and one find-complete identity a job; nothing failed, nothing is left uncommitted."""
    place.wait_until_committed()
    complete = {job: place.records(place.topics.find_complete, job) for job in jobs}
    identities = {job: {(seen.header("ce_id"), seen.value) for seen in found} for job, found in complete.items()}
    assert {job: len(found) for job, found in identities.items()} == dict.fromkeys(jobs, 1)
    assert len({event_id for found in identities.values() for event_id, _ in found}) == len(jobs)
    for job in jobs:
        event = complete[job][0].data
        manifest = place.manifest(event["find_job_id"])
        assert manifest["source_job_id"] == job
        assert {export["key"] for export in manifest["exports"]} <= set(place.keys(f"find/{event['find_job_id']}/"))
        assert place.records(place.topics.find_failed, job) == []
    assert place.keys("attempts/") == []


def put_jobs(place: Place, root: Path, count: int, *, n_texts: int) -> list[str]:
    """Upload runs that differ, and return their training job ids."""
    jobs = [f"train_{uuid.uuid4().hex[:12]}" for _ in range(count)]
    for number, job in enumerate(jobs):
        write_run(root / job, job_id=job, n_texts=n_texts, n_features=48, seed=number)
        place.put_run(root / job)
    return jobs


def test_joining_and_leaving_in_the_middle_loses_nothing(crew: Crew, tmp_path: Path) -> None:
    """Two workers, a third joins, the first gets SIGTERM while it works: twelve jobs, twelve results."""
    place = crew.place
    jobs = put_jobs(place, tmp_path, JOBS, n_texts=10_000)
    first, _ = crew.ensure(2)
    third = crew.start()
    wait_for(lambda: third.said("worker ready") or None, "the third worker to be about to join", READY_WITHIN_S)
    for number, job in enumerate(jobs):
        place.announce(job, partition=number % PARTITIONS)
    third.wait_ready()
    wait_for(lambda: first.busy or None, "the first worker to be busy")
    done = len(place.records(place.topics.find_complete))
    assert first.stop() == 0
    assert done < JOBS - 2, f"{done} jobs were done already when the worker was told to leave"
    for job in jobs:
        place.wait_for_result(job)
    check_one_result_each(place, jobs)
    assert {(job, outcome): n for (job, outcome), n in crew.outcomes().items() if outcome == "dead-lettered"} == {}
    assert len([worker for worker in crew.workers if worker.said("job")]) == 3
    repeated = len(place.records(place.topics.find_complete)) - JOBS
    assert repeated <= 2, f"{repeated} find-complete were published again"


def test_a_worker_killed_in_the_middle_of_a_job_is_replaced(crew: Crew, tmp_path: Path) -> None:
    """SIGKILL while it computes: its child dies with it, another worker does the job, once."""
    place = crew.place
    (job,) = put_jobs(place, tmp_path, 1, n_texts=30_000)
    crew.ensure(2)
    place.announce(job)
    worker = wait_for(crew.busy, "a worker to be busy")
    place.wait_for_records(place.topics.find_progress, job)
    worker.kill()
    assert place.records(place.topics.find_complete, job) == []
    complete = place.wait_for_result(job)
    assert place.manifest(complete.data["find_job_id"])["attempt"] == 2
    check_one_result_each(place, [job])


def test_two_workers_with_the_same_job_make_one_result(crew: Crew, tmp_path: Path) -> None:
    """One run, announced in all partitions at once and analysed side by side: one manifest, one identity."""
    place = crew.place
    (job,) = put_jobs(place, tmp_path, 1, n_texts=12_000)
    crew.ensure(2)
    for partition in range(PARTITIONS):
        place.announce(job, partition=partition)
    place.wait_for_records(place.topics.find_complete, job, count=PARTITIONS)
    check_one_result_each(place, [job])
    (find_job,) = {seen.header("ce_id") for seen in place.records(place.topics.find_complete, job)}
    prefixes = {key.split("/")[2] for key in place.keys(f"find/{find_job}/")}
    assert len(prefixes) == 2, f"beside the manifest one data prefix is left, not {sorted(prefixes)}"
    lines = [line for worker in crew.workers for line in worker.said("job") if line["job"] == job]
    assert len(lines) == PARTITIONS
    assert len([line for line in lines if line["attempt"]]) >= 2, "nobody raced"


def test_a_second_signal_ends_at_once(crew: Crew, tmp_path: Path) -> None:
    """SIGTERM twice in the middle of a job: gone with its child, nothing is told or committed, another one does it."""
    place = crew.place
    (job,) = put_jobs(place, tmp_path, 1, n_texts=30_000)
    crew.ensure(2)
    place.announce(job)
    worker = wait_for(crew.busy, "a worker to be busy")
    place.wait_for_records(place.topics.find_progress, job)
    child = wait_for(worker.child, "the worker's child")
    lag = place.lag()
    worker.process.terminate()
    wait_for(lambda: worker.said("draining, a second signal ends at once") or None, "the first signal to be heard")
    worker.process.terminate()
    assert worker.process.wait(AT_ONCE_S) == 128 + signal.SIGTERM
    wait_for(lambda: not Path(f"/proc/{child}").exists() or None, "the child's end")
    assert (place.lag(), place.records(place.topics.find_complete, job)) == (lag, [])
    place.wait_for_result(job)
    check_one_result_each(place, [job])


def test_a_signal_while_it_starts(crew: Crew) -> None:
    """A worker that is not warm yet ends in order, its half-started child with it."""
    worker = crew.start()
    wait_for(lambda: worker.said("worker starting") or None, "the worker to start", READY_WITHIN_S)
    child = worker.child()
    assert worker.stop() == 0
    assert not worker.said("worker ready")
    assert child is None or not Path(f"/proc/{child}").exists()


def test_a_worker_that_stood_still_leaves_the_result_alone(crew: Crew, tmp_path: Path) -> None:
    """SIGSTOP in the middle while its child goes on: another one makes the result, the sleeper's is thrown away."""
    place = crew.place
    (job,) = put_jobs(place, tmp_path, 1, n_texts=20_000)
    crew.ensure(2)
    place.announce(job)
    sleeper = wait_for(crew.busy, "a worker to be busy")
    place.wait_for_records(place.topics.find_progress, job)
    os.kill(sleeper.process.pid, signal.SIGSTOP)
    event = place.wait_for_result(job).data
    manifest = place.get(f"find/{event['find_job_id']}/manifest.json")
    os.kill(sleeper.process.pid, signal.SIGCONT)
    sleeper.wait_for_lines(job)
    check_one_result_each(place, [job])
    assert place.get(f"find/{event['find_job_id']}/manifest.json") == manifest
    assert len({key.split("/")[2] for key in place.keys(f"find/{event['find_job_id']}/")}) == 2
    assert not sleeper.busy


def test_a_worker_whose_grace_is_over_hands_its_job_over(crew: Crew, tmp_path: Path) -> None:
    """SIGTERM with a grace shorter than the job: it is given back in order, and another worker does it."""
    place = crew.place
    jobs = put_jobs(place, tmp_path, PARTITIONS, n_texts=30_000)
    crew.ensure(1)
    hasty = crew.start(grace_s=0.1)
    hasty.wait_ready()
    for partition, job in enumerate(jobs):
        place.announce(job, partition=partition)
    wait_for(lambda: hasty.busy or None, "the hasty worker to be busy")
    assert hasty.stop() == 0
    # beside the job that computes, a record may be in hand that waits for its turn
    assert {line["outcome"] for line in hasty.said("job")} == {"given back"}
    assert hasty.said("jobs given back")
    assert not hasty.busy
    for job in jobs:
        place.wait_for_result(job, within_s=90)
    check_one_result_each(place, jobs)
