"""The consumer loop over a fake group: which record is taken when, and what is committed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias
from unittest.mock import AsyncMock

import pytest
from support.fakes import FakeBroker, FakeSource, away

from mistudio_worker.worker.job import JobRunner
from mistudio_worker.worker.loop import WorkerLoop
from mistudio_worker.worker.patience import Patience
from mistudio_worker.worker.ports import CommitOutcome, Partition
from mistudio_worker.worker.stall import StallWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from mistudio_worker.worker.ports import AssignmentListener, Record
    from mistudio_worker.worker.steps import JobState

WITHIN_S = 5.0


class GatedRunner(JobRunner):
    """Ends each job when the test says so; computes in a slot as the real one does."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self.slots = slots
        self.begun: list[Record] = []
        self.ended: list[Record] = []
        self.cancelled: list[Record] = []
        self.errors: list[Exception] = []
        self.forgotten: list[tuple[int, int]] = []
        self.passed: list[dict[int, int]] = []
        self.gate = asyncio.Event()

    async def run(self, state: JobState) -> None:
        """Wait for the gate."""
        record = state.record
        self.begun.append(record)
        try:
            async with self.slots:
                await self.gate.wait()
                if self.errors:
                    raise self.errors.pop(0)
        except asyncio.CancelledError:
            self.cancelled.append(record)
            raise
        self.ended.append(record)

    async def forget(self, record: Record) -> None:
        """Remember that the attempts were dropped."""
        self.forgotten.append((record.partition, record.offset))

    async def forget_passed(self, committed: Mapping[Partition, int]) -> list[str]:
        """Remember what was looked at."""
        self.passed.append({partition.number: offset for partition, offset in committed.items()})
        return []

    @property
    def places(self) -> list[tuple[int, int]]:
        """(partition, offset) of every job that was begun."""
        return [(record.partition, record.offset) for record in self.begun]


@dataclass
class Worker:
    """A loop with its fakes."""

    broker: FakeBroker
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    patience: Patience = field(default_factory=lambda: Patience(0.002))
    grace_s: float = 1.0
    stall_s: float = 60.0

    def __post_init__(self) -> None:
        self.source = FakeSource(self.broker)
        self.runner = GatedRunner(self.slots)
        stalls = StallWatch(self.source, self.stall_s)
        self.loop = WorkerLoop(self.source, self.runner, self.patience, self.slots, stalls, grace_s=self.grace_s)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the loop meanwhile, and drain it."""
        task = asyncio.create_task(self.loop.run())
        try:
            yield
        finally:
            self.loop.drain()
            async with asyncio.timeout(WITHIN_S):
                await task

    def __hash__(self) -> int:
        return id(self)


@pytest.fixture
def broker() -> FakeBroker:
    """Three partitions with three records each."""
    made = FakeBroker(partitions=3)
    for number in range(3):
        for _ in range(3):
            made.append(b"{}", partition=number)
    return made


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something, within a limit."""
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def turns(source: FakeSource, count: int = 5) -> None:
    """Let the loop poll some more times."""
    begun = len(source.events)
    await until(lambda: sum(name == "poll" for name, _ in source.events[begun:]) >= count)


Commit: TypeAlias = "Callable[[Partition, int], Coroutine[None, None, CommitOutcome]]"


def hanging_once(worker: Worker, at_first: Callable[[], object]) -> Commit:
    """A commit whose first call never gets an answer."""
    really = worker.source.commit
    calls: list[Partition] = []

    async def commit(partition: Partition, offset: int) -> CommitOutcome:
        calls.append(partition)
        if len(calls) == 1:
            at_first()
            await asyncio.Event().wait()
        return await really(partition, offset)

    return commit


