"""What goes wrong ends where the design says: dead letter and find-failed, or a partial result; nothing is stuck."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from support import workers
from support.broken_runs import BROKEN_RUNS
from support.runs import write_run

if TYPE_CHECKING:
    from support.workers import Place, Seen, Worker

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "find-failed.v1.json").read_text())
REFUSED = ("rows_lt_texts", "wrong_sae", "cut_activations", "flip_tensor_sae", "runs_code_sae", "legacy_activations")
PARTIAL = ("nan_features", "no_originals", "missing_sae", "metadata_bad_json")
MALFORMED = {
    "not JSON": (b"{no json", "EVENT_MALFORMED"),
    "not UTF-8": (b"\xff\xfe\x00", "EVENT_MALFORMED"),
    "empty": (b"", "EVENT_MALFORMED"),
    "a list": (b"[1]", "EVENT_MALFORMED"),
    "no job": (b"{}", "INVALID_FIELD"),
    "a path as job": (b'{"job_id": "../../etc"}', "INVALID_JOB_ID"),
    "an unsafe key": (
        b'{"job_id": "unsafe", "artifacts": {"metadata": {"key": "activations/../../secret"}}}',
        "UNSAFE_KEY",
    ),
    "a parameter out of range": (b'{"job_id": "greedy", "parameters": {"top_k": 0}}', "INVALID_PARAMETER"),
}


def new_job() -> str:
    """A training job id that no other test uses."""
    return f"train_{uuid.uuid4().hex[:12]}"


def check_letter(place: Place, record: Seen, code: str) -> Seen:
    """Wait for a record's dead letter and check that nothing of the record is lost and everything is explained."""
    letter = place.wait_for_letter(record)
    assert (letter.key, letter.value) == (record.key, record.value)
    assert letter.headers[: len(record.headers)] == record.headers
    assert letter.header("error-code") == code
    assert len(letter.header("error-message") or "") > 10
    assert len(letter.header("error-hint") or "") > 10
    assert letter.header("original-topic") == record.topic
    assert int(letter.header("original-timestamp") or 0) > 1_600_000_000_000
    assert letter.header("attempt") is not None
    return letter


def check_failed(place: Place, job: str, letter: Seen) -> None:
    """Wait for a job's find-failed and check that it says what the dead letter says."""
    (failed,) = place.wait_for_records(place.topics.find_failed, job)
    jsonschema.validate(failed.data, SCHEMA)
    told = {name: failed.data[name] for name in ("code", "message", "hint")}
    assert told == {name: letter.header(f"error-{name}") for name in told}
    assert failed.data["source_job_id"] == job
    assert str(failed.data["attempt"]) == letter.header("attempt")
    assert failed.header("ce_type") == "io.mistudio.find.failed.v1"


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_run_ends_in_the_dead_letter_topic(place: Place, worker: Worker, tmp_path: Path, kind: str) -> None:
    """A run that can never work: dead letter with the original bytes, find-failed, no result, the code did not run."""
    run, job = BROKEN_RUNS[kind], new_job()
    run.write(tmp_path)
    place.put_run(tmp_path, job=job)
    record = place.announce(job, note="anything else in the event is kept")
    letter = check_letter(place, record, run.codes[0])
    check_failed(place, job, letter)
    failed = place.records(place.topics.find_failed, job)[0]
    assert failed.header("traceparent") == workers.PARENT
    assert not failed.data["retriable"]
    assert place.records(place.topics.find_complete, job) == []
    assert [line["outcome"] for line in worker.wait_for_lines(job)] == ["dead-lettered"]
    assert list(worker.work_dir.rglob("CODE_RAN")) == []


@pytest.mark.usefixtures("worker")
def test_the_partition_moves_on_behind_a_refused_run(place: Place, tmp_path: Path) -> None:
    """A good run that stands behind a refused one in the same partition is done."""
    bad, good = new_job(), new_job()
    BROKEN_RUNS["rows_lt_texts"].write(tmp_path / "bad")
    write_run(tmp_path / "good", n_texts=60)
    place.put_run(tmp_path / "bad", job=bad)
    place.put_run(tmp_path / "good", job=good)
    first, second = (place.announce(job, partition=1) for job in (bad, good))
    assert (second.partition, second.offset) == (first.partition, first.offset + 1)
    assert place.wait_for_result(good).data["status"] == "completed"
    place.wait_for_letter(first)
    place.wait_until_committed()


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("kind", PARTIAL)
def test_a_run_with_gaps_is_analysed_in_part(place: Place, tmp_path: Path, kind: str) -> None:
    """What is missing is named in the event, the manifest and the results alike; the rest is there."""
    run, job = BROKEN_RUNS[kind], new_job()
    run.write(tmp_path)
    place.put_run(tmp_path, job=job)
    record = place.announce(job)
    complete = place.wait_for_result(job).data
    assert complete["status"] == "partial"
    assert [reason["code"] for reason in complete["reasons"]] == list(run.codes)
    assert place.manifest(complete["find_job_id"])["reasons"] == complete["reasons"]
    (export,) = [export for export in complete["exports"] if export["format"] == "json"]
    results = json.loads(place.get(export["key"]))
    assert [gap["code"] for gap in results["gaps"]] == list(run.codes)
    assert len(results["features"]) == complete["counts"]["features"] > 0
    assert place.letter_of(record) is None


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("form", MALFORMED)
def test_a_malformed_event_ends_in_the_dead_letter_topic(place: Place, form: str) -> None:
    """Whatever stands in the topic, its bytes are kept with a code; find-failed only where the job can be read."""
    value, code = MALFORMED[form]
    record = place.publish(value, headers=[("x-mine", b"\x00\xff")], key=b"\xff not text")
    check_letter(place, record, code)
    job = json.loads(value).get("job_id") if value.startswith(b'{"job_id": "') else None
    if job is not None and ".." not in job:
        failed = place.wait_for_records(place.topics.find_failed, job)
        assert [seen.data["code"] for seen in failed] == [code]


