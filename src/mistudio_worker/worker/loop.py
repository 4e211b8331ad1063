"""The consumer loop: which record is taken when, and when its offset is committed.

One task owns the record source. A job runs beside it as a task of its own, bound to the epoch
(the rebalance) in which it was taken:

    poll ──> record of a free partition ──> pause it, start the job
    job done, partition still ours ──> commit offset + 1, forget its attempts, resume
    partition new ──> forget the attempts that its last owner left, beside all else
    partition lost ──> cancel the job; whoever has it now starts anew
    no free slot, or a service away ──> all partitions are paused, polling goes on as a sign of life
    no progress, though the broker answers ──> leave the group and join it anew; jobs go on meanwhile
    drain ──> jobs that only wait are given back at once, others after the grace
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from mistudio_worker.errors import ServiceAway
from mistudio_worker.worker.forgetting import Forgetting
from mistudio_worker.worker.job_log import correlation
from mistudio_worker.worker.ports import CommitOutcome, Partition
from mistudio_worker.worker.pulse import Phase, Pulse
from mistudio_worker.worker.running_job import RunningJob
from mistudio_worker.worker.stall import Sign
from mistudio_worker.worker.steps import JobState, Step

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from mistudio_worker.worker.job import JobRunner
    from mistudio_worker.worker.patience import Patience
    from mistudio_worker.worker.ports import Record, RecordSource
    from mistudio_worker.worker.stall import StallWatch
    from mistudio_worker.worker.steps import JobObserver

log = structlog.get_logger(__name__)
POLL_S = 0.5


class WorkerLoop:
    """Takes records, runs their jobs, commits their offsets; implements `AssignmentListener`.

    Args:
        source: the consuming side of the group.
        runner: carries a record to its outcome.
        patience: knows which services are away.
        slots: as many places as jobs may compute at a time.
        stalls: knows a consumer that is stuck.
        grace_s: how long running jobs may go on after `drain`.
        observers: told of the steps of every job.

    Attributes:
        pulse: its signs of life.
    """

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        source: RecordSource,
        runner: JobRunner,
        patience: Patience,
        slots: asyncio.Semaphore,
        stalls: StallWatch,
        *,
        grace_s: float,
        observers: Sequence[JobObserver] = (),
    ) -> None:
        self._source = source
        self._runner = runner
        self._patience = patience
        self._slots = slots
        self._stalls = stalls
        self._grace_s = grace_s
        self._observers = observers
        self.pulse = Pulse()
        self._jobs: dict[Partition, RunningJob] = {}
        self._epoch = 0
        self._in_doubt = False
        self._joined = False
        self._draining = asyncio.Event()
        self._committing: asyncio.Future[CommitOutcome] | None = None
        self._forgetting = Forgetting(runner, source)
        self._given_back: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> list[JobState]:
        """The jobs that it holds."""
        return [job.state for job in self._jobs.values()]

    def drain(self) -> None:
        """Take no more records; `run` returns when the running jobs are done or the grace is over."""
        self._draining.set()

    def on_revoked(self) -> None:
        """A rebalance began: nothing is committed until it is settled."""
        self._in_doubt = True
        self.pulse.doubt()
        self._stalls.see(Sign.UNSETTLED)
        if self._committing is not None:
            self._committing.cancel()

    def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """A rebalance is settled: go on with the jobs that stayed, give back those that were lost."""
        self._epoch += 1
        self._in_doubt = False
        self.pulse.assign(numbers := sorted(partition.number for partition in partitions))
        self._stalls.clear()
        for partition, job in list(self._jobs.items()):
            if partition not in partitions:
                log.info("partition lost, job given back", audit="partition_lost", **correlation(job.state))
                self._drop([job])
        self._source.pause(self._jobs)  # a rebalance forgets every pause
        self._forgetting.sweep(partitions)
        log.info("partitions assigned", audit="partitions_assigned", partitions=numbers, kept_jobs=len(self._jobs))

    async def unless_drained(self, preparing: Coroutine[Any, Any, None]) -> bool:
        """Wait for something that may take long, until `drain` at the longest; return whether it was done."""
        task = asyncio.create_task(preparing)
        drained = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait({task, drained}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            return task.done()
        finally:
            task.cancel()
            drained.cancel()
            await asyncio.gather(task, drained, return_exceptions=True)

    async def run(self) -> None:
        """Work until drained."""
        try:
            while not self._draining.is_set():
                if self._joined:
                    await self._turn()
                    await self._leave_if_stuck()
                else:
                    await self._join()
            self.pulse.phase = Phase.DRAINING
            if self._joined:
                await self._finish_within_grace()
        finally:
            await self._give_back()
            await self._forgetting.end()
            await self._source.stop()
            self.pulse.phase = Phase.STOPPED
            log.info("group left", audit="drained")

    async def _join(self) -> None:
        self.pulse.phase = Phase.JOINING
        self._joined = await self.unless_drained(self._patience.outlast(self._source.start, self))
        self.pulse.phase = Phase.WORKING
        self.pulse.turn()

    async def _turn(self) -> None:
        await self._commit_finished()
        self._set_pauses()
        self.pulse.turn()
        try:
            record = await self._source.poll(POLL_S)
        except ServiceAway as error:
            log.warning("polling failed, trying again", code=error.code, message=error.message)
            self._stalls.see(Sign.POLL_FAILS)
            await asyncio.sleep(POLL_S)
            return
        self._stalls.clear(Sign.POLL_FAILS)
        if record is None:
            await self._stalls.look()
        else:
            self._stalls.clear(Sign.UNREAD)
            self._take(record)

    async def _leave_if_stuck(self) -> None:
        if (sign := await self._stalls.stuck()) is not None:
            log.error("the consumer is stuck, joining the group anew", sign=sign.value, kept_jobs=len(self._jobs))
            self.on_revoked()
            self.pulse.phase = Phase.JOINING
            await self._source.stop()
            self._joined = False

    def _set_pauses(self) -> None:
        assigned = self._source.assigned()
        if self._slots.locked() or self._patience.away or self._draining.is_set():
            self._source.pause(assigned)
        else:
            self._source.resume(assigned - self._jobs.keys())

    def _take(self, record: Record) -> None:
        partition = Partition(record.topic, record.partition)
        if partition in self._jobs or self._slots.locked() or self._draining.is_set():
            # fetched before the pause took hold: take it again later
            self._source.pause([partition])
            self._source.seek(partition, record.offset)
            return
        self._source.pause([partition])
        state = JobState(record, self._observers)
        task = asyncio.create_task(self._runner.run(state), name=f"job-{partition.number}-{record.offset}")
        self._jobs[partition] = RunningJob(state, self._epoch, task)

    async def _commit_finished(self) -> None:
        for job in [job for job in self._jobs.values() if job.task.done()]:
            if self._in_doubt:
                return
            await self._commit(job)

    async def _commit(self, job: RunningJob) -> None:
        self.pulse.turn()
        with structlog.contextvars.bound_contextvars(**correlation(job.state)):
            await self._commit_or_take_again(job)

    async def _commit_or_take_again(self, job: RunningJob) -> None:
        if (error := job.error) is not None:
            log.error("job ended without an outcome, taking its record again", error=repr(error)[:300])
            self._release(job, next_offset=job.record.offset)
            return
        try:
            next_offset = await self._settle(job)
        except ServiceAway as away:
            log.warning("commit failed, trying again", code=away.code, message=away.message)
            self._stalls.see(Sign.COMMIT_UNANSWERED)
            return
        if next_offset is not None:
            self._release(job, next_offset=next_offset)

    async def _settle(self, job: RunningJob) -> int | None:
        """Commit, and return the offset to go on from; None where it must be tried again.

        Nothing is committed, and nothing done twice, if the group has gone past this record meanwhile: another member
        had the partition for a while. That is asked each time. A worker that stood still does not know yet that it
        lost its place, and once all others have left the group the broker takes any commit.
        """
        partition, next_offset = job.partition, job.record.offset + 1
        committed = await self._source.committed(partition)
        if committed is not None and committed >= next_offset:
            log.info("the group went past this record", audit="passed_over", committed=committed)
            self._stalls.clear(Sign.COMMIT_UNANSWERED)  # the broker answers; it may be our own commit that it knows
            self._forgetting.forget(job.record)
            return committed
        if self._in_doubt or self._jobs.get(partition) is not job:
            return None
        with job.state.step(Step.COMMIT):
            outcome = await self._commit_unless_revoked(partition, next_offset)
        if outcome is CommitOutcome.UNKNOWN:
            self._stalls.see(Sign.COMMIT_UNANSWERED)
            return None
        self._stalls.clear(Sign.COMMIT_UNANSWERED)
        if outcome is CommitOutcome.LOST:
            log.info("partition lost before the commit, its new owner will answer again", audit="commit_lost")
            self._stalls.see(Sign.UNSETTLED)  # a rebalance must follow
        else:
            self.pulse.commit()
            log.info("offset committed", audit="committed", next_offset=next_offset)
            self._forgetting.forget(job.record)
        return next_offset

    async def _commit_unless_revoked(self, partition: Partition, offset: int) -> CommitOutcome:
        """Commit; UNKNOWN where a rebalance begins meanwhile.

        A commit that waits for the broker would go out under the next generation and rewind the new owner.
        """
        self._committing = asyncio.ensure_future(self._source.commit(partition, offset))
        try:
            await asyncio.wait({self._committing})
            return CommitOutcome.UNKNOWN if self._committing.cancelled() else self._committing.result()
        finally:
            self._committing.cancel()
            self._committing = None

    def _release(self, job: RunningJob, *, next_offset: int) -> None:
        partition = job.partition
        if self._jobs.get(partition) is not job:
            return  # lost in a rebalance while the commit was under way
        del self._jobs[partition]
        if job.epoch != self._epoch or next_offset != job.record.offset + 1:
            self._source.seek(partition, next_offset)

    async def _finish_within_grace(self) -> None:
        log.info("draining", audit="draining", jobs=len(self._jobs), grace_s=self._grace_s)
        deadline_s = asyncio.get_running_loop().time() + self._grace_s
        while self._jobs and asyncio.get_running_loop().time() < deadline_s:
            self._drop([job for job in self._jobs.values() if job.state.is_waiting])
            await self._turn()

    def _drop(self, jobs: Sequence[RunningJob]) -> None:
        for job in jobs:
            job.task.cancel()
            self._given_back.add(job.task)
            job.task.add_done_callback(self._given_back.discard)
            del self._jobs[job.partition]

    async def _give_back(self) -> None:
        self._drop(list(self._jobs.values()))
        if self._given_back:
            log.info("jobs given back", jobs=len(self._given_back))
        await asyncio.gather(*self._given_back, return_exceptions=True)
