"""Workers as a user starts them, and what stands around them: topics, buckets, a reader of every topic."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sysconfig
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import KafkaError
from embedded.worker_log import log_lines

from mistudio_worker.contracts.events import TRAINING_COMPLETED_V1

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from embedded.process import Keeper
    from support.background import BackgroundLoop
    from support.services import Services

COMMAND = Path(sysconfig.get_path("scripts")) / "mistudio-worker"
READY_WITHIN_S = 300.0
OUTCOME_WITHIN_S = 60.0
DRAINED_WITHIN_S = 60.0
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SHARED = {"MISTUDIO_HTTP__PORT": "0", "MISTUDIO_LOG__FORMAT": "json"}
"""Settings of every worker that a test starts."""

T = TypeVar("T")
Headers = list[tuple[str, bytes]]


def wait_for(look: Callable[[], T | None], what: str, within_s: float = OUTCOME_WITHIN_S) -> T:
    """Look again and again until something is there; an AssertionError says what was missed."""
    until = time.monotonic() + within_s
    while (found := look()) is None or found is False:
        assert time.monotonic() < until, f"{what}: not within {within_s:g} s"
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class Seen:
    """A record as it lies in a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((content.decode() for given, content in self.headers if given == name), None)

    @property
    def data(self) -> dict[str, Any]:
        """The value, parsed."""
        parsed: dict[str, Any] = json.loads(self.value or b"")
        return parsed


@dataclass(frozen=True)
class Topics:
    """Names of the topics that one group of workers uses."""

    training_complete: str
    find_complete: str
    find_failed: str
    find_progress: str
    dead_letter: str

    def environment(self) -> dict[str, str]:
        """The settings that name them."""
        return {f"MISTUDIO_KAFKA__{name.upper()}_TOPIC": topic for name, topic in vars(self).items()}


