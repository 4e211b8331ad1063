"""The composition root: the one place that names adapters."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import structlog

import mistudio_worker
from mistudio_worker.adapters.kafka_admin import KafkaAdmin
from mistudio_worker.adapters.kafka_log import KafkaLog
from mistudio_worker.adapters.kafka_source import KafkaSource
from mistudio_worker.adapters.kafka_watch import KafkaWatch
from mistudio_worker.analysis.taxonomy import Taxonomy, default_taxonomy
from mistudio_worker.analysis.version import ANALYSIS_VERSION
from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.connections import kafka_connection, open_publisher, open_store
from mistudio_worker.errors import WrongUsage
from mistudio_worker.settings import listed, unknown_variables
from mistudio_worker.telemetry import Telemetry
from mistudio_worker.worker.announcements import Topics
from mistudio_worker.worker.child import Child, ChildPool
from mistudio_worker.worker.dead_letter_rate import DeadLetterLimits
from mistudio_worker.worker.incoming import AllowedPlaces
from mistudio_worker.worker.inputs import InputLimits
from mistudio_worker.worker.job import JobConfig, JobPorts, JobRunner
from mistudio_worker.worker.loop import WorkerLoop
from mistudio_worker.worker.memory_limit import memory_limit_bytes
from mistudio_worker.worker.patience import Patience
from mistudio_worker.worker.production import Production, ProductionConfig
from mistudio_worker.worker.result_store import new_probe_key, probe_conditional_put
from mistudio_worker.worker.retry import AttemptLimits, Budget
from mistudio_worker.worker.stall import StallWatch
from mistudio_worker.worker.workspace import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.ports import ObjectStore, Publisher, RecordSource
    from mistudio_worker.worker.production import Analyst
    from mistudio_worker.worker.steps import JobObserver

log = structlog.get_logger(__name__)
CHILD_SHARE = 0.85


def kafka_admin(settings: Settings) -> KafkaAdmin:
    """Build the means to look at topics."""
    return KafkaAdmin(kafka_connection(settings))


def kafka_watch(settings: Settings) -> KafkaWatch:
    """Build the means to see every outcome from now on."""
    kafka = settings.kafka
    return KafkaWatch(
        kafka_connection(settings), [kafka.find_complete_topic, kafka.find_failed_topic, kafka.find_progress_topic]
    )


def kafka_log(settings: Settings, topic: str) -> KafkaLog:
    """Build the means to read all that a topic holds now."""
    return KafkaLog(kafka_connection(settings), topic)


def kafka_source(settings: Settings) -> KafkaSource:
    """Build the consuming side of the group."""
    kafka = settings.kafka
    return KafkaSource(
        connection=kafka_connection(settings),
        topic=kafka.training_complete_topic,
        group_id=kafka.group_id,
        session_timeout_ms=kafka.session_timeout_ms,
        heartbeat_interval_ms=kafka.heartbeat_interval_ms,
        max_poll_interval_ms=kafka.max_poll_interval_ms,
        rebalance_timeout_ms=kafka.rebalance_timeout_ms,
        request_timeout_ms=kafka.request_timeout_ms,
        metadata_max_age_ms=kafka.metadata_max_age_ms,
        start_timeout_s=kafka.start_timeout_s,
        commit_timeout_s=kafka.commit_timeout_s,
        stop_timeout_s=kafka.stop_timeout_s,
    )


def read_taxonomy(settings: Settings) -> bytes | None:
    """Return the user's taxonomy file, checked; None where the built-in one is used.

    Raises:
        WrongUsage: `INVALID_SETTING`, the file cannot be read.
        RefusedInput: `INVALID_TAXONOMY`.
    """
    path = settings.analysis.taxonomy
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrongUsage(
            "INVALID_SETTING",
            f"the taxonomy {path} cannot be read: {error.strerror}",
            "correct MISTUDIO_ANALYSIS__TAXONOMY or --taxonomy",
        ) from None
    Taxonomy.load(content)
    return content


def taxonomy_sha256(content: bytes | None) -> str:
    """Return the content name of the taxonomy in use."""
    return (Taxonomy.load(content) if content is not None else default_taxonomy()).sha256


def analysis_limits(settings: Settings) -> Limits:
    """Return what is read at most of artifacts."""
    given = settings.analysis.model_dump(include={field.name for field in fields(Limits)})
    return Limits(**given)


def thread_count(settings: Settings) -> int:
    """Return the number of threads of the analysis."""
    return settings.analysis.threads or len(os.sched_getaffinity(0))


def child_memory_bytes(settings: Settings) -> int:
    """Return the resident memory above which a child is ended, for each of the concurrent ones."""
    if settings.analysis.memory_bytes is not None:
        return settings.analysis.memory_bytes
    return int(memory_limit_bytes() * CHILD_SHARE) // settings.job.concurrency


def make_child(settings: Settings) -> Child:
    """Build the handle on the analysing process; nothing is started yet."""
    return Child(
        memory_limit_bytes=child_memory_bytes(settings),
        deadline_s=settings.job.deadline_s,
        start_timeout_s=settings.job.child_start_timeout_s,
    )


async def run_worker(settings: Settings, observers: Sequence[JobObserver] = ()) -> None:
    """Work until SIGTERM or SIGINT; a second signal ends at once.

    Args:
        settings: all of them.
        observers: told of the steps of every job.

    Raises:
        ChildFailed: the analysing process cannot be started.
        WrongUsage: the health server cannot listen, or the store is unsafe.
    """
    telemetry = Telemetry(settings)
    for path in sweep(settings.job.work_dir):
        log.info("removed what a dead worker left", path=str(path))
    children = ChildPool([make_child(settings) for _ in range(settings.job.concurrency)])
    async with open_store(settings) as opened, open_publisher(settings) as publisher:
        store, source, patience = (
            telemetry.watched(opened),
            kafka_source(settings),
            Patience(settings.job.retry_wait_max_s),
        )
        loop = wire(
            settings, WorkerPorts(store, publisher, source, children, patience), [*observers, *telemetry.observers]
        )
        _drain_on_signal(loop)
        if unknown := unknown_variables():
            log.warning("variables that no setting reads", variables=unknown)
        if settings.kafka.shows_secrets:
            log.warning("a secret is sent to the broker without TLS", hint="use a SASL_SSL listener")
        log.info("worker starting", version=mistudio_worker.__version__, analysis=ANALYSIS_VERSION)
        async with telemetry.showing(store=store, source=source, loop=loop, patience=patience, children=children):
            try:
                if await loop.unless_drained(_prepare(settings, children, store, patience)):
                    log.info(
                        "worker ready", topic=settings.kafka.training_complete_topic, group=settings.kafka.group_id
                    )
                    await loop.run()
            finally:
                await children.stop()
                await telemetry.close()
                log.info("worker stopped")


@dataclass(frozen=True, slots=True)
class WorkerPorts:
    """The outside of a worker."""

    store: ObjectStore
    publisher: Publisher
    source: RecordSource
    analyst: Analyst
    patience: Patience


def wire(settings: Settings, ports: WorkerPorts, observers: Sequence[JobObserver] = ()) -> WorkerLoop:
    """Put the worker together from its ports."""
    slots = asyncio.Semaphore(settings.job.concurrency)
    production = Production(_production_config(settings), ports.store, ports.analyst, ports.patience)
    runner = JobRunner(_job_config(settings), JobPorts(ports.store, ports.publisher, production, ports.patience, slots))
    stalls = StallWatch(ports.source, settings.kafka.stall_timeout_s)
    grace_s = settings.job.grace_s
    return WorkerLoop(ports.source, runner, ports.patience, slots, stalls, grace_s=grace_s, observers=observers)


async def _prepare(settings: Settings, children: ChildPool, store: ObjectStore, patience: Patience) -> None:
    """Warm the children, and look at the store for as long as it takes."""
    await children.start()
    await patience.outlast(_check_store, settings, store, new_probe_key())


async def _check_store(settings: Settings, store: ObjectStore, probe_key: str) -> None:
    """Make sure that two workers can never both write a manifest."""
    if not await probe_conditional_put(store, settings.store.results_bucket, probe_key):
        raise WrongUsage(
            "STORE_UNSAFE",
            f"the store at {settings.store.address} does not honour If-None-Match: two workers could overwrite results",
            "use a store that honours conditional PUT, such as a current MinIO",
        )


def _production_config(settings: Settings) -> ProductionConfig:
    return ProductionConfig(
        results_bucket=settings.store.results_bucket,
        limits=analysis_limits(settings),
        threads=thread_count(settings),
        memory_bytes=working_memory_bytes(settings),
        taxonomy=read_taxonomy(settings),
        refuse_partial=settings.job.refuse_partial,
        work_dir=settings.job.work_dir,
        worker_name=socket.gethostname(),
    )


def _job_config(settings: Settings) -> JobConfig:
    kafka, job = settings.kafka, settings.job
    return JobConfig(
        artifacts_bucket=settings.store.artifacts_bucket,
        results_bucket=settings.store.results_bucket,
        allowed_places=_allowed_places(settings),
        topics=Topics(
            find_complete=kafka.find_complete_topic,
            find_failed=kafka.find_failed_topic,
            find_progress=kafka.find_progress_topic,
            dead_letter=kafka.dead_letter_topic,
        ),
        input_limits=InputLimits(total_bytes=job.disk_bytes, metadata_bytes=settings.analysis.max_metadata_bytes),
        attempt_limits=AttemptLimits(max_failed=job.max_attempts, max_silent=job.max_silent_deaths),
        budget=Budget(memory_bytes=working_memory_bytes(settings), device=settings.analysis.device),
        taxonomy_sha256=taxonomy_sha256(read_taxonomy(settings)),
        analysis_version=ANALYSIS_VERSION,
        dead_letter_limits=DeadLetterLimits(
            per_minute=job.dead_letters_per_minute,
            suspect_after=job.suspect_after,
            hold_s=job.suspect_hold_s,
            hold_max_s=job.suspect_hold_max_s,
        ),
        artifact_wait_s=job.artifact_wait_s,
        progress_interval_s=job.progress_interval_s,
        release_timeout_s=job.release_timeout_s,
    )


def _allowed_places(settings: Settings) -> AllowedPlaces:
    buckets, prefixes = settings.store.allowed_buckets, settings.store.allowed_prefixes
    return AllowedPlaces(None if "*" in listed(buckets) else frozenset(listed(buckets)), listed(prefixes))


def working_memory_bytes(settings: Settings) -> int:
    """Return what the blocks of an analysis may take: half of what ends the child."""
    return child_memory_bytes(settings) // 2


def _drain_on_signal(worker: WorkerLoop) -> None:
    received: list[int] = []

    def on_signal(number: int) -> None:
        received.append(number)
        if len(received) > 1:
            os._exit(128 + number)  # the user is in a hurry; nothing is committed early, so nothing is lost
        log.info("draining, a second signal ends at once", signal=signal.Signals(number).name)
        worker.drain()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