async def test_everything_is_done_in_order_and_committed(broker: FakeBroker) -> None:
    """Every record is carried to its outcome once, in the order of its partition, and committed."""
    worker = Worker(broker)
    worker.runner.gate.set()
    async with worker.running():
        await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
    assert sorted(worker.runner.places) == [(p, o) for p in range(3) for o in range(3)]
    for number in range(3):
        assert [offset for partition, offset in worker.source.commits if partition == number] == [1, 2, 3]
    assert worker.source.stopped


async def test_one_job_at_a_time(broker: FakeBroker) -> None:
    """While a job computes all partitions are paused, nothing is committed, and polling goes on."""
    worker = Worker(broker)
    async with worker.running():
        await until(lambda: len(worker.runner.begun) == 1)
        await turns(worker.source)
        assert len(worker.runner.begun) == 1
        assert worker.source.paused == {0, 1, 2}
        assert worker.source.commits == []
        worker.runner.gate.set()
        await until(lambda: len(worker.runner.ended) == 9)


async def test_more_slots_take_more_partitions(broker: FakeBroker) -> None:
    """With two slots two partitions are worked on, and never two records of one."""
    worker = Worker(broker, slots=asyncio.Semaphore(2))
    async with worker.running():
        await until(lambda: len(worker.runner.begun) == 2)
        await turns(worker.source)
        assert worker.runner.places == [(0, 0), (1, 0)]
        worker.runner.gate.set()
        await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})


async def test_nothing_is_taken_while_a_service_is_away(broker: FakeBroker) -> None:
    """An outage pauses consumption; polling goes on as a sign of life."""
    worker = Worker(broker)
    worker.patience.away["STORE_UNAVAILABLE"] = "away"
    worker.runner.gate.set()
    async with worker.running():
        await turns(worker.source)
        assert worker.runner.begun == []
        assert worker.source.paused == {0, 1, 2}
        worker.patience.away.clear()
        await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})


async def test_a_record_of_a_busy_partition_is_sought_back(broker: FakeBroker) -> None:
    """A record that was fetched before the pause took hold is taken later, not lost and not begun beside the job."""
    worker = Worker(broker)
    async with worker.running():
        await until(lambda: len(worker.runner.begun) == 1)
        worker.source.deliver_in_spite_of_pause(broker.records[0][1])
        await until(lambda: ("seek", (0, 1)) in worker.source.events)
        worker.source.deliver_in_spite_of_pause(broker.records[2][0])
        await until(lambda: ("seek", (2, 0)) in worker.source.events)
        assert len(worker.runner.begun) == 1
        worker.runner.gate.set()
        await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
    assert len(worker.runner.begun) == 9


