"""Attempts, counted where a crash cannot reset them: in the store."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from mistudio_worker.errors import ChildFailed, NotYetThere, ServiceAway
from mistudio_worker.worker.ports import Partition
from mistudio_worker.worker.retry import AttemptCounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistudio_worker.worker.ports import ObjectInfo, ObjectReader, ObjectStore, Record

ATTEMPTS = "attempts/"
MARKER = re.compile(r"attempts/[0-9a-f]{32}/\d{6}-[a-z]+")
MARKS = ("started", "failed", "released")


def record_hash(record: Record) -> str:
    """Name a record by where and when it was written; a replay is a new record."""
    place = f"{record.topic}\0{record.partition}\0{record.offset}\0{record.timestamp_ms}"
    return hashlib.sha256(place.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class AttemptLedger:
    """The attempts of one record, as marker objects `attempts/<hash>/<number>-<mark>`.

    A marker is written on condition that it is not there, so two workers never claim one number. Its content is a
    JSON list that ends with the record's topic, partition and offset: the hash does not tell them.
    """

    store: ObjectStore
    bucket: str
    record: Record

    async def counts(self) -> AttemptCounts:
        """Return how many attempts there were, and how they ended."""
        marks = await self._marks()
        started, failed, released = ({n for n, mark in marks if mark == name} for name in MARKS)
        return AttemptCounts(started=len(started), failed=len(failed), released=len(released & started - failed))

    async def claim(self, token: str) -> int:
        """Begin an attempt and return its number, from 1.

        Args:
            token: unique to the attempt. A claim whose answer was lost is known by it when it is tried again.

        Raises:
            ServiceAway: `STORE_UNSAFE`, two workers could claim one number, and so write one manifest.
        """
        number = max((number for number, _ in await self._marks()), default=0)
        if not number or not await self._is_claimed_by(token, number):
            number += 1
            while not await self._mark(number, "started", token):
                if await self._is_claimed_by(token, number):
                    break
                number += 1
        if await self._mark(number, "started", token):
            raise _unsafe()
        return number

    async def failed(self, number: int, error: ChildFailed) -> None:
        """Remember that the child was seen to fail, and how."""
        await self._mark(number, "failed", error.code, error.message, error.hint)

    async def last_failure(self) -> ChildFailed | None:
        """Return how the latest failed attempt ended; None where none did."""
        found = [
            info for info in await self.store.list_objects(self.bucket, self._prefix) if info.key.endswith("-failed")
        ]
        if not found:
            return None
        match await _content(self.store, self.bucket, found[-1]):
            case [str(code), str(message), str(hint), *_]:
                return ChildFailed(code, message, hint)
            case _:
                return None

    async def released(self, number: int) -> None:
        """Remember that the attempt was given back in order, unless others finished the record and forgot it."""
        if await self.store.head(self.bucket, self._key(number, "started")) is not None:
            await self._mark(number, "released")

    async def clear(self) -> None:
        """Forget all attempts, once the record's offset is committed."""
        found = await self.store.list_objects(self.bucket, self._prefix)
        await self.store.remove(self.bucket, [info.key for info in found])

    @property
    def _prefix(self) -> str:
        return f"{ATTEMPTS}{record_hash(self.record)}/"

    async def _marks(self) -> list[tuple[int, str]]:
        """Number and mark of all that is remembered."""
        keys = [info.key for info in await self.store.list_objects(self.bucket, self._prefix)]
        parts = [key.rsplit("/", 1)[-1].partition("-") for key in keys]
        return [(int(number), mark) for number, _, mark in parts if number.isdecimal()]

    async def _mark(self, number: int, mark: str, *told: str) -> bool:
        content = orjson.dumps([*told, self.record.topic, self.record.partition, self.record.offset])
        return await self.store.put_new(self.bucket, self._key(number, mark), content)

    async def _is_claimed_by(self, token: str, number: int) -> bool:
        info = await self.store.head(self.bucket, self._key(number, "started"))
        return info is not None and (await _content(self.store, self.bucket, info))[:1] == [token]

    def _key(self, number: int, mark: str) -> str:
        return f"{self._prefix}{number:06d}-{mark}"


async def sweep_passed(store: ObjectStore, bucket: str, committed: Mapping[Partition, int]) -> list[str]:
    """Remove the markers of records that the group has gone past, and return their keys.

    That is what a worker left that died after the commit and before it had dropped its count.

    Args:
        store: holds them.
        bucket: of the results.
        committed: the group's offset of each partition; markers of other partitions stay.
    """
    passed = []
    for info in await store.list_objects(bucket, ATTEMPTS):
        if MARKER.fullmatch(info.key) is None:
            continue
        match await _content(store, bucket, info):
            case [*_, str(topic), int(number), int(offset)] if offset < committed.get(Partition(topic, number), 0):
                passed.append(info.key)
    await store.remove(bucket, passed)
    return passed


async def _content(store: ObjectReader, bucket: str, info: ObjectInfo) -> list[Any]:
    try:
        found = orjson.loads(await store.read_range(bucket, info, 0, info.size))
    except (NotYetThere, orjson.JSONDecodeError):  # dropped meanwhile by who finished the record, or not of our making
        return []
    return found if isinstance(found, list) else []


def _unsafe() -> ServiceAway:
    return ServiceAway(
        "STORE_UNSAFE",
        "the store does not honour If-None-Match any more: two workers could overwrite results",
        "let it honour conditional PUT again; until then no attempt is begun",
    )
