"""The example run through Kafka and an S3 server: an event in, exports and an event out."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from support import workers
from support.runs import TOKEN, write_run
from support.workers import COMMAND, PARENT

if TYPE_CHECKING:
    from support.workers import Place, Seen, Worker

SCHEMAS = Path(__file__).parents[2] / "schemas"
FORMS = ("binary", "structured", "bare", "notification")


@dataclass(frozen=True)
class MainJob:
    """What came of the example run, announced once in each form.

    Attributes:
        training_job: its id.
        complete: the find-complete events, in the order of `FORMS`.
    """

    training_job: str
    complete: list[Seen]

    @property
    def find_job(self) -> str:
        """The find job's id."""
        found: str = self.complete[0].data["find_job_id"]
        return found


@pytest.fixture(scope="module")
def main_job(place: Place, worker: Worker, example_run: Path) -> MainJob:
    """The example run, uploaded and announced in every form, one after the other."""
    del worker
    job = place.put_run(example_run)
    ways: dict[str, tuple[bytes, list[tuple[str, bytes]]]] = {
        "binary": workers.binary_event({"job_id": job}),
        "structured": workers.structured_event({"job_id": job}),
        "bare": (json.dumps({"job_id": job}).encode(), []),
        "notification": (workers.bucket_notification(place.artifacts, job), []),
    }
    for number, form in enumerate(FORMS, start=1):
        value, headers = ways[form]
        place.publish(value, headers=headers, key=job.encode())
        found = place.wait_for_records(place.topics.find_complete, job, count=number)
    return MainJob(job, found)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_event_leads_to_the_same_find_complete(main_job: MainJob, form: str) -> None:
    """Whatever form announces the run, find-complete has the same bytes, key, id and time."""
    first, this = main_job.complete[0], main_job.complete[FORMS.index(form)]
    assert this.value == first.value
    assert this.key == main_job.training_job.encode()
    names = ("ce_id", "ce_time", "ce_type", "ce_specversion", "ce_subject")
    assert [this.header(name) for name in names] == [first.header(name) for name in names]
    assert this.header("ce_id") == main_job.find_job


def test_a_known_job_is_answered_without_a_second_analysis(place: Place, worker: Worker, main_job: MainJob) -> None:
    """Four events made one data prefix; the three later jobs claimed no attempt."""
    keys = place.keys(f"find/{main_job.find_job}/")
    assert len({key.split("/")[2] for key in keys if not key.endswith("manifest.json")}) == 1
    lines = worker.wait_for_lines(main_job.training_job, count=len(FORMS))
    assert [(line["outcome"], line["attempt"]) for line in lines[: len(FORMS)]] == [
        ("completed", 1),
        ("completed", 0),
        ("completed", 0),
        ("completed", 0),
    ]


def test_other_parameters_are_another_job(place: Place, main_job: MainJob) -> None:
    """The same run with another top_k has a find job and a result of its own."""
    before = len(place.records(place.topics.find_complete, main_job.training_job))
    place.announce(main_job.training_job, parameters={"top_k": 3})
    found = place.wait_for_records(place.topics.find_complete, main_job.training_job, count=before + 1)[-1]
    assert found.data["find_job_id"] != main_job.find_job
    assert found.data["parameters"]["top_k"] == 3
    assert max(len(feature["top_activations"]) for feature in _results(place, found)["features"]) == 3


def _results(place: Place, complete: Seen) -> dict[str, Any]:
    (export,) = [export for export in complete.data["exports"] if export["format"] == "json"]
    parsed: dict[str, Any] = json.loads(place.get(export["key"]))
    return parsed


def test_find_complete_is_what_its_schema_says(place: Place, main_job: MainJob) -> None:
    """The event's data validates, counts agree with the results, and it stays under 256 KB."""
    event = main_job.complete[0]
    schema = json.loads((SCHEMAS / "find-complete.v1.json").read_text())
    jsonschema.validate(event.data, schema, cls=jsonschema.Draft202012Validator)
    assert event.header("ce_type") == "io.mistudio.find.completed.v1"
    assert len(event.value or b"") < 256_000
    features = _results(place, event)["features"]
    over = [
        f["feature_id"] for f in features if f["coherence_score"] >= event.data["parameters"]["coherence_threshold"]
    ]
    assert event.data["counts"]["features"] == len(features)
    assert event.data["priority_total"] == len(over)
    assert {p["feature_id"] for p in event.data["priority_features"]} <= set(over)