class TestRebalance:
    async def test_a_kept_job_goes_on(self, broker: FakeBroker) -> None:
        """A job whose partition stays survives the rebalance: paused again, committed once, not done again."""
        worker, other = Worker(broker), FakeSource(broker)
        async with worker.running():
            await until(lambda: worker.runner.places == [(0, 0)])
            broker.members.append(other)
            broker.rebalance({worker.source: [0, 1], other: [2]})
            assert 0 in worker.source.paused
            worker.runner.gate.set()
            await until(lambda: broker.committed == {0: 3, 1: 3})
        assert worker.runner.cancelled == []
        assert sorted(worker.runner.places) == [(p, o) for p in range(2) for o in range(3)]

    async def test_a_lost_job_is_given_back(self, broker: FakeBroker) -> None:
        """A job whose partition is lost is cancelled and never committed."""
        worker, other = Worker(broker), FakeSource(broker)
        async with worker.running():
            await until(lambda: worker.runner.places == [(0, 0)])
            broker.members.append(other)
            broker.rebalance({worker.source: [1], other: [0, 2]})
            await until(lambda: len(worker.runner.cancelled) == 1)
            await until(lambda: worker.runner.places[1:] == [(1, 0)])
            worker.runner.gate.set()
            await until(lambda: broker.committed == {1: 3})
        assert all(partition == 1 for partition, _ in worker.source.commits)

    async def test_a_lost_job_ends_before_its_worker(self, broker: FakeBroker) -> None:
        """A worker that drains just after it lost a job waits until that job's attempt is given back."""
        worker, other = Worker(broker), FakeSource(broker)
        given_back = asyncio.Event()

        async def job(state: JobState) -> None:
            worker.runner.begun.append(state.record)
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.05)
                given_back.set()

        worker.runner.run = job  # type: ignore[method-assign]
        async with worker.running():
            await until(lambda: worker.runner.places != [])
            broker.members.append(other)
            broker.rebalance({worker.source: [], other: [0, 1, 2]})
            assert not given_back.is_set()
        assert given_back.is_set()

    async def test_a_partition_that_comes_back(self, broker: FakeBroker) -> None:
        """A partition lost and regained begins at the committed offset, with a job of its own."""
        worker, other = Worker(broker), FakeSource(broker)
        async with worker.running():
            await until(lambda: worker.runner.places == [(0, 0)])
            broker.members.append(other)
            broker.rebalance({worker.source: [], other: [0, 1, 2]})
            await until(lambda: len(worker.runner.cancelled) == 1)
            broker.rebalance({worker.source: [0], other: [1, 2]})
            worker.runner.gate.set()
            await until(lambda: broker.committed == {0: 3})
        assert worker.runner.places == [(0, 0), (0, 0), (0, 1), (0, 2)]

    async def test_what_the_last_owner_left_is_forgotten(self, broker: FakeBroker) -> None:
        """With each assignment the counts below the committed offsets of the new partitions are dropped."""
        worker, other = Worker(broker), FakeSource(broker)
        broker.committed = {0: 1, 2: 3}
        async with worker.running():
            await until(lambda: worker.runner.passed == [{0: 1, 2: 3}])
            broker.members.append(other)
            broker.rebalance({worker.source: [2], other: [0, 1]})
            await until(lambda: worker.runner.passed[1:] == [{2: 3}])

    async def test_a_store_that_is_away_does_not_stop_the_work(self, broker: FakeBroker) -> None:
        """Sweeping is no condition for anything."""
        worker = Worker(broker)
        worker.runner.forget_passed = AsyncMock(side_effect=away())  # type: ignore[method-assign]
        worker.runner.gate.set()
        async with worker.running():
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})

    async def test_nothing_is_committed_in_doubt(self, broker: FakeBroker) -> None:
        """Between revocation and assignment a finished job waits."""
        worker = Worker(broker)
        async with worker.running():
            await until(lambda: len(worker.runner.begun) == 1)
            worker.loop.on_revoked()
            worker.runner.gate.set()
            await until(lambda: len(worker.runner.ended) >= 1)
            await turns(worker.source)
            assert worker.source.commits == []
            broker.rebalance({worker.source: [0, 1, 2]})
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})

    async def test_another_one_went_further(self) -> None:
        """After a rebalance a job neither rewinds a group that has gone past its record nor repeats the rest."""
        broker = FakeBroker()
        for _ in range(8):
            broker.append(b"{}")
        worker = Worker(broker)
        async with worker.running():
            await until(lambda: worker.runner.places == [(0, 0)])
            broker.committed[0] = 6
            broker.rebalance({worker.source: [0]})
            worker.runner.gate.set()
            await until(lambda: broker.committed[0] == 8)
        assert worker.source.commits == [(0, 7), (0, 8)]
        assert worker.runner.places == [(0, 0), (0, 6), (0, 7)]
        assert worker.runner.forgotten == [(0, 0), (0, 6), (0, 7)]

    async def test_a_rebalance_during_the_commit(self, broker: FakeBroker) -> None:
        """A commit that hangs when its partition is lost never reaches the new owner's group."""
        worker, other = Worker(broker), FakeSource(broker)
        worker.source.commit = hanging_once(worker, lambda: broker.members.append(other))  # type: ignore[assignment,method-assign]
        worker.runner.gate.set()
        async with worker.running():
            await until(lambda: len(worker.runner.ended) >= 1)
            await until(lambda: other in broker.members)
            broker.rebalance({worker.source: [1], other: [0, 2]})
            await until(lambda: broker.committed == {1: 3})
        assert (0, 1) not in worker.source.commits
        assert ("seek", (0, 1)) not in worker.source.events

    async def test_a_kept_partition_is_committed_after_the_rebalance(self, broker: FakeBroker) -> None:
        """A commit that hangs when a rebalance begins is made anew where the partition stays."""
        worker = Worker(broker)
        hanging = asyncio.Event()
        worker.source.commit = hanging_once(worker, hanging.set)  # type: ignore[assignment,method-assign]
        worker.runner.gate.set()
        async with worker.running():
            await hanging.wait()
            broker.rebalance({worker.source: [0, 1, 2]})
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
        assert len(worker.runner.begun) == 9

    async def test_a_rebalance_at_every_turn(self, broker: FakeBroker) -> None:
        """Under constant rebalances between two workers every record ends in an outcome and the group at its end."""
        workers = [Worker(broker), Worker(broker)]
        for worker in workers:
            worker.runner.gate.set()
        async with workers[0].running(), workers[1].running():
            await until(lambda: len(broker.members) == 2)
            for turn in range(30):
                broker.rebalance({workers[turn % 2].source: [0, turn % 3], workers[(turn + 1) % 2].source: [1, 2]})
                await asyncio.sleep(0.002)
            broker.rebalance()
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
        done = {(r.partition, r.offset) for worker in workers for r in worker.runner.ended}
        assert done == {(p, o) for p in range(3) for o in range(3)}


