"""What the worker needs of the outside, one narrow Protocol each.

Every method may raise `ServiceAway` (out of reach, overloaded) and nothing else unless it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as the store lists it."""

    key: str
    size: int
    etag: str
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that was read whole while it was hashed."""

    path: Path
    size: int
    sha256: str


class ObjectReader(Protocol):
    """Read access to buckets."""

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """Return what is known of an object; None where it is absent."""
        ...

    async def read_range(self, bucket: str, info: ObjectInfo, start: int, length: int) -> bytes:
        """Return `length` bytes from `start` of exactly the object version in `info`.

        Raises:
            NotYetThere: `ARTIFACT_CHANGED`, the object is another one by now.
        """
        ...

    async def download(self, bucket: str, info: ObjectInfo, path: Path) -> FetchedFile:
        """Write exactly the object version in `info` to `path`, hashing while reading.

        Raises:
            NotYetThere: `ARTIFACT_CHANGED`, the object is another one by now.
            MistudioError: `DISK_FULL`.
        """
        ...

    async def list_objects(self, bucket: str, prefix: str) -> Sequence[ObjectInfo]:
        """Return all objects under a prefix, by key."""
        ...


class ObjectWriter(Protocol):
    """Write access to buckets."""

    async def upload(self, bucket: str, key: str, path: Path, *, sha256: str) -> ObjectInfo:
        """Store a file whole, or not at all; an existing object is replaced."""
        ...

    async def put_new(self, bucket: str, key: str, data: bytes) -> bool:
        """Store bytes on condition that no object is there; atomic among all writers.

        Returns:
            True where this call created the object, False where one was there already.
        """
        ...

    async def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects; absent ones are no error."""
        ...

    async def abort_uploads(self, bucket: str, prefix: str) -> None:
        """Delete the parts of files under a prefix whose upload nobody has finished; one under way fails by it."""
        ...


class ObjectStore(ObjectReader, ObjectWriter, Protocol):
    """Both."""

    async def bucket_exists(self, bucket: str) -> bool:
        """Whether a bucket is there and visible to these credentials."""
        ...

    async def create_bucket(self, bucket: str) -> None:
        """Create a bucket; one that is there already is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record, as raw as it came.

    `timestamp_ms` is the broker's, -1 where there is none. Headers may repeat.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Message:
    """A record to be published."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Publisher(Protocol):
    """Write access to topics."""

    async def publish(self, message: Message) -> None:
        """Return when all in-sync replicas have acknowledged the message.

        One without key and value may arrive with an empty value. The same object again, after `ServiceAway`, goes on
        waiting for the acknowledgement where that is possible, instead of being written twice.

        Raises:
            MistudioError: `MESSAGE_TOO_LARGE`, the topic does not take a message of this size.
        """
        ...


class Partition(NamedTuple):
    """A topic's partition."""

    topic: str
    number: int


class CommitOutcome(Enum):
    """What became of a commit."""

    DONE = "done"
    LOST = "lost"  # the partition belongs to another member: never try again
    UNKNOWN = "unknown"  # no answer in time: try again


class AssignmentListener(Protocol):
    """Told about every rebalance; both calls return at once."""

    def on_revoked(self) -> None:
        """All partitions are in doubt until `on_assigned`."""
        ...

    def on_assigned(self, partitions: frozenset[Partition]) -> None:
        """These, and no others, belong to this worker from now on; none of them is paused."""
        ...


class RecordSource(Protocol):
    """The consuming side of a group, one record at a time."""

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group."""
        ...

    async def poll(self, timeout_s: float) -> Record | None:
        """Return the next record of a partition that is not paused; None where none came in time."""
        ...

    def assigned(self) -> frozenset[Partition]:
        """Partitions that belong to this worker."""
        ...

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Take no records of these until `resume`; those that are not assigned are passed over."""
        ...

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Undo `pause`; those that are not assigned are passed over."""
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Take the record at `offset` next; a partition that is not assigned is passed over."""
        ...

    async def committed(self, partition: Partition) -> int | None:
        """Return the group's committed offset; None where there is none."""
        ...

    async def backlog(self) -> dict[Partition, int]:
        """Return how many records of each assigned partition the group has not committed, as the broker knows it."""
        ...

    async def commit(self, partition: Partition, offset: int) -> CommitOutcome:
        """Commit the offset of the next record to take, within a time limit."""
        ...

    async def has_unread(self) -> bool:
        """Whether partitions that are not paused hold records which `poll` has not given out, by the broker's word."""
        ...

    async def broker_answers(self) -> bool:
        """Whether the broker answers a new connection; never raises."""
        ...

    async def stop(self) -> None:
        """Leave the group, within a time limit; it may be joined again."""
        ...
