"""The worker's ports in memory, with faults that a test scripts.

They hold the same contracts as the adapters: `tests/contract` runs one suite over both.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from mistudio_worker.contracts.events import CountsV1, GapV1, PriorityFeatureV1, VersionsV1
from mistudio_worker.errors import MistudioError, NotYetThere, ServiceAway
from mistudio_worker.worker.analysis_request import AnalysisOutcome, Progress, WrittenExport
from mistudio_worker.worker.ports import CommitOutcome, FetchedFile, ObjectInfo, Partition, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mistudio_worker.worker.analysis_request import AnalysisRequest
    from mistudio_worker.worker.ports import AssignmentListener, Message

AWAY_CODE = "STORE_UNAVAILABLE"


def away(code: str = AWAY_CODE) -> ServiceAway:
    """What an adapter raises when its service does not answer."""
    return ServiceAway(code, "the fake is away", "wait")


class FakeStore:
    """Buckets in memory.

    Attributes:
        calls: (method, key or prefix or bucket) of every call, in order.
        before: called before a call takes effect; may raise, or change the store.
        after: called after a call took effect; a `ServiceAway` from it is a lost answer.
        fault: raised by every call while it is not None.
        unfinished: keys of uploads that nobody finished.
        ignores_condition: `put_new` replaces what is there, as on a store that does not know If-None-Match.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {}
        self.calls: list[tuple[str, str]] = []
        self.before: list[Callable[[str, str], None]] = []
        self.after: list[Callable[[str, str], None]] = []
        self.fault: MistudioError | None = None
        self.unfinished: set[str] = set()
        self.ignores_condition = False

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object, as somebody else does it."""
        self.buckets.setdefault(bucket, {})[key] = data

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """All keys under a prefix."""
        return sorted(key for key in self.buckets.get(bucket, {}) if key.startswith(prefix))

    def count(self, method: str, text: str = "") -> int:
        """How many calls of a method had `text` in their key."""
        return sum(name == method and text in key for name, key in self.calls)

    def go_away(self, times: int, method: str | None = None) -> None:
        """Let the next calls fail as if the store were out of reach."""
        left = [times]

        def fail(name: str, _: str) -> None:
            if left[0] and method in (None, name):
                left[0] -= 1
                raise away()

        self.before.append(fail)

    def replace_before(self, method: str, bucket: str, key: str, data: bytes) -> None:
        """Let somebody replace an object just before the first call of a method for it."""
        left = [1]

        def replace(name: str, called_key: str) -> None:
            if left[0] and name == method and called_key == key:
                left[0] = 0
                self.put(bucket, key, data)

        self.before.append(replace)

    def lose_answer(self, suffix: str) -> None:
        """Let the first conditional PUT of such a key take effect, and its answer get lost."""
        left = [1]

        def lose(name: str, key: str) -> None:
            if left[0] and name == "put_new" and key.endswith(suffix):
                left[0] = 0
                raise away()

        self.after.append(lose)

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """See `ObjectReader`."""
        await self._enter("head", key)
        data = self.buckets.get(bucket, {}).get(key)
        return None if data is None else _described(key, data)

    async def read_range(self, bucket: str, info: ObjectInfo, start: int, length: int) -> bytes:
        """See `ObjectReader`."""
        await self._enter("read_range", info.key)
        return self._version(bucket, info)[start : start + length]

    async def download(self, bucket: str, info: ObjectInfo, path: Path) -> FetchedFile:
        """See `ObjectReader`."""
        await self._enter("download", info.key)
        data = self._version(bucket, info)
        await asyncio.to_thread(path.write_bytes, data)
        return FetchedFile(path, len(data), hashlib.sha256(data).hexdigest())

    async def list_objects(self, bucket: str, prefix: str) -> Sequence[ObjectInfo]:
        """See `ObjectReader`."""
        await self._enter("list_objects", prefix)
        objects = self._bucket(bucket)
        return [_described(key, objects[key]) for key in sorted(objects) if key.startswith(prefix)]

    async def upload(self, bucket: str, key: str, path: Path, *, sha256: str) -> ObjectInfo:
        """See `ObjectWriter`."""
        del sha256
        await self._enter("upload", key)
        self._bucket(bucket)[key] = await asyncio.to_thread(path.read_bytes)
        self._leave("upload", key)
        return _described(key, self.buckets[bucket][key])

    async def put_new(self, bucket: str, key: str, data: bytes) -> bool:
        """See `ObjectWriter`."""
        await self._enter("put_new", key)
        objects = self._bucket(bucket)
        created = self.ignores_condition or key not in objects
        if created:
            objects[key] = data
        self._leave("put_new", key)
        return created

    async def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """See `ObjectWriter`."""
        await self._enter("remove", " ".join(keys))
        for key in keys:
            self._bucket(bucket).pop(key, None)

    async def abort_uploads(self, bucket: str, prefix: str) -> None:
        """See `ObjectWriter`."""
        await self._enter("abort_uploads", prefix)
        self._bucket(bucket)
        self.unfinished = {key for key in self.unfinished if not key.startswith(prefix)}

    async def bucket_exists(self, bucket: str) -> bool:
        """See `ObjectStore`."""
        await self._enter("bucket_exists", bucket)
        return bucket in self.buckets

    async def create_bucket(self, bucket: str) -> None:
        """See `ObjectStore`."""
        await self._enter("create_bucket", bucket)
        self.buckets.setdefault(bucket, {})

    async def _enter(self, method: str, key: str) -> None:
        self.calls.append((method, key))
        await asyncio.sleep(0)  # like the adapter's, every call lets others run
        if self.fault is not None:
            raise self.fault
        for hook in self.before:
            hook(method, key)

    def _leave(self, method: str, key: str) -> None:
        for hook in self.after:
            hook(method, key)

    def _bucket(self, bucket: str) -> dict[str, bytes]:
        if bucket not in self.buckets:
            raise away("STORE_BUCKET_MISSING")
        return self.buckets[bucket]

    def _version(self, bucket: str, info: ObjectInfo) -> bytes:
        data = self.buckets.get(bucket, {}).get(info.key)
        if data is None or _etag(data) != info.etag:
            raise NotYetThere("ARTIFACT_CHANGED", f"{info.key} is another one by now", "wait")
        return data


def _described(key: str, data: bytes) -> ObjectInfo:
    return ObjectInfo(key, len(data), _etag(data), datetime(2026, 1, 2, tzinfo=UTC))


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


class FakePublisher:
    """Topics in memory.

    Attributes:
        messages: what was acknowledged, in order.
        max_bytes: larger messages are refused.
        missing: topics that are not there.
        away_times: topic -> how many more messages find no broker.
        calls: ("publish", topic) of every acknowledged message; a test may let it be a store's.
    """

    def __init__(self, max_bytes: int = 1 << 20) -> None:
        self.messages: list[Message] = []
        self.max_bytes = max_bytes
        self.missing: set[str] = set()
        self.away_times: defaultdict[str, int] = defaultdict(int)
        self.tries: defaultdict[str, int] = defaultdict(int)
        self.calls: list[tuple[str, str]] = []

    def on(self, topic: str) -> list[Message]:
        """The messages of a topic."""
        return [message for message in self.messages if message.topic == topic]

    async def publish(self, message: Message) -> None:
        """See `Publisher`."""
        self.tries[message.topic] += 1
        await asyncio.sleep(0)
        headers = sum(len(name) + len(content) for name, content in message.headers)
        if len(message.key or b"") + len(message.value or b"") + headers > self.max_bytes:
            raise MistudioError("MESSAGE_TOO_LARGE", "too large for the fake", "raise max_bytes")
        if message.topic in self.missing:
            raise away("BROKER_UNAVAILABLE")
        if self.away_times[message.topic] > 0:
            self.away_times[message.topic] -= 1
            raise away("BROKER_UNAVAILABLE")
        if message.key is None and message.value is None:
            message = replace(message, value=b"")
        self.messages.append(message)
        self.calls.append(("publish", message.topic))


@dataclass
class FakeBroker:
    """One topic and one consumer group; every join and leave is an eager rebalance."""

    topic: str = "training-complete"
    partitions: int = 1
    records: dict[int, list[Record]] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)
    members: list[FakeSource] = field(default_factory=list)

    def append(self, value: bytes | None, *, partition: int = 0, key: bytes | None = None) -> Record:
        """Write a record."""
        log = self.records.setdefault(partition, [])
        record = Record(self.topic, partition, len(log), 1_767_323_045_000, key, value, [])
        log.append(record)
        return record

    def rebalance(self, plan: dict[FakeSource, Iterable[int]] | None = None) -> None:
        """Take all partitions away, and give them out: round-robin, or as planned."""
        if plan is None:
            numbers: dict[FakeSource, list[int]] = {member: [] for member in self.members}
            for number in range(self.partitions if self.members else 0):
                numbers[self.members[number % len(self.members)]].append(number)
        else:
            numbers = {member: list(plan.get(member, ())) for member in self.members}
        for member in self.members:
            member.revoke()
        for member in self.members:
            member.assign(numbers[member])


class FakeSource:
    """A member of the group of a `FakeBroker`.

    Attributes:
        outcomes: what the next commits answer; UNKNOWN and LOST leave the broker as it was.
        commits: (partition number, offset) of every commit that was tried.
        events: ("pause" | "resume" | "seek" | "poll" | ..., details), in order.
        faults: raised by the next polls; None lets one pass.
        is_stuck: whether polls give out nothing until it is started anew.
        broker_is_away: whether new connections get no answer.
    """

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.outcomes: deque[CommitOutcome] = deque()
        self.commits: list[tuple[int, int]] = []
        self.events: list[tuple[str, object]] = []
        self.faults: deque[MistudioError | None] = deque()
        self.stopped = False
        self.is_stuck = False
        self.broker_is_away = False
        self._listener: AssignmentListener | None = None
        self._positions: dict[int, int] = {}
        self._paused: set[int] = set()
        self._prefetched: deque[Record] = deque()

    @property
    def paused(self) -> frozenset[int]:
        """Numbers of the paused partitions."""
        return frozenset(self._paused)

    def position(self, number: int) -> int:
        """Offset that is taken next."""
        return self._positions[number]

    def deliver_in_spite_of_pause(self, record: Record) -> None:
        """Let the next poll return a record that was fetched before its partition was paused."""
        self._prefetched.append(record)
        self._positions[record.partition] = record.offset + 1

    def revoke(self) -> None:
        """All partitions are in doubt."""
        if self._listener is not None:
            self._listener.on_revoked()

    def assign(self, numbers: Iterable[int]) -> None:
        """The group's leader has decided: pauses and positions are forgotten."""
        self._positions = {number: self.broker.committed.get(number, 0) for number in numbers}
        self._paused.clear()
        self._prefetched.clear()
        if self._listener is not None:
            self._listener.on_assigned(self.assigned())

    async def start(self, listener: AssignmentListener) -> None:
        """See `RecordSource`."""
        await asyncio.sleep(0)
        self.is_stuck = False
        self._listener = listener
        self.broker.members.append(self)
        self.broker.rebalance()

    async def poll(self, timeout_s: float) -> Record | None:
        """See `RecordSource`."""
        self.events.append(("poll", timeout_s))
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            raise fault
        record = None if self.is_stuck else self._next()
        await asyncio.sleep(0 if record else min(timeout_s, 0.002))
        return record

    def assigned(self) -> frozenset[Partition]:
        """See `RecordSource`."""
        return frozenset(Partition(self.broker.topic, number) for number in self._positions)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """See `RecordSource`."""
        numbers = self._ours(partitions)
        self.events.append(("pause", numbers))
        self._paused |= numbers

    def resume(self, partitions: Iterable[Partition]) -> None:
        """See `RecordSource`."""
        numbers = self._ours(partitions)
        self.events.append(("resume", numbers))
        self._paused -= numbers

    def seek(self, partition: Partition, offset: int) -> None:
        """See `RecordSource`."""
        for number in self._ours([partition]):
            self.events.append(("seek", (number, offset)))
            self._positions[number] = offset

    async def committed(self, partition: Partition) -> int | None:
        """See `RecordSource`."""
        await asyncio.sleep(0)
        return self.broker.committed.get(partition.number)

    async def backlog(self) -> dict[Partition, int]:
        """See `RecordSource`."""
        await asyncio.sleep(0)
        return {
            partition: len(self.broker.records.get(partition.number, []))
            - self.broker.committed.get(partition.number, 0)
            for partition in self.assigned()
        }

    async def commit(self, partition: Partition, offset: int) -> CommitOutcome:
        """See `RecordSource`."""
        await asyncio.sleep(0)
        self.commits.append((partition.number, offset))
        if partition not in self.assigned():
            return CommitOutcome.LOST
        outcome = self.outcomes.popleft() if self.outcomes else CommitOutcome.DONE
        if outcome is CommitOutcome.DONE:
            self.broker.committed[partition.number] = offset
        return outcome

    async def has_unread(self) -> bool:
        """See `RecordSource`."""
        await asyncio.sleep(0)
        ends = {number: len(self.broker.records.get(number, [])) for number in self._positions.keys() - self._paused}
        return any(self._positions[number] < end for number, end in ends.items())

    async def broker_answers(self) -> bool:
        """See `RecordSource`."""
        await asyncio.sleep(0)
        return not self.broker_is_away

    async def stop(self) -> None:
        """See `RecordSource`."""
        await asyncio.sleep(0)
        self.stopped = True
        self._listener = None
        self._positions = {}
        if self in self.broker.members:
            self.broker.members.remove(self)
            self.broker.rebalance()

    def _next(self) -> Record | None:
        if self._prefetched:
            return self._prefetched.popleft()
        for number in sorted(self._positions.keys() - self._paused):
            log = self.broker.records.get(number, [])
            if self._positions[number] < len(log):
                record = log[self._positions[number]]
                self._positions[number] += 1
                return record
        return None

    def _ours(self, partitions: Iterable[Partition]) -> set[int]:
        return {p.number for p in partitions if p.topic == self.broker.topic and p.number in self._positions}