class TestCommits:
    async def test_an_unknown_commit_is_tried_again(self, broker: FakeBroker) -> None:
        """A commit without an answer is repeated, and the job is not."""
        worker = Worker(broker)
        worker.source.outcomes.extend([CommitOutcome.UNKNOWN, CommitOutcome.UNKNOWN])
        worker.runner.gate.set()
        async with worker.running():
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
        assert len(worker.source.commits) == 9 + 2
        assert len(worker.runner.begun) == 9

    async def test_a_lost_commit_is_dropped(self, broker: FakeBroker) -> None:
        """A commit that came too late is not tried again; a later one covers it."""
        worker = Worker(broker)
        worker.source.outcomes.append(CommitOutcome.LOST)
        worker.runner.gate.set()
        async with worker.running():
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
        assert worker.source.commits.count((0, 1)) == 1

    async def test_a_broker_away_at_the_question(self, broker: FakeBroker) -> None:
        """Where the committed offset cannot be read after a rebalance, the commit waits."""
        worker = Worker(broker)
        really, faults = worker.source.committed, [away("BROKER_UNAVAILABLE")] * 3

        async def unsure(partition: Partition) -> int | None:
            if faults:
                raise faults.pop()
            return await really(partition)

        worker.source.committed = unsure  # type: ignore[method-assign]
        async with worker.running():
            await until(lambda: len(worker.runner.begun) == 1)
            broker.rebalance({worker.source: [0, 1, 2]})
            worker.runner.gate.set()
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
        assert len(worker.runner.begun) == 9

    async def test_a_job_without_an_outcome(self, broker: FakeBroker) -> None:
        """A job that raises has no outcome: nothing is committed, and its record is taken again."""
        worker = Worker(broker)
        worker.runner.errors.append(RuntimeError("the dead-letter topic takes nothing"))
        worker.runner.gate.set()
        async with worker.running():
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
        assert worker.runner.places.count((0, 0)) == 2
        assert len(worker.runner.ended) == 9

    async def test_polling_that_fails(self, broker: FakeBroker) -> None:
        """A poll that fails is repeated."""
        worker = Worker(broker)
        worker.source.faults.append(away("BROKER_UNAVAILABLE"))
        worker.runner.gate.set()
        async with worker.running():
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})


