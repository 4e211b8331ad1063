"""Dead letters: what stands in them, which are meant, and how one becomes an event again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from mistudio_worker.domain.identity import is_training_job_id
from mistudio_worker.errors import RefusedInput
from mistudio_worker.worker.announcements import POINTER_CONTENT_TYPE
from mistudio_worker.worker.attempts import record_hash
from mistudio_worker.worker.incoming import readable_job_id
from mistudio_worker.worker.ports import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistudio_worker.worker.ports import ObjectReader, ObjectStore, Record

REPLAY_OF = "replay-of"
TEXTS = ("error-message", "error-hint")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic, read.

    Attributes:
        record: as it lies there.
        codes: error codes of this death and of earlier ones that a replay met, oldest first.
        message: what was found and expected, of this death.
        hint: what to do about it.
        job: training job id, where it can be told.
        attempt: attempts that were made.
        origin: topic, partition and offset that it came from, joined by `/`.
        died_at: when it was put here.
    """

    record: Record
    codes: tuple[str, ...]
    message: str
    hint: str
    job: str | None
    attempt: str
    origin: str
    died_at: datetime

    @property
    def place(self) -> str:
        """Its name within the topic: `PARTITION:OFFSET`."""
        return f"{self.record.partition}:{self.record.offset}"

    @property
    def code(self) -> str:
        """Why it died, the last time."""
        return self.codes[-1] if self.codes else ""

    @property
    def is_pointer(self) -> bool:
        """Whether the event was too large for the topic and lies in the store."""
        return _texts(self.record.headers, "content-type")[-1:] == [POINTER_CONTENT_TYPE]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; each part that is given must hold.

    Attributes:
        codes: any of these error codes.
        jobs: any of these training job ids.
        places: any of these `PARTITION:OFFSET`.
        since: died at this time or later.
        until: died before this time.
    """

    codes: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def has(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.codes or letter.code in self.codes)
            and (not self.jobs or letter.job in self.jobs)
            and (not self.places or letter.place in self.places)
            and (self.since is None or letter.died_at >= self.since)
            and (self.until is None or letter.died_at < self.until)
        )


def read_letter(record: Record) -> DeadLetter:
    """Read what the worker wrote beside the original; what is absent is empty, nothing is refused."""

    def last(name: str) -> str:
        return (_texts(record.headers, name) or [""])[-1]

    return DeadLetter(
        record=record,
        codes=tuple(_texts(record.headers, "error-code")),
        message=last("error-message"),
        hint=last("error-hint"),
        job=_job(record),
        attempt=last("attempt"),
        origin="/".join(last(f"original-{part}") for part in ("topic", "partition", "offset")),
        died_at=datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, tz=UTC),
    )


async def original_event(store: ObjectReader, bucket: str, letter: DeadLetter) -> Message:
    """Return the event that died, under its own topic; its headers tell all its deaths.

    Raises:
        RefusedInput: `DEAD_LETTER_UNREADABLE`, it does not say where it came from, or what it points to is gone
            or is another object.
    """
    record = letter.record
    topic = (_texts(record.headers, "original-topic") or [""])[-1]
    if not topic:
        raise _unreadable(letter, "has no header original-topic")
    replay = (REPLAY_OF, f"{record.topic}/{record.partition}/{record.offset}".encode())
    if not letter.is_pointer:
        return Message(topic, record.key, record.value, [*record.headers, replay])
    value, headers = await _pointed_to(store, bucket, letter)
    why = [(name, content) for name, content in record.headers if name != "content-type"]
    return Message(topic, record.key, value, [*headers, *why, replay])


def without_texts(message: Message) -> Message:
    """Return an event without the long texts of its deaths; codes and places stay.

    For one that is too large with them: it was written by others right up to what its topic takes.
    """
    return replace(message, headers=[(name, content) for name, content in message.headers if name not in TEXTS])


async def is_replayed(store: ObjectReader, bucket: str, letter: DeadLetter) -> bool:
    """Whether somebody has sent it again already."""
    return await store.head(bucket, _mark(letter)) is not None


async def mark_replayed(store: ObjectStore, bucket: str, letter: DeadLetter) -> None:
    """Remember that it was sent again: after it was, so that a crash in between repeats it rather than loses it."""
    await store.put_new(bucket, _mark(letter), orjson.dumps({"letter": letter.place, "origin": letter.origin}))


def _mark(letter: DeadLetter) -> str:
    return f"dead-letters/{record_hash(letter.record)}.replayed"


async def _pointed_to(store: ObjectReader, bucket: str, letter: DeadLetter) -> tuple[bytes, list[tuple[str, bytes]]]:
    pointer = _pointer(letter)
    key = f"dead-letters/{str(pointer.get('key', '')).removeprefix('dead-letters/')}"
    value = await _object(store, bucket, key)
    if value is None or hashlib.sha256(value).hexdigest() != pointer.get("sha256"):
        what = "is gone" if value is None else "is not the object that was put there"
        raise _unreadable(letter, f"points to {key!r:.200} in bucket {bucket!r}, which {what}")
    headers = orjson.loads(await _object(store, bucket, f"{key}.headers.json") or b"[]")
    return value, [(name, content.encode("latin-1")) for name, content in headers]


def _pointer(letter: DeadLetter) -> dict[str, Any]:
    try:
        pointer = orjson.loads(letter.record.value or b"")
    except orjson.JSONDecodeError as error:
        raise _unreadable(letter, "is a pointer that is no JSON") from error
    if not isinstance(pointer, dict):
        raise _unreadable(letter, "is a pointer that is no JSON object")
    return pointer


async def _object(store: ObjectReader, bucket: str, key: str) -> bytes | None:
    info = await store.head(bucket, key)
    return None if info is None else await store.read_range(bucket, info, 0, info.size)


def _job(record: Record) -> str | None:
    """The job id in the event, else in the key: that of a pointer lies in the store."""
    if (job := readable_job_id(record)) is not None:
        return job
    key = (record.key or b"").decode("utf-8", "replace")
    return key if is_training_job_id(key) else None


def _texts(headers: Sequence[tuple[str, bytes]], name: str) -> list[str]:
    return [content.decode("utf-8", "replace") for header, content in headers if header == name]


def _unreadable(letter: DeadLetter, what: str) -> RefusedInput:
    return RefusedInput(
        "DEAD_LETTER_UNREADABLE",
        f"dead letter {letter.place} {what}",
        "look at it with `mistudio-worker dead-letters show`, and send the event anew with `submit`",
    )
