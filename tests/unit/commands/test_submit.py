"""What `submit --wait` makes of what others write, and what `backfill` makes of odd names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.fakes import FakeStore
from support.house import ARTIFACTS, JOB, RESULTS, record_of

from mistudio_worker.commands.backfill import trainings_without_results
from mistudio_worker.commands.submit import follow, submission_of
from mistudio_worker.contracts.events import FindFailedV1, ParametersV1
from mistudio_worker.errors import RefusedInput
from mistudio_worker.worker.announcements import Topics, find_failed_message
from mistudio_worker.worker.ports import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def topics(*records: Record) -> AsyncIterator[Record]:
    """Topics that hold these records."""
    for record in records:
        yield record


async def test_records_that_are_no_events_are_passed_over() -> None:
    """A tombstone and a stranger's bytes in the topics do not end the wait for our own outcome."""
    submission = submission_of(JOB, ParametersV1())
    message = find_failed_message(
        Topics("c", "f", "p", "d"),
        record_of(),
        job=JOB,
        find_job_id=None,
        error=RefusedInput("CODE", "m", "h"),
        attempt=1,
        traceparent=submission.traceparent,
    )
    ours = Record("f", 0, 2, 0, message.key, message.value, message.headers)
    found = topics(record_of(b""), record_of(b"\xff no JSON"), ours)
    outcome = await follow(found, submission, limit_s=5, on_progress=lambda _progress: None)
    assert isinstance(outcome, FindFailedV1)
    assert outcome.code == "CODE"


async def test_a_name_that_is_no_job_id_is_no_training() -> None:
    """A folder with an unsafe name in the bucket is passed over, and stops nothing that comes after it."""
    store = FakeStore()
    store.buckets[RESULTS] = {}
    for job in ("a..b", JOB):
        store.put(ARTIFACTS, f"activations/{job}/metadata.json", b"{}")
    found = await trainings_without_results(store, artifacts_bucket=ARTIFACTS, results_bucket=RESULTS)
    assert found == [JOB]