class TestZombie:
    async def test_a_worker_that_stood_still_does_not_rewind(self, broker: FakeBroker) -> None:
        """It wakes with its job done and hears of no rebalance; others went past its record: nothing is committed."""
        worker = Worker(broker)
        async with worker.running():
            await until(lambda: worker.runner.places == [(0, 0)])
            broker.committed[0] = 2
            worker.runner.gate.set()
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
        assert [offset for number, offset in worker.source.commits if number == 0] == [3]
        assert [offset for number, offset in worker.runner.places if number == 0] == [0, 2]


class TestStall:
    async def test_a_stuck_consumer_is_made_anew(self, broker: FakeBroker) -> None:
        """Records wait at the broker and none is given out: the group is left and joined again."""
        worker = Worker(broker, stall_s=0.05)
        starts = counted_starts(worker)
        async with worker.running():
            await until(lambda: worker.runner.places == [(0, 0)])
            worker.source.is_stuck = True
            worker.runner.gate.set()
            await until(lambda: len(starts) == 2)
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})

    async def test_a_job_goes_on_meanwhile(self, broker: FakeBroker) -> None:
        """A job whose partition comes back to the new consumer is not begun again."""
        worker = Worker(broker, stall_s=0.05)
        starts = counted_starts(worker)
        async with worker.running():
            await until(lambda: worker.runner.places == [(0, 0)])
            worker.source.faults.extend([away("BROKER_UNAVAILABLE")] * 1000)
            await until(lambda: len(starts) == 2)
            worker.source.faults.clear()
            worker.runner.gate.set()
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
        assert worker.runner.cancelled == []
        assert worker.runner.places.count((0, 0)) == 1

    async def test_an_outage_is_no_stall(self, broker: FakeBroker) -> None:
        """While the broker does not answer others either, the consumer keeps its place in the group."""
        worker = Worker(broker, stall_s=0.02)
        worker.source.broker_is_away = True
        worker.source.outcomes.extend([CommitOutcome.UNKNOWN] * 10_000)
        worker.runner.gate.set()
        starts = counted_starts(worker)
        async with worker.running():
            await until(lambda: len(worker.source.commits) > 50)
            worker.source.outcomes.clear()
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})
        assert len(starts) == 1

    @pytest.mark.parametrize("sign", ["a rebalance that does not end", "commits that are refused"])
    async def test_what_else_is_stuck(self, broker: FakeBroker, sign: str) -> None:
        """A rebalance that never ends, and a commit that is refused without one, are ended by a new start."""
        worker = Worker(broker, stall_s=0.05)
        worker.runner.gate.set()
        starts = counted_starts(worker)
        async with worker.running():
            if sign == "commits that are refused":
                worker.source.outcomes.append(CommitOutcome.LOST)
            else:
                await until(lambda: len(worker.runner.begun) >= 1)
                worker.loop.on_revoked()
            await until(lambda: len(starts) == 2)
            await until(lambda: broker.committed == {0: 3, 1: 3, 2: 3})

    async def test_a_commit_whose_answer_was_lost(self) -> None:
        """It took effect all the same: the consumer is not stuck, and the attempts are dropped as after any commit."""
        broker = FakeBroker()
        broker.append(b"{}")
        worker = Worker(broker, stall_s=0.02)
        really = worker.source.commit

        async def commit(partition: Partition, offset: int) -> CommitOutcome:
            await really(partition, offset)
            return CommitOutcome.UNKNOWN

        worker.source.commit = commit  # type: ignore[method-assign]
        worker.runner.gate.set()
        starts = counted_starts(worker)
        async with worker.running():
            await until(lambda: worker.runner.forgotten == [(0, 0)])
            await asyncio.sleep(3 * worker.stall_s)
            await turns(worker.source)
        assert len(starts) == 1

    async def test_a_quiet_topic_is_no_stall(self) -> None:
        """A consumer that has nothing to give out stays where it is."""
        worker = Worker(FakeBroker(), stall_s=0.02)
        starts = counted_starts(worker)
        async with worker.running():
            await turns(worker.source, 40)
        assert len(starts) == 1

    async def test_draining_while_it_joins_anew(self, broker: FakeBroker) -> None:
        """A worker that cannot come back into its group gives its job back and ends."""
        worker = Worker(broker, stall_s=0.05, grace_s=60)
        async with worker.running():
            await until(lambda: len(worker.runner.begun) == 1)

            async def never(listener: AssignmentListener) -> None:
                del listener
                raise away("BROKER_UNAVAILABLE")

            worker.source.start = never  # type: ignore[method-assign]
            worker.source.faults.extend([away("BROKER_UNAVAILABLE")] * 1000)
            await until(lambda: bool(worker.patience.away))
        assert len(worker.runner.cancelled) == 1
        assert worker.source.commits == []


