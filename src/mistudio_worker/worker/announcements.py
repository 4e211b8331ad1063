"""What the worker tells the world: find-complete, find-failed, progress, dead letters."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson
import structlog

from mistudio_worker.contracts import cloud_event
from mistudio_worker.contracts.events import (
    FIND_COMPLETED_V1,
    FIND_FAILED_V1,
    FIND_PROGRESS_V1,
    FindFailedV1,
    FindProgressV1,
)
from mistudio_worker.contracts.manifest import find_completed
from mistudio_worker.errors import MistudioError
from mistudio_worker.worker.attempts import record_hash
from mistudio_worker.worker.ports import Message

if TYPE_CHECKING:
    from mistudio_worker.worker.ports import ObjectStore, Publisher, Record
    from mistudio_worker.worker.result_store import StoredManifest

log = structlog.get_logger(__name__)
MESSAGE_CHARACTERS = 2000
LAST_PROGRESS_S = 1.0
POINTER_CONTENT_TYPE = "application/vnd.mistudio.pointer+json"


@dataclass(frozen=True, slots=True)
class Topics:
    """Where the worker publishes to."""

    find_complete: str
    find_failed: str
    find_progress: str
    dead_letter: str


def find_complete_message(topics: Topics, stored: StoredManifest, traceparent: str | None) -> Message:
    """Build find-complete; from the same manifest it is always the same event."""
    manifest = stored.manifest
    headers, value = cloud_event.encode(
        event_type=FIND_COMPLETED_V1,
        event_id=manifest.find_job_id,
        time=manifest.created_at,
        subject=manifest.source_job_id,
        data=find_completed(manifest, bucket=stored.bucket, key=stored.key, sha256=stored.sha256),
        traceparent=traceparent,
    )
    return Message(topics.find_complete, manifest.source_job_id.encode(), value, headers)


def find_failed_message(  # noqa: PLR0913 - what a reader is told, by name
    topics: Topics,
    record: Record,
    *,
    job: str,
    find_job_id: str | None,
    error: MistudioError,
    attempt: int,
    traceparent: str | None,
) -> Message:
    """Build find-failed; its id names the record, so whoever sees it twice knows."""
    headers, value = cloud_event.encode(
        event_type=FIND_FAILED_V1,
        event_id=f"failed-{record_hash(record)}",
        time=_record_time(record),
        subject=job,
        data=FindFailedV1(
            source_job_id=job,
            find_job_id=find_job_id,
            code=error.code,
            message=error.message,
            hint=error.hint,
            retriable=error.retriable,
            attempt=attempt,
        ),
        traceparent=traceparent,
    )
    return Message(topics.find_failed, job.encode(), value, headers)


def dead_letter_message(topics: Topics, record: Record, error: MistudioError, attempt: int) -> Message:
    """Build the dead letter: the record's own key, value and headers, and why it lies there."""
    added = {
        "error-code": error.code,
        "error-message": error.message[:MESSAGE_CHARACTERS],
        "error-hint": error.hint[:MESSAGE_CHARACTERS],
        "original-topic": record.topic,
        "original-partition": str(record.partition),
        "original-offset": str(record.offset),
        "original-timestamp": str(record.timestamp_ms),
        "attempt": str(attempt),
    }
    headers = [*record.headers, *((name, text.encode("utf-8", "replace")) for name, text in added.items())]
    return Message(topics.dead_letter, record.key, record.value, headers)


async def publish_dead_letter(
    publisher: Publisher, store: ObjectStore, bucket: str, message: Message, record: Record
) -> None:
    """Publish a dead letter; one too large for the topic goes to the store and leaves a pointer."""
    try:
        await publisher.publish(message)
    except MistudioError as error:
        if error.code != "MESSAGE_TOO_LARGE":
            raise
        await publisher.publish(await _pointer(store, bucket, message, record))


async def _pointer(store: ObjectStore, bucket: str, message: Message, record: Record) -> Message:
    value = message.value or b""
    key = f"dead-letters/{record_hash(record)}"
    await store.put_new(bucket, key, value)
    original = [[name, content.decode("latin-1")] for name, content in record.headers]
    await store.put_new(bucket, f"{key}.headers.json", orjson.dumps(original))
    why = list(message.headers[len(record.headers) :])
    pointer = {"bucket": bucket, "key": key, "size": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    headers = [("content-type", POINTER_CONTENT_TYPE.encode()), *why]
    return Message(message.topic, (message.key or b"")[:1024] or None, orjson.dumps(pointer), headers)


def _record_time(record: Record) -> datetime:
    return datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, tz=UTC)


class ProgressReporter:
    """Publishes find-progress beside the job: never faster than asked, never in its way, never missed if lost."""

    def __init__(self, publisher: Publisher, topic: str, interval_s: float) -> None:
        self._publisher = publisher
        self._topic = topic
        self._interval_s = interval_s
        self._last_s = float("-inf")
        self._last_step = ""
        self._sending: asyncio.Task[None] | None = None

    def report(self, progress: FindProgressV1, traceparent: str | None = None) -> None:
        """Send if a new step began or the interval has passed, and the last one is through."""
        now = time.monotonic()
        due = progress.step != self._last_step or now - self._last_s >= self._interval_s
        if not due or (self._sending is not None and not self._sending.done()):
            return
        self._last_s, self._last_step = now, progress.step
        self._sending = asyncio.create_task(self._send(progress, traceparent))

    async def close(self) -> None:
        """Let the last one go out, or drop it."""
        if self._sending is None:
            return
        try:
            await asyncio.wait({self._sending}, timeout=LAST_PROGRESS_S)
        finally:
            self._sending.cancel()

    async def _send(self, progress: FindProgressV1, traceparent: str | None) -> None:
        at = datetime.now(UTC)
        headers, value = cloud_event.encode(
            event_type=FIND_PROGRESS_V1,
            event_id=f"{progress.source_job_id}-{at.timestamp():.6f}",
            time=at,
            subject=progress.source_job_id,
            data=progress,
            traceparent=traceparent,
        )
        try:
            await self._publisher.publish(Message(self._topic, progress.source_job_id.encode(), value, headers))
        except Exception as error:  # progress is news: whatever is wrong with it, the job's outcome stands
            log.info("progress not published", error=repr(error)[:MESSAGE_CHARACTERS])