class Place:
    """Topics, buckets and a group that nobody else uses, with the means to write into them and to read all of them.

    Args:
        services: Clients of the stack.
        loop: Where the Kafka clients live.
        partitions: Of training-complete.
    """

    def __init__(self, services: Services, loop: BackgroundLoop, *, partitions: int = 3) -> None:
        self.services = services
        self.store = services.store
        self.artifacts, self.results = services.create_bucket("artifacts"), services.create_bucket("results")
        self.group = services.unique_name("group")
        self._loop = loop
        self._records: dict[str, list[Seen]] = defaultdict(list)
        self.topics = loop.call(self._create_topics(partitions))
        self.environment = {
            **services.environment,
            **self.topics.environment(),
            "MISTUDIO_KAFKA__GROUP_ID": self.group,
            "MISTUDIO_STORE__ARTIFACTS_BUCKET": self.artifacts,
            "MISTUDIO_STORE__RESULTS_BUCKET": self.results,
        }
        loop.call(self._connect())

    def join(self, group: str) -> None:
        """Let the workers that are started from now on form another group."""
        self.group = self.environment["MISTUDIO_KAFKA__GROUP_ID"] = group

    def close(self) -> None:
        """Disconnect."""
        self._reading.cancel()
        with contextlib.suppress(Exception):
            self._loop.call(self._disconnect())

    # -- what goes in

    def put_run(self, root: Path, *, job: str | None = None, without: Sequence[str] = ()) -> str:
        """Upload the run in a folder, metadata last; under another job id where one is given.

        Args:
            root: Holds models/ and activations/.
            job: The name in the bucket.
            without: File names that are left out.

        Returns:
            The training job id.
        """
        named = next((root / "activations").iterdir()).name
        for kind, name in (
            ("models", "sae_model.pt"),
            ("activations", "feature_activations.pt"),
            ("activations", "metadata.json"),
        ):
            path = root / kind / named / name
            if path.exists() and name not in without:
                self.store.fput_object(self.artifacts, f"{kind}/{job or named}/{name}", str(path))
        return job or named

    def publish(
        self,
        value: bytes,
        *,
        headers: Headers | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        topic: str | None = None,
    ) -> Seen:
        """Write a record, into training-complete where no topic is named, and return it with its place."""
        topic = topic or self.topics.training_complete
        sent = self._loop.call(
            self._producer.send_and_wait(topic, value, key=key, headers=headers or [], partition=partition)
        )
        return Seen(topic, sent.partition, sent.offset, key, value, headers or [])

    def announce(self, job: str, *, partition: int | None = None, topic: str | None = None, **data: object) -> Seen:
        """Write training-complete for a job, as a CloudEvent in binary mode."""
        value, headers = binary_event({"job_id": job, **data})
        return self.publish(value, headers=headers, key=job.encode(), partition=partition, topic=topic)

    def make_topic(self, name: str, *, partitions: int) -> None:
        """Create one more topic."""
        self._loop.call(self._admin.create_topics([NewTopic(name, partitions, 1)]))

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Let a topic have so many partitions in all, and wait until they can be written to."""
        self._loop.call(self._add_partitions(topic, partitions))

    # -- what comes out

    def records(self, topic: str, job: str | None = None) -> list[Seen]:
        """Everything in a topic; with a job, what is keyed by it."""
        return [seen for seen in list(self._records[topic]) if job is None or seen.key == job.encode()]

    def wait_for_records(
        self, topic: str, job: str | None = None, *, count: int = 1, within_s: float = OUTCOME_WITHIN_S
    ) -> list[Seen]:
        """Wait until there are as many, and return all that are there."""
        return wait_for(
            lambda: found if len(found := self.records(topic, job)) >= count else None,
            f"{count} records for {job} in {topic}",
            within_s,
        )

    def wait_for_result(self, job: str, within_s: float = OUTCOME_WITHIN_S) -> Seen:
        """Wait for the find-complete of a job; its find-failed ends the wait with an AssertionError."""

        def look() -> Seen | None:
            failed = self.records(self.topics.find_failed, job)
            assert not failed, f"{job} failed: {failed[0].value!r}"
            return next(iter(self.records(self.topics.find_complete, job)), None)

        return wait_for(look, f"find-complete for {job}", within_s)

    def letter_of(self, record: Seen) -> Seen | None:
        """The dead letter of a record, if there is one."""
        place = (str(record.partition), str(record.offset))
        letters = self.records(self.topics.dead_letter)
        return next(
            (s for s in letters if (s.header("original-partition"), s.header("original-offset")) == place), None
        )

    def wait_for_letter(self, record: Seen, within_s: float = OUTCOME_WITHIN_S) -> Seen:
        """Wait for the dead letter of a record."""
        return wait_for(lambda: self.letter_of(record), f"dead letter of {record.value!r:.80}", within_s)

    def keys(self, prefix: str = "") -> list[str]:
        """Keys in the results bucket."""
        found = self.store.list_objects(self.results, prefix=prefix, recursive=True)
        return [item.object_name or "" for item in found]

    def get(self, key: str, bucket: str | None = None) -> bytes:
        """An object, of the results bucket where none is named."""
        response = self.store.get_object(bucket or self.results, key)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def manifest(self, find_job_id: str) -> dict[str, Any]:
        """The manifest of a find job."""
        parsed: dict[str, Any] = json.loads(self.get(f"find/{find_job_id}/manifest.json"))
        return parsed

    def lag(self) -> int:
        """How many records of training-complete are not committed by the group."""
        return self._loop.call(self._lag())

    def wait_until_committed(self, within_s: float = OUTCOME_WITHIN_S) -> None:
        """Wait until the group has committed every record."""

        def settled() -> bool | None:
            with contextlib.suppress(KafkaError):  # a coordinator that died just now is still asked for a while
                return self.lag() == 0 or None
            return None

        wait_for(settled, "every offset committed", within_s)

    # -- on the loop

    async def _create_topics(self, partitions: int) -> Topics:
        roles = ("find-complete", "find-failed", "find-progress", "dead-letter")
        training = await self.services.create_topic("training-complete", partitions=partitions)
        return Topics(training, *[await self.services.create_topic(role) for role in roles])

    async def _add_partitions(self, topic: str, partitions: int) -> None:
        await self._admin.create_partitions({topic: NewPartitions(partitions)})
        await self._producer.client.force_metadata_update()

    async def _connect(self) -> None:
        servers = self.services.bootstrap_servers
        self._producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
        self._consumer = AIOKafkaConsumer(
            *list(vars(self.topics).values())[1:], bootstrap_servers=servers, auto_offset_reset="earliest"
        )
        self._admin = AIOKafkaAdminClient(bootstrap_servers=servers)
        for client in (self._producer, self._consumer, self._admin):
            await client.start()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for r in self._consumer:
            self._records[r.topic].append(Seen(r.topic, r.partition, r.offset, r.key, r.value, list(r.headers)))

    async def _disconnect(self) -> None:
        await self._consumer.stop()
        await self._producer.stop()
        await self._admin.close()

    async def _lag(self) -> int:
        topic = self.topics.training_complete
        partitions = [TopicPartition(topic, number) for number in await self._producer.partitions_for(topic)]
        ends = await self._consumer.end_offsets(partitions)
        committed = await self._admin.list_consumer_group_offsets(self.group)
        held = {partition: at.offset for partition, at in committed.items()}
        return sum(end - max(0, held.get(partition, 0)) for partition, end in ends.items())


def binary_event(data: Mapping[str, object], *, event_type: str = TRAINING_COMPLETED_V1) -> tuple[bytes, Headers]:
    """training-complete as a CloudEvent in binary mode: value and headers."""
    attributes = {"specversion": "1.0", "type": event_type, "source": "/mistudio/train", "id": "1"}
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    headers += [("content-type", b"application/json"), ("traceparent", PARENT.encode())]
    return json.dumps(data).encode(), headers


def structured_event(data: Mapping[str, object]) -> tuple[bytes, Headers]:
    """training-complete as a CloudEvent in structured mode: value and headers."""
    event = {
        "specversion": "1.0",
        "type": TRAINING_COMPLETED_V1,
        "source": "/mistudio/train",
        "id": "1",
        "traceparent": PARENT,
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event).encode(), [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def bucket_notification(bucket: str, job: str) -> bytes:
    """What MinIO's Kafka target writes when metadata.json of a run was put."""
    key = f"activations/{job}/metadata.json"
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key.replace("/", "%2F"), "size": 1}},
    }
    event = {"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{key}", "Records": [record]}
    return json.dumps(event).encode()


