"""`mistudio-worker submit`: announce a finished training run, and wait for what comes of it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mistudio_worker import bootstrap, connections
from mistudio_worker.artifacts.run_dir import find_run
from mistudio_worker.commands.exit_codes import ExitCode, say_error, say_gaps
from mistudio_worker.commands.progress import progress_display
from mistudio_worker.contracts import cloud_event
from mistudio_worker.contracts.events import (
    FIND_COMPLETED_V1,
    FIND_FAILED_V1,
    FIND_PROGRESS_V1,
    TRAINING_COMPLETED_V1,
    ArtifactRefsV1,
    ArtifactRefV1,
    FindCompletedV1,
    FindFailedV1,
    FindProgressV1,
    ParametersV1,
    TrainingCompletedV1,
)
from mistudio_worker.domain.identity import check_training_job_id
from mistudio_worker.errors import RefusedInput, ServiceAway
from mistudio_worker.worker.ports import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mistudio_worker.domain.parameters import Parameters
    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.ports import Publisher, Record

HASH_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Submission:
    """What to announce; `traceparent` marks every event that follows from it."""

    event: TrainingCompletedV1
    traceparent: str


async def prepare(settings: Settings, target: str, job: str | None, parameters: ParametersV1) -> Submission:
    """Make the event for a job id, or upload a folder first.

    Raises:
        MistudioError: no valid job id and no folder of a run, or the store is away.
    """
    # a job id has no slash, and may be the name of some folder here that holds no run
    if "/" not in target and not await asyncio.to_thread((Path(target) / "activations").is_dir):
        return submission_of(target, parameters)
    training_job, artifacts = await _upload_run(settings, Path(target), job)
    event = TrainingCompletedV1(job_id=training_job, bucket=None, artifacts=artifacts, parameters=parameters)
    return Submission(event, _new_traceparent())


def submission_of(job: str, parameters: ParametersV1) -> Submission:
    """Make the event for a run that lies in the store.

    Raises:
        RefusedInput: `INVALID_JOB_ID`.
    """
    event = TrainingCompletedV1(job_id=check_training_job_id(job), bucket=None, parameters=parameters)
    return Submission(event, _new_traceparent())


def _new_traceparent() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


async def announce(publisher: Publisher, topic: str, submission: Submission) -> None:
    """Publish training-complete."""
    job = submission.event.job_id
    headers, value = cloud_event.encode(
        event_type=TRAINING_COMPLETED_V1,
        event_id=submission.traceparent,
        time=datetime.now(UTC),
        subject=job,
        data=submission.event,
        traceparent=submission.traceparent,
    )
    await publisher.publish(Message(topic, job.encode(), value, headers))


async def follow(
    records: AsyncIterator[Record],
    submission: Submission,
    *,
    limit_s: float,
    on_progress: Callable[[FindProgressV1], None],
) -> FindCompletedV1 | FindFailedV1:
    """Wait for the outcome of our own event.

    Raises:
        ServiceAway: `NO_OUTCOME`, none came in time.
    """
    try:
        async with asyncio.timeout(limit_s):
            async for record in records:
                event = _readable(record)
                if event is None or event.traceparent != submission.traceparent:
                    continue
                if event.type == FIND_PROGRESS_V1:
                    on_progress(FindProgressV1.model_validate(event.data))
                elif event.type == FIND_COMPLETED_V1:
                    return FindCompletedV1.model_validate(event.data)
                elif event.type == FIND_FAILED_V1:
                    return FindFailedV1.model_validate(event.data)
    except TimeoutError:
        pass
    raise ServiceAway(
        "NO_OUTCOME",
        f"no outcome of {submission.event.job_id} came within {limit_s:.0f} s",
        "check that a worker runs (mistudio-worker doctor); the event is kept, its outcome will come",
    )


def _readable(record: Record) -> cloud_event.ReceivedEvent | None:
    """Decode a record; None for what others write into these topics that is no event, such as a tombstone."""
    try:
        return cloud_event.decode(record.headers, record.value)
    except RefusedInput:
        return None


async def _upload_run(settings: Settings, run_dir: Path, job: str | None) -> tuple[str, ArtifactRefsV1]:
    """Upload the files of a run; metadata last, since its arrival may be what triggers a worker."""
    files = await asyncio.to_thread(find_run, run_dir, job)
    training_job = files.training_job_id
    places = {
        "sae_model": (files.sae_model, f"models/{training_job}/sae_model.pt"),
        "feature_activations": (files.activations, f"activations/{training_job}/feature_activations.pt"),
        "metadata": (files.metadata, f"activations/{training_job}/metadata.json"),
    }
    uploaded: dict[str, ArtifactRefV1] = {}
    async with connections.open_store(settings) as store:
        for name, (path, key) in places.items():
            if path is not None:
                sha256 = await asyncio.to_thread(sha256_of, path)
                info = await store.upload(settings.store.artifacts_bucket, key, path, sha256=sha256)
                uploaded[name] = ArtifactRefV1(key=key, size=info.size, sha256=sha256)
    return training_job, ArtifactRefsV1.model_validate(uploaded)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


async def submit_command(
    settings: Settings, target: str, *, job: str | None, parameters: Parameters, wait_s: float | None
) -> ExitCode:
    """Announce a run; with `wait_s`, show progress and end with the outcome."""
    submission = await prepare(settings, target, job, ParametersV1.model_validate(parameters, from_attributes=True))
    training_job = submission.event.job_id
    async with connections.open_publisher(settings) as publisher:
        if wait_s is None:
            await announce(publisher, settings.kafka.training_complete_topic, submission)
            typer.echo(f"announced {training_job}")
            return ExitCode.DONE
        async with bootstrap.kafka_watch(settings) as watch:
            await announce(publisher, settings.kafka.training_complete_topic, submission)
            with progress_display(training_job) as report:
                outcome = await follow(
                    watch.records(), submission, limit_s=wait_s, on_progress=lambda p: report(p.step, p.fraction)
                )
    return _say_outcome(outcome)


def _say_outcome(outcome: FindCompletedV1 | FindFailedV1) -> ExitCode:
    if isinstance(outcome, FindFailedV1):
        say_error(outcome.code, outcome.message, outcome.hint)
        return ExitCode.REFUSED
    typer.echo(f"{outcome.find_job_id} {outcome.status}")
    typer.echo(f"  {outcome.counts.features} features, {outcome.priority_total} worth explaining")
    for export in outcome.exports:
        typer.echo(f"  {export.format:8} {outcome.bucket}/{export.key}")
    say_gaps(outcome.reasons)
    return ExitCode.PARTIAL if outcome.status == "partial" else ExitCode.DONE
