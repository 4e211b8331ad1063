"""The life of one job, from a record to its published outcome. Read `JobRunner` from top to bottom."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from mistudio_worker.contracts.events import FindProgressV1
from mistudio_worker.domain.identity import derive_identity
from mistudio_worker.errors import ChildFailed, MistudioError, NotYetThere, ServiceAway
from mistudio_worker.worker import announcements, result_store
from mistudio_worker.worker.attempts import AttemptLedger, record_hash, sweep_passed
from mistudio_worker.worker.dead_letter_rate import DeadLetterLimits
from mistudio_worker.worker.giving_up import GivingUp, known_error
from mistudio_worker.worker.incoming import read_request
from mistudio_worker.worker.inputs import locate
from mistudio_worker.worker.production import Order
from mistudio_worker.worker.retry import check_attempts, smaller_budget
from mistudio_worker.worker.steps import Finished, Step, Taken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mistudio_worker.domain.identity import JobIdentity
    from mistudio_worker.worker.analysis_request import Progress
    from mistudio_worker.worker.announcements import Topics
    from mistudio_worker.worker.incoming import AllowedPlaces, TrainingRequest
    from mistudio_worker.worker.inputs import InputLimits, Inputs
    from mistudio_worker.worker.patience import Patience
    from mistudio_worker.worker.ports import ObjectStore, Partition, Publisher, Record
    from mistudio_worker.worker.production import Production
    from mistudio_worker.worker.result_store import StoredManifest
    from mistudio_worker.worker.retry import AttemptLimits, Budget
    from mistudio_worker.worker.steps import JobState

log = structlog.get_logger(__name__)
ARTIFACT_POLL_S = (0.5, 10.0)
PAUSE_WITHOUT_OUTCOME_S = 5.0
MAX_LOOKS = 10
"""How often artifacts that change while they are read are looked at anew."""


@dataclass(frozen=True, slots=True)
class JobConfig:
    """What does not change from job to job."""

    artifacts_bucket: str
    results_bucket: str
    allowed_places: AllowedPlaces
    topics: Topics
    input_limits: InputLimits
    attempt_limits: AttemptLimits
    budget: Budget
    taxonomy_sha256: str
    analysis_version: str
    artifact_wait_s: float
    progress_interval_s: float
    release_timeout_s: float
    dead_letter_limits: DeadLetterLimits = field(default_factory=DeadLetterLimits)


@dataclass(frozen=True, slots=True)
class JobPorts:
    """What a job needs of the outside; `slots` has as many places as jobs may compute at a time."""

    store: ObjectStore
    publisher: Publisher
    production: Production
    patience: Patience
    slots: asyncio.Semaphore


class JobRunner:
    """Carries one record after another to its outcome."""

    def __init__(self, config: JobConfig, ports: JobPorts) -> None:
        self._config = config
        self._ports = ports
        self._outlast = ports.patience.outlast
        self._giving_up = GivingUp(
            config.topics,
            config.results_bucket,
            store=ports.store,
            publisher=ports.publisher,
            patience=ports.patience,
            limits=config.dead_letter_limits,
        )

    async def run(self, state: JobState) -> None:
        """Carry a new job's record to its outcome: find-complete, or the dead letter and find-failed.

        When this returns, all replicas have acknowledged the outcome and the offset may be committed.
        Cancelling gives the record back: no outcome is published, and the attempt is not counted.
        """
        state.tell(Taken())
        try:
            await self._reach_outcome(state)
        except Exception:  # not even a dead letter could be written: the loop takes the record again, but not at once
            await asyncio.sleep(PAUSE_WITHOUT_OUTCOME_S)
            raise
        finally:
            log.info("job", **state.summary())
            state.tell(Finished())

    async def forget(self, record: Record) -> None:
        """Drop the count of a record's attempts, once its offset is committed; never raises.

        Not sooner: a record that is delivered again after its dead letter must not have all attempts anew. What a
        crash or an outage leaves is dropped by `forget_passed`.
        """
        try:
            await asyncio.wait_for(self._ledger(record).clear(), self._config.release_timeout_s)
        except (MistudioError, TimeoutError):
            log.info("the count of attempts of a finished record stays", hash=record_hash(record))

    async def forget_passed(self, committed: Mapping[Partition, int]) -> list[str]:
        """Drop the counts that a worker left which died between its commit and `forget`; see `sweep_passed`."""
        return await sweep_passed(self._ports.store, self._config.results_bucket, committed)

    async def _reach_outcome(self, state: JobState) -> None:
        try:
            stored = await self._result_or_doubt(state)
            message = announcements.find_complete_message(self._config.topics, stored, state.traceparent)
            with state.step(Step.PUBLISH):
                await self._outlast(self._ports.publisher.publish, message)
            state.outcome = stored.manifest.status
            if state.attempt:
                self._giving_up.worked()
        except Exception as error:  # a defect of ours must not become poison either
            known = known_error(error)
            await self._giving_up.dead_letter(known, state)
            state.outcome, state.code = "dead-lettered", known.code

    async def _result_or_doubt(self, state: JobState) -> StoredManifest:
        """Return the result; a worker that doubts itself pauses and tries once more before it raises."""
        try:
            return await self._result(state)
        except Exception as error:
            known = known_error(error)
            if not await self._giving_up.doubts(known, state):
                raise known from error
        state.second_try = True
        return await self._result(state)

    async def _result(self, state: JobState) -> StoredManifest:
        """Return the one result of this input: the known one, or a new one."""
        with state.step(Step.READ):
            # in a thread: an event made to be slow must not stop the loop
            request = await asyncio.to_thread(
                read_request,
                state.record,
                artifacts_bucket=self._config.artifacts_bucket,
                allowed=self._config.allowed_places,
            )
            state.job, state.event_id = request.training_job_id, request.event_id
            state.traceparent = request.traceparent
        looks = 0
        while True:
            looks += 1
            with state.step(Step.IDENTIFY):
                inputs = await self._await_inputs(request, state)
                identity = self._identify(request, inputs)
                state.find_job_id = identity.find_job_id
            try:
                async with self._slot(state):
                    with state.step(Step.LOOK_UP):
                        known = await self._known(identity)
                    return known or await self._make(request, inputs, identity, state)
            except NotYetThere:  # an artifact was replaced while it was read, or before a slot was free: look again
                if looks == MAX_LOOKS:
                    raise

    @asynccontextmanager
    async def _slot(self, state: JobState) -> AsyncIterator[None]:
        with state.waits():
            await self._ports.slots.acquire()
        try:
            yield
        finally:
            self._ports.slots.release()

    async def _await_inputs(self, request: TrainingRequest, state: JobState) -> Inputs:
        """Look for the artifacts until all are there; after the time for it, do with what there is.

        Only pauses count: uploads stand still, too, while the store is away.
        """
        pause_s, pause_max_s = ARTIFACT_POLL_S
        left_s = self._config.artifact_wait_s
        while True:
            try:
                inputs = await self._outlast(locate, self._ports.store, request, self._config.input_limits)
                if not inputs.absent or left_s <= 0:
                    return inputs
                awaited = inputs.absent
            except NotYetThere as error:
                if left_s <= 0:
                    raise
                awaited = [error.code]
            log.info("artifacts awaited", job=request.training_job_id, awaited=awaited, left_s=round(left_s, 1))
            pause_s = min(pause_s, left_s)
            with state.waits():
                await asyncio.sleep(pause_s)
            left_s -= pause_s
            pause_s = min(pause_s * 2, pause_max_s)

    def _identify(self, request: TrainingRequest, inputs: Inputs) -> JobIdentity:
        return derive_identity(
            request.training_job_id,
            fingerprints=inputs.fingerprints,
            parameters=request.parameters,
            taxonomy_sha256=self._config.taxonomy_sha256,
            analysis_version=self._config.analysis_version,
            metadata_timestamp=inputs.timestamp,
        )

    async def _stored(self, identity: JobIdentity) -> StoredManifest | None:
        store, bucket = self._ports.store, self._config.results_bucket
        stored = await self._outlast(result_store.read_manifest, store, bucket, identity.find_job_id)
        if stored is not None:
            result_store.check_same_job(stored, identity)
        return stored

    async def _known(self, identity: JobIdentity) -> StoredManifest | None:
        """Return the result that is there already, whole; None where it must be made."""
        stored = await self._stored(identity)
        if stored is None:
            return None
        damaged = await self._outlast(result_store.damaged_exports, self._ports.store, stored)
        if damaged:
            log.warning("exports of a known result are gone, making them again", keys=[e.key for e in damaged])
            return None
        await self._outlast(result_store.sweep, self._ports.store, stored)
        return stored

    async def _make(
        self, request: TrainingRequest, inputs: Inputs, identity: JobIdentity, state: JobState
    ) -> StoredManifest:
        """Try until it works, the artifacts are refused, or the attempts are used up."""
        order = Order(request, inputs, identity, known=await self._stored(identity))
        while True:
            stored = await self._outlast(self._try_once, order, self._ledger(state.record), state)
            if stored is not None:
                return stored

    async def _try_once(self, order: Order, ledger: AttemptLedger, state: JobState) -> StoredManifest | None:
        """Claim an attempt and use it; None where the child failed and another one may follow.

        Raises:
            ServiceAway: a fault of the worker's surroundings, such as a full disk: the attempt is given back.
        """
        with state.step(Step.CLAIM):
            counts = await self._outlast(ledger.counts)
            last = await self._outlast(ledger.last_failure) if counts.failed else None
            limits = self._config.attempt_limits
            check_attempts(counts, limits.with_one_more() if state.second_try else limits, last)
            budget = smaller_budget(self._config.budget, counts, last)
            state.attempt = await self._outlast(ledger.claim, secrets.token_hex(8))
        try:
            return await self._produce(order, budget, state)
        except ChildFailed as error:
            await self._outlast(ledger.failed, state.attempt, error)
            told = {"code": error.code, "message": error.message, "memory_bytes": budget.memory_bytes}
            log.warning("attempt failed", audit="attempt_failed", **told)
            return None
        except (asyncio.CancelledError, NotYetThere, ServiceAway):
            await asyncio.shield(self._release(ledger, state.attempt))
            raise

    async def _produce(self, order: Order, budget: Budget, state: JobState) -> StoredManifest:
        reporter = announcements.ProgressReporter(
            self._ports.publisher, self._config.topics.find_progress, self._config.progress_interval_s
        )

        def report(progress: Progress) -> None:
            state.tell(progress)
            event = FindProgressV1(
                source_job_id=order.identity.training_job_id,
                find_job_id=order.identity.find_job_id,
                step=progress.step,
                fraction=min(max(progress.fraction, 0.0), 1.0),
                attempt=state.attempt,
            )
            reporter.report(event, state.traceparent)

        try:
            return await self._ports.production.produce(order, budget, state, report)
        finally:
            await reporter.close()

    async def _release(self, ledger: AttemptLedger, number: int) -> None:
        try:
            await asyncio.wait_for(ledger.released(number), self._config.release_timeout_s)
            log.info("attempt given back", audit="attempt_released", attempt=number)
        except (MistudioError, TimeoutError):
            log.warning("an attempt could not be given back and will count as a silent death", attempt=number)

    def _ledger(self, record: Record) -> AttemptLedger:
        return AttemptLedger(self._ports.store, self._config.results_bucket, record)
