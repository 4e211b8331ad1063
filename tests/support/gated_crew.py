"""A group of workers that compute nothing: their jobs end when the test says so, so that many are cheap."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.runs import write_run
from support.workers import Worker, wait_for

if TYPE_CHECKING:
    from embedded.process import Keeper
    from support.workers import Place, Seen

SESSION_S = 3.0
"""After it a silent worker loses its partitions; the watchdog of the poll loop is as short."""
SETTINGS = {
    "MISTUDIO_KAFKA__SESSION_TIMEOUT_MS": "3000",
    "MISTUDIO_KAFKA__HEARTBEAT_INTERVAL_MS": "500",
    "MISTUDIO_KAFKA__MAX_POLL_INTERVAL_MS": "3000",
    "MISTUDIO_KAFKA__REBALANCE_TIMEOUT_MS": "4000",
    "MISTUDIO_KAFKA__METADATA_MAX_AGE_MS": "1000",
    "MISTUDIO_JOB__RETRY_WAIT_MAX_S": "1",
    "MISTUDIO_JOB__GRACE_S": "30",
    "MISTUDIO_JOB__PROGRESS_INTERVAL_S": "0.1",
}
TESTS = Path(__file__).parents[1]


class GatedCrew:
    """The workers of one group; see `gated_worker`.

    Args:
        place: Where they work.
        keeper: Ends them should the tests be killed.
        directory: For logs, work folders, gates and the run that all jobs share.
    """

    def __init__(self, place: Place, keeper: Keeper, directory: Path) -> None:
        self.place = place
        self.workers: list[Worker] = []
        self._keeper, self._directory, self._exits = keeper, directory, ExitStack()
        self._gates = directory / "gates"
        self._gates.mkdir()
        write_run(directory / "run", n_texts=40, n_features=8)

    def __enter__(self) -> GatedCrew:
        """Nobody works yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End those that still run, the stopped ones too."""
        self._exits.close()

    def start(self, **settings: object) -> Worker:
        """Start one more; it is not ready yet. Settings by name, as `JOB__GRACE_S=1`."""
        given = {f"MISTUDIO_{name}": str(value) for name, value in settings.items()}
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**self.place.environment, **SETTINGS, **given, "PYTHONPATH": os.pathsep.join(paths)}
        command = (sys.executable, "-m", "support.gated_worker", self._gates)
        worker = Worker(environment, self._directory / f"gated{len(self.workers)}", self._keeper, command)
        self.workers.append(self._exits.enter_context(worker))
        return worker

    def ready(self, **settings: object) -> Worker:
        """Start one more and wait until it has its partitions."""
        worker = self.start(**settings)
        worker.wait_ready()
        return worker

    def put_job(self, *, is_held: bool = False) -> str:
        """Upload a run under a new training job id; one that is held does not end before `release`."""
        job = f"train_{uuid.uuid4().hex[:12]}"
        if is_held:
            (self._gates / f"held-{job}").touch()
        return self.place.put_run(self._directory / "run", job=job)

    def release(self, job: str) -> None:
        """Let a held job end."""
        (self._gates / f"held-{job}").unlink()

    def fail(self, job: str) -> None:
        """Let a held job fail once, as if its child were killed."""
        (self._gates / f"fail-{job}").touch()

    def wait_for_attempt(self, job: str, number: int) -> None:
        """Wait until an attempt at a job computes."""
        topic = self.place.topics.find_progress

        def told() -> bool | None:
            events = [seen.data for seen in self.place.records(topic, job)]
            return any((e["step"], e["attempt"]) == ("analyze", number) for e in events) or None

        wait_for(told, f"attempt {number} at {job}")

    def stop_at(self, step: str) -> None:
        """Let the next worker that comes to a step stop itself there."""
        (self._gates / f"stop-at-{step}").touch()

    def committed(self) -> dict[int, int]:
        """The group's offset of each partition."""
        place = self.place
        found: dict[Any, Any] = place._loop.call(place._admin.list_consumer_group_offsets(place.group))
        return {partition.partition: at.offset for partition, at in found.items() if at.offset >= 0}

    def lines(self, job: str) -> list[dict[str, Any]]:
        """The canonical lines of a job, of all workers."""
        return [line for worker in self.workers for line in worker.said("job") if line["job"] == job]

    def check_one_result_each(self, jobs: list[str]) -> None:
        """One manifest and one find-complete identity a job, nothing failed, nothing uncommitted, nothing left over."""
        place = self.place
        place.wait_until_committed()
        for job in jobs:
            found: list[Seen] = place.records(place.topics.find_complete, job)
            assert len({(seen.header("ce_id"), seen.value) for seen in found}) == 1, job
            assert place.records(place.topics.find_failed, job) == []
            event = found[0].data
            named = {export["key"] for export in place.manifest(event["find_job_id"])["exports"]}
            there = set(place.keys(f"find/{event['find_job_id']}/"))
            assert there == {*named, f"find/{event['find_job_id']}/manifest.json"}
        assert place.records(place.topics.dead_letter) == []


def freeze(worker: Worker) -> None:
    """SIGSTOP, to the process alone."""
    os.kill(worker.process.pid, signal.SIGSTOP)


def thaw(worker: Worker) -> None:
    """SIGCONT."""
    os.kill(worker.process.pid, signal.SIGCONT)


def wait_until_frozen(worker: Worker) -> None:
    """Wait until a worker has stopped itself."""
    stat = Path(f"/proc/{worker.process.pid}/stat")
    wait_for(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T" or None, "a worker that stopped itself")