class Worker:
    """`mistudio-worker run` as a process of its own; it ends with the block, whatever happens in it.

    Args:
        environment: The settings, without those of the process's own environment.
        directory: For its log and its work.
        keeper: Ends it should the tests be killed.
        command: Another program that works as a worker.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        directory: Path,
        keeper: Keeper,
        command: Sequence[str | Path] = (COMMAND, "run"),
    ) -> None:
        directory.mkdir(parents=True)
        self._command = list(command)
        self.log_file, self.work_dir = directory / "worker.log", directory / "work"
        self.work_dir.mkdir()
        ours = {name: value for name, value in os.environ.items() if not name.startswith("MISTUDIO_")}
        self._environment = {**ours, **SHARED, "MISTUDIO_JOB__WORK_DIR": str(self.work_dir), **environment}
        self._keeper = keeper
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it; `wait_ready` waits until it consumes."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self._keeper.put_away("group", self._process.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what is left of it."""
        if self.running:
            self.kill()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The started process."""
        assert self._process is not None, "the worker was not started"
        return self._process

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """Everything that it said."""
        return self.log_file.read_text(errors="replace")

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event; `job` is the canonical line of a job."""
        return log_lines(self.log_file, event)

    def wait_for_lines(self, job: str, *, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many canonical lines of a job: they come after its outcome can be read in the topics."""
        return wait_for(
            lambda: found if len(found := [line for line in self.said("job") if line["job"] == job]) >= count else None,
            f"{count} lines of {job} in the log",
        )

    def wait_ready(self) -> None:
        """Wait until it is warm and has its partitions."""
        wait_for(self._ready, "a worker that is ready and has its partitions", READY_WITHIN_S)

    def _ready(self) -> bool | None:
        assert self.running, f"the worker ended:\n{self.log[-3000:]}"
        return bool(self.said("worker ready") and self.said("partitions assigned")) or None

    def stop(self, within_s: float = DRAINED_WITHIN_S) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        code = self.process.wait(within_s)
        self._keeper.put_away("ended", self.process.pid)
        return code

    def kill(self) -> None:
        """SIGKILL to the worker alone: its child has to notice by itself."""
        child = self.child()
        self.process.kill()
        self.process.wait()
        if child is not None:
            wait_for(lambda: not _lives(child) or None, "the child's end")
        self._keeper.put_away("ended", self.process.pid)

    def child(self) -> int | None:
        """The process id of the analysing child."""
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent == self.process.pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                    return int(entry.name)
        return None

    def kill_child(self) -> int:
        """SIGKILL to the analysing child, as the kernel does when memory is short; returns its id."""
        child = wait_for(self.child, "the worker's child")
        os.kill(child, signal.SIGKILL)
        return child

    @property
    def busy(self) -> bool:
        """Whether it has fetched the artifacts of a job that is not finished."""
        return any(self.work_dir.iterdir())


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except OSError:
        return False