class FakeAnalyst:
    """Writes two small exports at once, or does what the script says.

    Attributes:
        script: for each run to come: an error to raise, "hang", or None for the usual outcome.
        requests: every request, in order.
        salt: part of the exports' bytes, so that a test can make them differ.
        on_run: called at the start of every run.
    """

    def __init__(self) -> None:
        self.script: deque[Exception | Literal["hang"] | None] = deque()
        self.requests: list[AnalysisRequest] = []
        self.salt = ""
        self.on_run: Callable[[], None] | None = None
        self.hanging = asyncio.Event()
        self.go_on = asyncio.Event()

    async def run(self, request: AnalysisRequest, on_progress: Callable[[Progress], None]) -> AnalysisOutcome:
        """See `Analyst`."""
        self.requests.append(request)
        on_progress(Progress("analyze", 0.5))
        await asyncio.sleep(0)
        if self.on_run is not None:
            self.on_run()
        step = self.script.popleft() if self.script else None
        if isinstance(step, Exception):
            raise step
        if step == "hang":
            self.hanging.set()
            await self.go_on.wait()
        return outcome_of(request, self.salt)


def outcome_of(request: AnalysisRequest, salt: str = "") -> AnalysisOutcome:
    """Write small exports, and describe them; partial where there is no autoencoder."""
    job = request.identity.find_job_id
    exports = []
    for name in ("json", "csv"):
        path = request.directory / f"{job}.{name}"
        path.write_text(f"{name} {request.identity.sha256} {salt}", encoding="utf-8")
        content = path.read_bytes()
        exports.append(WrittenExport(name, path, len(content), hashlib.sha256(content).hexdigest()))
    absent = request.files.sae_model is None
    return AnalysisOutcome(
        status="partial" if absent else "completed",
        reasons=(GapV1(code="SAE_MISSING", message="no autoencoder", features=0, texts=0),) if absent else (),
        exports=tuple(exports),
        counts=CountsV1(features=2, texts=3, dead=1, by_tier={"dead": 1, "good": 1}),
        priority_features=(
            PriorityFeatureV1(feature_id=0, coherence_score=0.7, category="unknown", keywords=["river"]),
        ),
        priority_total=1,
        versions=VersionsV1(worker="0", analysis="1", taxonomy="1", taxonomy_sha256="0" * 64),
        timings={"analyze": 0.1},
        platform={"device": "cpu"},
        peak_memory_bytes=1,
    )
