"""What the log says of jobs: who a line is about, and each change of a job's state.

Every line that is logged while a job runs, by whichever room, carries `correlation` of it: the job's task binds it.
A line with the field `audit` is a change of state; docs/reference/logs.md lists their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from mistudio_worker.worker.steps import Ended, Finished, Step, Taken

if TYPE_CHECKING:
    from mistudio_worker.worker.steps import JobEvent, JobState

log = structlog.get_logger(__name__)


def correlation(state: JobState) -> dict[str, object]:
    """Return what tells a job's lines from those of others; what is not known yet is left out."""
    record = state.record
    known: dict[str, object] = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    later = {
        "trace_id": state.traceparent.split("-")[1] if state.traceparent else None,
        "event_id": state.event_id,
        "job": state.job,
        "find_job_id": state.find_job_id,
        "attempt": state.attempt or None,
    }
    return {**known, **{name: value for name, value in later.items() if value is not None}}


def log_job(state: JobState, event: JobEvent) -> None:
    """Observe a job: bind what is known of it, log what becomes of it."""
    match event:
        case Taken():
            _bind(state)
            log.info("record taken", audit="taken", queued_s=state.queued_s)
        case Ended(step, _, None):
            _ended(state, step)
        case Finished():
            if state.outcome == "given back":
                log.info("record given back", audit="given_back")
        case _:
            pass


def _ended(state: JobState, step: Step) -> None:
    match step:
        case Step.READ | Step.IDENTIFY:
            _bind(state)
        case Step.CLAIM:
            _bind(state)
            log.info("attempt claimed", audit="attempt_claimed")
        case Step.MANIFEST:
            log.info("result visible", audit="visible")
        case Step.PUBLISH:
            log.info("find-complete acknowledged", audit="announced")
        case Step.DEAD_LETTER:
            log.info("dead letter acknowledged", audit="dead_lettered")
        case Step.PUBLISH_FAILURE:
            log.info("find-failed acknowledged", audit="failure_announced")
        case _:
            pass


def _bind(state: JobState) -> None:
    structlog.contextvars.bind_contextvars(**correlation(state))
