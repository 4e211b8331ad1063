"""Hostile records: read or refused with their code, quickly, and with words that every header can carry."""

from __future__ import annotations

import time

import pytest
from support.hostile.events import HOSTILE_EVENTS, JOB

from mistudio_worker.errors import RefusedInput
from mistudio_worker.worker.incoming import read_request, readable_job_id
from mistudio_worker.worker.ports import Record

TOO_LONG_S = 30.0
"""A quiet machine takes a fifth of a second for the slowest."""


@pytest.mark.parametrize("kind", HOSTILE_EVENTS)
def test_a_hostile_event_ends_with_its_code(kind: str) -> None:
    """Each kind ends as the catalogue says; the job is named only where it is safe to name."""
    hostile = HOSTILE_EVENTS[kind]
    record = Record("training-complete", 0, 0, 0, None, hostile.value, hostile.headers)
    begun_s = time.perf_counter()
    code, words = _outcome(record)
    job = readable_job_id(record)
    assert time.perf_counter() - begun_s < TOO_LONG_S
    assert code in hostile.codes
    assert job in (None, JOB, "a")
    assert len(words.encode()) < 1500


def _outcome(record: Record) -> tuple[str, str]:
    """Code and words of the refusal; `completed` where the record names the good job."""
    try:
        job = read_request(record, artifacts_bucket="artifacts").training_job_id
    except RefusedInput as error:
        return error.code, error.message + error.hint
    return "completed" if job == JOB else job, ""
