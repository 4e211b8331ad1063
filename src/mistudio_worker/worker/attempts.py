"""Attempts, counted where a crash cannot reset them: in the store."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from mistudio_worker.errors import ChildFailed
from mistudio_worker.worker.retry import AttemptCounts

if TYPE_CHECKING:
    from mistudio_worker.worker.ports import ObjectStore, Record


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
        marks = [info.key.rsplit("-", 1)[-1] for info in await self.store.list_objects(self.bucket, self._prefix)]
        return AttemptCounts(
            started=marks.count("started"), failed=marks.count("failed"), released=marks.count("released")
        )

    async def claim(self) -> int:
        """Begin an attempt and return its number, from 1."""
        number = (await self.counts()).started + 1
        while not await self._mark(number, "started"):
            number += 1
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

    async def _mark(self, number: int, mark: str, content: bytes = b"") -> bool:
        return await self.store.put_new(self.bucket, f"{self._prefix}{number:06d}-{mark}", content)
