"""`mistudio-worker doctor`: everything that a worker needs, each line ok or the remedy."""

from __future__ import annotations

import platform
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import typer

from mistudio_worker import bootstrap, connections
from mistudio_worker.commands.exit_codes import ExitCode
from mistudio_worker.errors import MistudioError
from mistudio_worker.settings import unknown_variables
from mistudio_worker.worker.result_store import new_probe_key, probe_conditional_put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mistudio_worker.adapters.kafka_admin import KafkaAdmin, TopicFacts
    from mistudio_worker.settings import Settings

WEEK_MINUTES = 7 * 24 * 60
LIBRARIES = ("aiokafka", "minio", "torch", "numpy", "numba", "pyarrow", "pydantic")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: `remedy` is None where all is well."""

    subject: str
    found: str
    remedy: str | None = None


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Yield one finding after another; nothing is changed but a probe object that is removed again."""
    for finding in (*_environment(), _device(settings), _disk(settings)):
        yield finding
    async for finding in _broker(settings):
        yield finding
    async for finding in _store(settings):
        yield finding


def _environment() -> list[Finding]:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    unknown = unknown_variables()
    return [
        Finding(
            "versions", f"mistudio-worker {version('mistudio-worker')}, Python {platform.python_version()}, {versions}"
        ),
        Finding(
            "settings",
            f"unknown variables: {', '.join(unknown)}" if unknown else "every MISTUDIO_ variable is known",
            "correct or remove them; docs/reference/settings.md lists all settings" if unknown else None,
        ),
    ]


def _device(settings: Settings) -> Finding:
    from mistudio_worker.worker.analysis_job import resolve_device  # noqa: PLC0415 - loads torch

    try:
        device = resolve_device(settings.analysis.device)
    except MistudioError as error:
        return Finding("device", error.message, error.hint)
    memory_gib = bootstrap.child_memory_bytes(settings) / (1 << 30)
    return Finding(
        "device", f"{device}, {bootstrap.thread_count(settings)} threads, {memory_gib:.1f} GiB for the analysis"
    )


def _disk(settings: Settings) -> Finding:
    place = settings.job.work_dir or tempfile.gettempdir()
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding("disk", f"{place}: {error.strerror}", "create it, or name another MISTUDIO_JOB__WORK_DIR")
    short = free < 1 << 30
    return Finding(
        "disk",
        f"{free / (1 << 30):.1f} GiB free in {place}",
        "artifacts and exports of a job must fit: free some space, or name another MISTUDIO_JOB__WORK_DIR"
        if short
        else None,
    )


async def _broker(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with bootstrap.kafka_admin(settings) as admin:
            yield Finding("broker", f"answers at {settings.kafka.bootstrap_servers}")
            if settings.kafka.shows_secrets:
                yield Finding(
                    "broker", "is sent a secret without TLS", "use a SASL_SSL listener: anyone on the way can read it"
                )
            yield await _offset_retention(admin)
            facts = await admin.topics(_topics(settings))
            for name in _topics(settings):
                yield _topic(name, facts.get(name), settings)
            yield await _members(admin, facts, settings)
    except MistudioError as error:
        yield Finding("broker", error.message, error.hint)


def _topics(settings: Settings) -> list[str]:
    kafka = settings.kafka
    return [
        kafka.training_complete_topic,
        kafka.find_complete_topic,
        kafka.find_failed_topic,
        kafka.find_progress_topic,
        kafka.dead_letter_topic,
    ]


def _topic(name: str, facts: TopicFacts | None, settings: Settings) -> Finding:
    if facts is None:
        return Finding(
            f"topic {name}", "is not there", f"create it: kafka-topics.sh --create --topic {name} --partitions 4"
        )
    most = "of a size that is told to no one without DescribeConfigs"
    if facts.max_message_bytes is not None:
        most = f"up to {facts.max_message_bytes} bytes"
    found = f"{facts.partitions} partitions, {facts.replicas} replicas, messages {most}"
    limit = settings.kafka.max_message_bytes
    if facts.max_message_bytes is not None and facts.max_message_bytes < limit:
        return Finding(
            f"topic {name}",
            found,
            f"raise its max.message.bytes to {limit} or more, or lower MISTUDIO_KAFKA__MAX_MESSAGE_BYTES",
        )
    return Finding(f"topic {name}", found)


async def _offset_retention(admin: KafkaAdmin) -> Finding:
    minutes = await admin.broker_config("offsets.retention.minutes")
    if minutes is None:
        return Finding("offset retention", "the broker does not tell")
    short = int(minutes) < WEEK_MINUTES
    return Finding(
        "offset retention",
        f"{int(minutes) / 1440:.1f} days",
        "set the broker's offsets.retention.minutes to 10080 or more: an idle group forgets its place after it"
        if short
        else None,
    )


async def _members(admin: KafkaAdmin, facts: dict[str, TopicFacts], settings: Settings) -> Finding:
    topic = settings.kafka.training_complete_topic
    members = await admin.group_members(settings.kafka.group_id)
    partitions = facts[topic].partitions if topic in facts else 0
    found = f"{members} workers in group {settings.kafka.group_id!r}, {partitions} partitions to share"
    if members > partitions:
        return Finding(
            "workers", found, f"raise the partitions of {topic}: {members - partitions} workers have nothing to do"
        )
    return Finding("workers", found)


async def _store(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with connections.open_store(settings) as store:
            missing = []
            for bucket in (settings.store.artifacts_bucket, settings.store.results_bucket):
                there = await store.bucket_exists(bucket)
                missing += [] if there else [bucket]
                yield Finding(
                    f"bucket {bucket}",
                    "is there" if there else "is not there",
                    None if there else f"create it: mc mb STORE/{bucket}",
                )
            if settings.store.results_bucket not in missing:
                honoured = await probe_conditional_put(store, settings.store.results_bucket, new_probe_key())
                yield Finding(
                    "conditional PUT",
                    "honoured" if honoured else "NOT honoured: a second writer would overwrite the first",
                    None if honoured else "use a store that honours If-None-Match, such as a current MinIO",
                )
    except MistudioError as error:
        yield Finding("store", error.message, error.hint)


async def doctor_command(settings: Settings) -> ExitCode:
    """Print every finding; the exit code says whether all is well."""
    ailing = False
    async for finding in examine(settings):
        ailing = ailing or finding.remedy is not None
        mark = "ok  " if finding.remedy is None else "FAIL"
        typer.echo(f"{mark} {finding.subject}: {finding.found}")
        if finding.remedy is not None:
            typer.echo(f"     remedy: {finding.remedy}")
    return ExitCode.SERVICE_AWAY if ailing else ExitCode.DONE