def test_the_manifest_lists_every_object_as_it_is(place: Place, main_job: MainJob) -> None:
    """Every object of the job is listed with its size and SHA-256, and every listed object is there."""
    event = main_job.complete[0].data
    raw = place.get(event["manifest_key"])
    manifest = json.loads(raw)
    jsonschema.validate(manifest, json.loads((SCHEMAS / "manifest.v1.json").read_text()))
    assert hashlib.sha256(raw).hexdigest() == event["manifest_sha256"]
    listed = {export["key"]: (export["size"], export["sha256"]) for export in manifest["exports"]}
    stored = {key: place.get(key) for key in place.keys(f"find/{main_job.find_job}/") if key != event["manifest_key"]}
    assert listed == {key: (len(raw), hashlib.sha256(raw).hexdigest()) for key, raw in stored.items()}
    assert event["exports"] == manifest["exports"]
    assert {Path(key).name.removeprefix(main_job.find_job) for key in listed} >= {
        "_complete_results.json",
        "_feature_analysis.csv",
        "_analysis.xml",
        "_features.pt",
        "_summary_report.txt",
        "_index.json",
        "_bundle.zip",
    }


def test_the_manifest_is_written_last(place: Place, main_job: MainJob) -> None:
    """No object of the job is younger than its manifest."""
    objects = list(place.store.list_objects(place.results, prefix=f"find/{main_job.find_job}/", recursive=True))
    written = {item.object_name: item.last_modified for item in objects if item.last_modified is not None}
    assert len(written) == len(objects) > 1
    assert max(written.values()) == written[f"find/{main_job.find_job}/manifest.json"]


def test_the_trace_goes_through(place: Place, main_job: MainJob) -> None:
    """The traceparent of the event stands in find-complete and in progress; without one there is none."""
    assert [event.header("traceparent") for event in main_job.complete] == [PARENT, PARENT, None, None]
    progress = place.wait_for_records(place.topics.find_progress, main_job.training_job)
    assert PARENT in {seen.header("traceparent") for seen in progress}


def test_progress_is_told_step_by_step(place: Place, main_job: MainJob) -> None:
    """Progress events are keyed by the job, say their attempt and fit their schema."""
    schema = json.loads((SCHEMAS / "find-progress.v1.json").read_text())
    told = [
        seen.data
        for seen in place.wait_for_records(place.topics.find_progress, main_job.training_job, count=3)
        if seen.data["find_job_id"] == main_job.find_job
    ]
    for event in told:
        jsonschema.validate(event, schema)
    assert {event["attempt"] for event in told} == {1}
    assert told[0]["step"] == "fetch"
    assert len({event["step"] for event in told}) >= 3


def test_every_offset_is_committed(place: Place, main_job: MainJob) -> None:
    """After the last outcome the group has nothing left to read."""
    del main_job
    place.wait_until_committed()


def test_no_attempt_is_remembered_after_the_outcome(place: Place, main_job: MainJob) -> None:
    """The markers of attempts are gone when the job is."""
    del main_job
    place.wait_until_committed()
    assert place.keys("attempts/") == []


def test_locally_and_through_kafka_the_bytes_are_the_same(
    place: Place, main_job: MainJob, example_run: Path, tmp_path: Path
) -> None:
    """`analyze` on this disk and the worker make the same find job with the same SHA-256 of every export."""
    subprocess.run([COMMAND, "analyze", example_run, "--out", tmp_path], check=True, capture_output=True)
    (directory,) = (tmp_path / "results").iterdir()
    assert directory.name == main_job.find_job
    local = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}
    remote = {Path(e["key"]).name: e["sha256"] for e in place.manifest(main_job.find_job)["exports"]}
    assert local == remote


def test_the_token_of_the_trainer_shows_up_nowhere(place: Place, worker: Worker, tmp_path: Path) -> None:
    """The Hugging Face token in a checkpoint is in no export, manifest, event or log line."""
    run = write_run(tmp_path, job_id="train_with_token")
    assert TOKEN.encode() in run.sae_model.read_bytes()
    place.announce(place.put_run(tmp_path))
    complete = place.wait_for_result(run.training_job_id)
    told = {key: place.get(key) for key in place.keys(f"find/{complete.data['find_job_id']}/")}
    assert len(told) > len(complete.data["exports"])
    for topic in vars(place.topics).values():
        for seen in place.records(topic):
            told[f"{topic} {seen.partition} {seen.offset}"] = (seen.value or b"") + repr(seen.headers).encode()
    told["the log"] = worker.log.encode()
    assert [where for where, content in told.items() if TOKEN.encode() in content] == []
