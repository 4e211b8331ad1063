"""Where the crash matrix is fought: one group of workers that die one after another, each finished by the next."""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from embedded.toxiproxy import Toxic
from support import crashing_worker, final_state
from support.broken_runs import BROKEN_RUNS
from support.final_state import Announced
from support.runs import write_run
from support.workers import READY_WITHIN_S, Worker, binary_event, wait_for

from mistudio_worker.worker.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from embedded.process import Keeper
    from embedded.toxiproxy import Proxies
    from support.crash_points import Kill, Scenario
    from support.watchful_reader import WatchfulReader
    from support.workers import Place

PARTITIONS = 2
MEMBERS = 3
OUTCOME_WITHIN_S = 120.0
SETTINGS = {
    # a worker that died is missed after the session timeout
    "MISTUDIO_KAFKA__SESSION_TIMEOUT_MS": "4000",
    "MISTUDIO_KAFKA__HEARTBEAT_INTERVAL_MS": "1000",
    "MISTUDIO_JOB__RETRY_WAIT_MAX_S": "1",
    "MISTUDIO_ANALYSIS__THREADS": "1",
}
SLOW_KB_PER_S = 32
ANSWERS_LATE_MS = 2_000
TESTS = Path(__file__).parents[1]


class Crew:
    """The workers of one group; all can be told where to die, and work through the proxies.

    Args:
        place: where they work.
        proxies: the ways to broker and store.
        keeper: ends them should the tests be killed.
        directory: for their logs and for what they are told.
    """

    def __init__(self, place: Place, proxies: Proxies, keeper: Keeper, directory: Path) -> None:
        self._keeper, self._directory = keeper, directory
        self.orders, self.work_dir = directory / "orders", directory / "work"
        for made in (self.orders, self.work_dir):
            made.mkdir()
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        work = {"MISTUDIO_JOB__WORK_DIR": str(self.work_dir), "PYTHONPATH": path}
        self._environment = {**place.environment, **proxies.environment(), **SETTINGS, **work}
        self._exits = ExitStack()
        self.workers: list[Worker] = []

    def __enter__(self) -> Crew:
        """Nobody works yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End those that still run."""
        self._exits.close()

    @property
    def running(self) -> list[Worker]:
        """Those that were started and have not ended."""
        return [worker for worker in self.workers if worker.running]

    def man(self, ready: int) -> None:
        """Have three members or members to be, and wait until so many of them are ready."""
        while len(self.running) < MEMBERS:
            self._start()
        wait_for(lambda: sum(map(_is_ready, self.running)) >= ready or None, f"{ready} ready workers", READY_WITHIN_S)

    def worker_of(self, pid: int) -> Worker:
        """The worker with this process id."""
        return next(worker for worker in self.workers if worker.process.pid == pid)

    def logs(self) -> str:
        """The end of what each worker said."""
        return "\n".join(f"== {worker.log_file}\n{worker.log[-6000:]}" for worker in self.workers[-4:])

    def _start(self) -> None:
        """Start one more; it finds what the dead have left in the work folder, and takes it for old."""
        for left in self.work_dir.iterdir():
            with contextlib.suppress(FileNotFoundError):  # its job is done just now
                os.utime(left, (0, 0))
        command = [sys.executable, "-m", "support.crashing_worker", str(self.orders)]
        worker = Worker(self._environment, self._directory / f"worker{len(self.workers)}", self._keeper, command)
        self.workers.append(self._exits.enter_context(worker))


class Field:
    """One case after another.

    Args:
        place: topics and buckets of all cases.
        proxies: the ways that the workers take.
        crew: the workers.
        reader: looks all the time.
        directory: for the runs.
    """

    def __init__(self, place: Place, proxies: Proxies, crew: Crew, reader: WatchfulReader, directory: Path) -> None:
        self.place, self.proxies, self.crew, self.reader = place, proxies, crew, reader
        self.announced: list[Announced] = []
        self.manifests: set[str] = set()
        self._good, self._bad = directory / "good", directory / "bad"
        write_run(self._good, n_texts=4_000, n_features=48)
        BROKEN_RUNS["rows_lt_texts"].write(self._bad)

    def survive(self, kill: Kill) -> None:
        """Kill, let the others finish, and check what is left.

        Raises:
            AssertionError: a promise is broken.
        """
        self.crew.man(ready=2 if kill.scenario == "raced" else 1)
        before = len(self.announced)
        lost, fire = SCENARIOS[kill.scenario](self)
        with self.reader.blind_to(lost):
            self._arm(kill)
            fire()
            self._suffer(kill)
            under_fire = self.announced[before:]
            for one in under_fire:
                wait_for(partial(_outcome, self.place, one), f"outcome of {one}", OUTCOME_WITHIN_S)
        final_state.check(self.place, under_fire)
        final_state.check_store(self.place, self.announced)
        self.reader.check()

    def announce(self, *, job: str | None = None, refused: bool = False, partition: int = 0) -> str:
        """Write a record for a new run, or for a known job; returns the training job id."""
        job = job or self.place.put_run(self._bad if refused else self._good, job=f"train_{uuid.uuid4().hex[:12]}")
        trace = uuid.uuid4().hex
        value, headers = binary_event({"job_id": job})
        headers = [pair for pair in headers if pair[0] != "traceparent"]
        headers.append(("traceparent", f"00-{trace}-b7ad6b7169203331-01".encode()))
        record = self.place.publish(value, headers=headers, key=job.encode(), partition=partition)
        self.announced.append(Announced(record, job, refused, trace))
        return job

    def finish(self) -> str:
        """Have a job done that nobody is killed in; returns the training job id."""
        job = self.announce()
        self.place.wait_for_result(job, OUTCOME_WITHIN_S)
        self.place.wait_until_committed()
        return job

    def _arm(self, kill: Kill) -> None:
        self.manifests = _manifests(self.place)
        for left in self.crew.orders.iterdir():
            left.unlink()
        (self.crew.orders / "draft").write_text(crashing_worker.armed(kill))
        (self.crew.orders / "draft").rename(self.crew.orders / crashing_worker.ARMED)

    def _suffer(self, kill: Kill) -> None:
        reached = self.crew.orders / (crashing_worker.REACHED if kill.is_held else crashing_worker.STRUCK)
        wait_for(lambda: reached.exists() or None, f"{kill.name} to be reached", OUTCOME_WITHIN_S)
        victim = self.crew.worker_of(int(reached.read_text()))
        if kill.is_held:
            self._kill_in_the_middle(kill, victim)
        if kill.victim == "worker":
            wait_for(lambda: not victim.running or None, f"{kill.name}: the worker's death")
            assert victim.process.returncode == -9

    def _kill_in_the_middle(self, kill: Kill, victim: Worker) -> None:
        """Let the step begin on a network of late answers, and kill when its effect is there and its answer is not."""
        step = Step(kill.step)
        effect = _effect(self, step)
        # in a race the other worker may have been faster
        assert kill.scenario == "raced" or not effect(), f"{kill.name}: done before it began"
        proxy = self.proxies.store if step in ON_STORE else self.proxies.broker
        proxy.add(TRICKLING if step is Step.FETCH else LATE)
        try:
            (self.crew.orders / crashing_worker.RELEASED).touch()
            wait_for(lambda: effect() or None, f"{kill.name}: the effect of the step")
            victim.kill()
        finally:
            proxy.heal()