@pytest.mark.usefixtures("worker")
def test_an_unknown_type_ends_in_the_dead_letter_topic(place: Place) -> None:
    """A v2 event is not read as a v1 event: its type is named."""
    job = new_job()
    value, headers = workers.binary_event({"job_id": job}, event_type="io.mistudio.training.completed.v2")
    letter = check_letter(place, place.publish(value, headers=headers, key=job.encode()), "EVENT_TYPE_UNKNOWN")
    assert "io.mistudio.training.completed.v2" in (letter.header("error-message") or "")
    check_failed(place, job, letter)


def test_absent_artifacts_are_awaited_and_then_given_up(place: Place, worker: Worker) -> None:
    """Nothing in the bucket: asked for again until the time is over, then ARTIFACT_MISSING, retriable."""
    job = new_job()
    letter = check_letter(place, place.announce(job), "ARTIFACT_MISSING")
    check_failed(place, job, letter)
    assert place.records(place.topics.find_failed, job)[0].data["retriable"]
    assert f"activations/{job}/feature_activations.pt" in (letter.header("error-message") or "")
    assert len([line for line in worker.said("artifacts awaited") if line["job"] == job]) >= 2


def test_artifacts_that_arrive_late_are_analysed(place: Place, worker: Worker, tmp_path: Path) -> None:
    """The event comes first, the files while the worker waits: a whole result, no dead letter."""
    job = new_job()
    write_run(tmp_path, n_texts=60)
    record = place.announce(job)
    awaited = workers.wait_for(
        lambda: [line for line in worker.said("artifacts awaited") if line["job"] == job] or None, "the worker to wait"
    )
    place.put_run(tmp_path, job=job)
    assert place.wait_for_result(job).data["status"] == "completed"
    assert awaited[0]["awaited"] == ["ARTIFACT_MISSING"]
    assert place.letter_of(record) is None


@pytest.mark.usefixtures("worker")
def test_a_run_that_is_not_ready_is_given_up_as_such(place: Place, tmp_path: Path) -> None:
    """ready_for_find_service false: as absent, with a code of its own."""
    job = new_job()
    BROKEN_RUNS["metadata_not_ready"].write(tmp_path)
    place.put_run(tmp_path, job=job)
    check_letter(place, place.announce(job), "ARTIFACT_NOT_READY")


@pytest.mark.usefixtures("worker")
def test_a_file_that_is_not_the_announced_one_is_refused(place: Place, tmp_path: Path) -> None:
    """The event's SHA-256 is checked against what was read; both are named."""
    job = new_job()
    write_run(tmp_path, n_texts=60)
    place.put_run(tmp_path, job=job)
    wrong = {"key": f"models/{job}/sae_model.pt", "sha256": "0" * 64}
    letter = check_letter(place, place.announce(job, artifacts={"sae_model": wrong}), "ARTIFACT_CHECKSUM")
    assert "0" * 64 in (letter.header("error-message") or "")


@pytest.fixture
def long_job(place: Place, tmp_path: Path) -> str:
    """A run in the bucket that takes a worker some seconds."""
    write_run(tmp_path, n_texts=20_000, n_features=320, d=24)
    return place.put_run(tmp_path, job=new_job())


def kill_child_in(place: Place, worker: Worker, job: str, *, attempt: int) -> None:
    """Wait until the child works on an attempt at a job, and kill it."""

    def analysing() -> bool | None:
        told = [seen.data for seen in place.records(place.topics.find_progress, job)]
        return any(event["attempt"] == attempt and event["step"] != "fetch" for event in told) or None

    workers.wait_for(analysing, f"attempt {attempt} at {job}")
    worker.kill_child()


def test_a_killed_child_is_an_attempt_and_the_job_is_done(place: Place, worker: Worker, long_job: str) -> None:
    """SIGKILL in the middle of the analysis: counted, tried again by a new child, one whole result."""
    place.announce(long_job)
    kill_child_in(place, worker, long_job, attempt=1)
    complete = place.wait_for_result(long_job, within_s=120)
    assert place.manifest(complete.data["find_job_id"])["attempt"] == 2
    assert [line["code"] for line in worker.said("attempt failed")][-1:] == ["CHILD_KILLED"]
    keys = place.keys(f"find/{complete.data['find_job_id']}/")
    assert len(keys) == len(complete.data["exports"]) + 1
    place.wait_until_committed()
    assert place.keys("attempts/") == []


def test_a_job_that_kills_every_child_is_given_up(place: Place, worker: Worker, long_job: str) -> None:
    """After the last attempt that is allowed: ATTEMPTS_EXHAUSTED with the cause, and nothing is left of it."""
    record = place.announce(long_job, parameters={"top_k": 7})
    for attempt in (1, 2):
        kill_child_in(place, worker, long_job, attempt=attempt)
    letter = check_letter(place, record, "ATTEMPTS_EXHAUSTED")
    assert "CHILD_KILLED" in (letter.header("error-message") or "")
    assert letter.header("attempt") == "2"
    check_failed(place, long_job, letter)
    place.wait_until_committed()
    assert place.keys("attempts/") == []
    assert worker.running
