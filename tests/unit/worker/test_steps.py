"""What observers of a job are told: every step in its order, how it ended, and the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.fakes import FakeBroker, FakeSource
from support.house import House, record_of

from mistudio_worker.errors import ChildFailed
from mistudio_worker.worker.analysis_request import Progress
from mistudio_worker.worker.loop import WorkerLoop
from mistudio_worker.worker.stall import StallWatch
from mistudio_worker.worker.steps import Begun, Ended, Finished, JobEvent, JobObserver, JobState, Step, Taken

if TYPE_CHECKING:
    from pathlib import Path

WAY = [
    Step.READ,
    Step.IDENTIFY,
    Step.LOOK_UP,
    Step.CLAIM,
    Step.FETCH,
    Step.ANALYZE,
    Step.UPLOAD,
    Step.MANIFEST,
    Step.PUBLISH,
]


class Listener:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Step | str]] = []

    def __call__(self, state: JobState, event: JobEvent) -> None:
        match event:
            case Taken():
                self.told.append(("taken", ""))
            case Begun(step):
                self.told.append(("begun", step))
            case Progress():
                self.told.append(("progressed", event.step))
            case Ended(step, duration_s, error):
                assert duration_s >= 0
                self.told.append(("ended" if error is None else type(error).__name__, step))
            case Finished():
                self.told.append(("finished", state.outcome))

    @property
    def steps(self) -> list[tuple[str, Step | str]]:
        """All but the progress."""
        return [told for told in self.told if told[0] != "progressed"]


@pytest.fixture
def listener() -> Listener:
    """An observer."""
    return Listener()


@pytest.fixture
def house(tmp_path: Path, listener: Listener) -> House:
    """A worker in memory that is observed."""
    return House(tmp_path, observers=[listener])


async def test_a_good_job_tells_every_step_in_order(house: House, listener: Listener) -> None:
    """Each step begins when the one before has ended, and the outcome comes last."""
    await house.run()
    pairs = [pair for step in WAY for pair in (("begun", step), ("ended", step))]
    assert listener.steps == [("taken", ""), *pairs, ("finished", "completed")]
    assert ("progressed", "fetch") in listener.told


async def test_a_known_job_skips_to_its_announcement(house: House, listener: Listener) -> None:
    """What is known is announced without an attempt."""
    await house.run()
    listener.told.clear()
    await house.run(record_of(offset=1))
    begun = [step for what, step in listener.told if what == "begun"]
    assert begun == [Step.READ, Step.IDENTIFY, Step.LOOK_UP, Step.PUBLISH]


async def test_a_refused_event_tells_where_it_failed(house: House, listener: Listener) -> None:
    """The step that failed ends with its error; the dead letter follows."""
    await house.run(record_of(b"no json"))
    assert ("RefusedInput", Step.READ) in listener.told
    assert ("ended", Step.DEAD_LETTER) in listener.told
    assert listener.told[-1] == ("finished", "dead-lettered")


async def test_a_failed_attempt_begins_again_with_its_claim(house: House, listener: Listener) -> None:
    """A step that is tried again is told again."""
    house.analyst.script.append(ChildFailed("CHILD_KILLED", "killed", "look"))
    await house.run()
    begun = [step for what, step in listener.told if what == "begun"]
    assert begun == [*WAY[:6], *WAY[3:]]
    assert ("ChildFailed", Step.ANALYZE) in listener.told


async def test_the_commit_is_told_after_the_outcome(house: House, listener: Listener) -> None:
    """The loop tells the last step of all."""
    broker = FakeBroker(partitions=1)
    broker.append(record_of().value or b"", partition=0)

    def drain_after_commit(_state: JobState, event: JobEvent) -> None:
        if isinstance(event, Ended) and event.step is Step.COMMIT:
            loop.drain()

    observers: list[JobObserver] = [listener, drain_after_commit]
    source = FakeSource(broker)
    stalls = StallWatch(source, 60.0)
    loop = WorkerLoop(source, house.runner, house.patience, house.slots, stalls, grace_s=1.0, observers=observers)
    await loop.run()
    assert listener.told[-3:] == [("finished", "completed"), ("begun", Step.COMMIT), ("ended", Step.COMMIT)]