ON_STORE = {Step.CLAIM, Step.FETCH, Step.UPLOAD, Step.MANIFEST}
LATE = Toxic("latency", "downstream", {"latency": ANSWERS_LATE_MS})
"""Every answer: a step may ask before it changes anything."""
TRICKLING = Toxic("bandwidth", "downstream", {"rate": SLOW_KB_PER_S})


def _effect(field: Field, step: Step) -> Callable[[], bool]:
    """What can be seen of a step in broker, store or on disk once it was done."""
    place, one = field.place, field.announced[-1]
    keys, files = set(place.keys()), set(field.crew.work_dir.rglob("*.pt"))

    def new_key(part: str) -> bool:
        return any(part in key for key in set(place.keys()) - keys)

    def half_a_file() -> bool:
        (whole,) = (field._good / "activations").rglob("feature_activations.pt")
        new = set(field.crew.work_dir.rglob(whole.name)) - files
        return any(0 < path.stat().st_size < whole.stat().st_size for path in new)

    effects: dict[Step, Callable[[], bool]] = {
        Step.CLAIM: lambda: new_key("-started"),
        Step.FETCH: half_a_file,
        Step.UPLOAD: lambda: new_key("/data-"),
        Step.MANIFEST: lambda: bool(_manifests(place) - field.manifests),
        Step.PUBLISH: lambda: bool(one.answers(place.records(place.topics.find_complete, one.job))),
        Step.DEAD_LETTER: lambda: place.letter_of(one.record) is not None,
        Step.PUBLISH_FAILURE: lambda: bool(one.answers(place.records(place.topics.find_failed, one.job))),
        Step.COMMIT: lambda: place.lag() == 0,
    }
    return effects[step]


def _manifests(place: Place) -> set[str]:
    return {key for key in place.keys("find/") if key.endswith("/manifest.json")}


def _outcome(place: Place, one: Announced) -> bool | None:
    return one.has_outcome(place) or None


def _is_ready(worker: Worker) -> bool:
    with contextlib.suppress(AssertionError):
        return bool(worker._ready())
    return False


def _good(field: Field) -> tuple[set[str], Callable[[], object]]:
    return set(), field.announce


def _refused(field: Field) -> tuple[set[str], Callable[[], object]]:
    return set(), lambda: field.announce(refused=True)


def _known(field: Field) -> tuple[set[str], Callable[[], object]]:
    job = field.finish()
    return set(), lambda: field.announce(job=job)


def _repaired(field: Field) -> tuple[set[str], Callable[[], object]]:
    place, job = field.place, field.finish()
    lost = {export["key"] for export in place.wait_for_result(job).data["exports"] if export["format"] != "json"}

    def fire() -> None:
        for key in lost:
            place.store.remove_object(place.results, key)
        field.announce(job=job)

    return lost, fire


def _raced(field: Field) -> tuple[set[str], Callable[[], object]]:
    def fire() -> None:
        job = field.announce(partition=0)
        field.announce(job=job, partition=1)

    return set(), fire


def _chained(field: Field) -> tuple[set[str], Callable[[], object]]:
    def fire() -> None:
        field.announce()
        field.announce(refused=True)
        field.announce()

    return set(), fire


SCENARIOS: Mapping[Scenario, Callable[[Field], tuple[set[str], Callable[[], object]]]] = {
    "good": _good,
    "refused": _refused,
    "known": _known,
    "repaired": _repaired,
    "raced": _raced,
    "chained": _chained,
}
