"""The end of a record that cannot be done: not before the worker has doubted itself, where it should."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from mistudio_worker.errors import MistudioError, ServiceAway
from mistudio_worker.worker import announcements
from mistudio_worker.worker.dead_letter_rate import DeadLetterRate, may_be_own_fault
from mistudio_worker.worker.incoming import readable_job_id
from mistudio_worker.worker.steps import Step

if TYPE_CHECKING:
    from mistudio_worker.worker.announcements import Topics
    from mistudio_worker.worker.dead_letter_rate import DeadLetterLimits
    from mistudio_worker.worker.patience import Patience
    from mistudio_worker.worker.ports import ObjectStore, Publisher
    from mistudio_worker.worker.steps import JobState

log = structlog.get_logger(__name__)


class GivingUp:
    """Writes dead letters and find-failed, and holds back where too many jobs end so.

    Args:
        topics: where they go.
        bucket: of the results, for dead letters too large for the topic.
        store: holds it.
        publisher: takes them.
        patience: shows the loop that the worker holds back.
        limits: how many are believed.
    """

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        topics: Topics,
        bucket: str,
        *,
        store: ObjectStore,
        publisher: Publisher,
        patience: Patience,
        limits: DeadLetterLimits,
    ) -> None:
        self._topics = topics
        self._bucket = bucket
        self._store = store
        self._publisher = publisher
        self._patience = patience
        self._rate = DeadLetterRate(limits)
        self._holding = asyncio.Lock()

    def worked(self) -> None:
        """A result was made."""
        self._rate.worked()

    async def doubts(self, error: MistudioError, state: JobState) -> bool:
        """Hold where the fault may be the worker's own; return whether the job deserves one more try."""
        if not may_be_own_fault(error):
            return False
        with state.waits():
            async with self._holding:
                pause_s = self._rate.hold_s()
                if pause_s:
                    await self._patience.hold(_suspect(error, pause_s), pause_s)
        return pause_s > 0

    async def dead_letter(self, error: MistudioError, state: JobState) -> None:
        """Put the record where it harms nobody and nothing of it is lost; return when it is acknowledged."""
        await self._take_turn(state)
        record, outlast = state.record, self._patience.outlast
        letter = announcements.dead_letter_message(self._topics, record, error, state.attempt)
        with state.step(Step.DEAD_LETTER):
            await outlast(announcements.publish_dead_letter, self._publisher, self._store, self._bucket, letter, record)
        job = state.job or await asyncio.to_thread(readable_job_id, record)
        if may_be_own_fault(error):
            self._rate.failed(job or "")
        if job is not None:
            failed = announcements.find_failed_message(
                self._topics,
                record,
                job=job,
                find_job_id=state.find_job_id,
                error=error,
                attempt=state.attempt,
                traceparent=state.traceparent,
            )
            with state.step(Step.PUBLISH_FAILURE):
                await outlast(self._publisher.publish, failed)

    async def _take_turn(self, state: JobState) -> None:
        with state.waits():
            async with self._holding:
                while (wait_s := self._rate.wait_s(time.monotonic())) > 0:
                    await self._patience.hold(_flood(wait_s), wait_s)
                self._rate.written(time.monotonic())


def known_error(error: Exception) -> MistudioError:
    """Return the error itself, or what is told of a defect; that is logged with its traceback."""
    if isinstance(error, MistudioError):
        return error
    log.exception("a defect of the worker", exc_info=error)
    return MistudioError(
        "WORKER_DEFECT",
        f"the worker failed with {type(error).__name__}",
        "this is a defect of mistudio_worker: report it with the worker's log, then replay the dead letter",
    )


def _suspect(error: MistudioError, pause_s: float) -> ServiceAway:
    return ServiceAway(
        "WORKER_SUSPECT",
        f"too many jobs in a row failed here, the last with {error.code}: {error.message}; it is tried once more "
        f"after {pause_s:.0f} s",
        "look for a cause that all of them share: memory, device, buckets, the worker's settings; "
        "MISTUDIO_JOB__SUSPECT_AFTER says how many are believed",
    )


def _flood(wait_s: float) -> ServiceAway:
    return ServiceAway(
        "DEAD_LETTER_FLOOD",
        f"more dead letters than MISTUDIO_JOB__DEAD_LETTERS_PER_MINUTE; the next one goes out in {wait_s:.0f} s",
        "find out who sends them; raise the limit only where so many bad events are expected",
    )