def counted_starts(worker: Worker) -> list[object]:
    """One entry for each time that the group is joined."""
    really, starts = worker.source.start, list[object]()

    async def start(listener: AssignmentListener) -> None:
        starts.append(listener)
        await really(listener)

    worker.source.start = start  # type: ignore[method-assign]
    return starts


class TestDrain:
    async def test_what_only_waits_is_given_back_at_once(self, broker: FakeBroker) -> None:
        """A job that waits, for files or a slot, has nothing to lose: others may begin it without the grace."""
        worker = Worker(broker, grace_s=60)
        async with worker.running():
            await until(lambda: len(worker.runner.begun) == 1)
            [job] = worker.loop._jobs.values()
            job.state.is_waiting = True
        assert len(worker.runner.cancelled) == 1
        assert worker.source.commits == []
        assert worker.source.stopped

    async def test_a_running_job_may_end(self, broker: FakeBroker) -> None:
        """After the signal the running job ends and is committed; no other one is begun."""
        worker = Worker(broker, grace_s=WITHIN_S)
        async with worker.running():
            await until(lambda: len(worker.runner.begun) == 1)
            worker.loop.drain()
            await turns(worker.source)
            worker.runner.gate.set()
        assert worker.source.commits == [(0, 1)]
        assert worker.runner.places == [(0, 0)]
        assert worker.source.stopped

    async def test_after_the_grace_it_is_given_back(self, broker: FakeBroker) -> None:
        """A job that does not end in time is cancelled, uncommitted, before the group is left."""
        worker = Worker(broker, grace_s=0.05)
        async with worker.running():
            await until(lambda: len(worker.runner.begun) == 1)
        assert len(worker.runner.cancelled) == 1
        assert worker.source.commits == []
        assert worker.source.stopped

    async def test_an_idle_worker_ends_at_once(self) -> None:
        """Nothing to do is nothing to wait for."""
        worker = Worker(FakeBroker(), grace_s=60)
        async with worker.running():
            await turns(worker.source, 2)
        assert worker.source.stopped

    async def test_draining_while_the_broker_is_away(self, broker: FakeBroker) -> None:
        """A worker that cannot even join can be ended, and nothing runs on."""
        worker = Worker(broker)

        async def never(listener: AssignmentListener) -> None:
            del listener
            raise away("BROKER_UNAVAILABLE")

        worker.source.start = never  # type: ignore[method-assign]
        before = asyncio.all_tasks()
        async with worker.running():
            await until(lambda: bool(worker.patience.away))
        assert worker.source.stopped
        assert asyncio.all_tasks() == before

    async def test_a_defect_while_starting_is_told(self, broker: FakeBroker) -> None:
        """An error that is no outage ends the worker, and the group is left."""
        worker = Worker(broker)

        async def broken(listener: AssignmentListener) -> None:
            del listener
            raise ValueError("no such assignor")

        worker.source.start = broken  # type: ignore[method-assign]
        with pytest.raises(ValueError, match="assignor"):
            await worker.loop.run()
        assert worker.source.stopped
