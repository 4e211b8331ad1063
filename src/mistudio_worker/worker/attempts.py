"""Attempts, counted where a crash cannot reset them: in the store."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from mistudio_worker.errors import ChildFailed, ServiceAway
from mistudio_worker.worker.retry import AttemptCounts

if TYPE_CHECKING:
    from mistudio_worker.worker.ports import ObjectStore, Record

MARKS = ("started", "failed", "released")


def record_hash(record: Record) -> str:
    """Name a record by where and when it was written; a replay is a new record."""
    place = f"{record.topic}\0{record.partition}\0{record.offset}\0{record.timestamp_ms}"
    return hashlib.sha256(place.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class AttemptLedger:
    """The attempts of one record, as marker objects `attempts/<hash>/<number>-<mark>`.

    A marker is written on condition that it is not there, so two workers never claim one number.
    """

    store: ObjectStore
    bucket: str
    hash: str

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
            while not await self._mark(number, "started", token.encode()):
                if await self._is_claimed_by(token, number):
                    break
                number += 1
        if await self._mark(number, "started", token.encode()):
            raise _unsafe()
        return number

    async def failed(self, number: int, error: ChildFailed) -> None:
        """Remember that the child was seen to fail, and how."""
        await self._mark(number, "failed", orjson.dumps([error.code, error.message, error.hint]))

    async def last_failure(self) -> ChildFailed | None:
        """Return how the latest failed attempt ended; None where none did."""
        found = [
            info for info in await self.store.list_objects(self.bucket, self._prefix) if info.key.endswith("-failed")
        ]
        if not found:
            return None
        code, message, hint = orjson.loads(await self.store.read_range(self.bucket, found[-1], 0, found[-1].size))
        return ChildFailed(code, message, hint)

    async def released(self, number: int) -> None:
        """Remember that the attempt was given back in order."""
        await self._mark(number, "released")

    async def clear(self) -> None:
        """Forget all attempts, once the record's outcome is published."""
        found = await self.store.list_objects(self.bucket, self._prefix)
        await self.store.remove(self.bucket, [info.key for info in found])

    @property
    def _prefix(self) -> str:
        return f"attempts/{self.hash}/"

    async def _marks(self) -> list[tuple[int, str]]:
        """Number and mark of all that is remembered."""
        keys = [info.key for info in await self.store.list_objects(self.bucket, self._prefix)]
        parts = [key.rsplit("/", 1)[-1].partition("-") for key in keys]
        return [(int(number), mark) for number, _, mark in parts if number.isdecimal()]

    async def _mark(self, number: int, mark: str, content: bytes = b"") -> bool:
        return await self.store.put_new(self.bucket, self._key(number, mark), content)

    async def _is_claimed_by(self, token: str, number: int) -> bool:
        info = await self.store.head(self.bucket, self._key(number, "started"))
        if info is None:
            return False
        return await self.store.read_range(self.bucket, info, 0, info.size) == token.encode()

    def _key(self, number: int, mark: str) -> str:
        return f"{self._prefix}{number:06d}-{mark}"


def _unsafe() -> ServiceAway:
    return ServiceAway(
        "STORE_UNSAFE",
        "the store does not honour If-None-Match any more: two workers could overwrite results",
        "let it honour conditional PUT again; until then no attempt is begun",
    )
