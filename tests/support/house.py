"""A worker in memory: the real job runner between fakes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from support.fakes import FakeAnalyst, FakePublisher, FakeStore

from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.contracts.manifest import ManifestV1
from mistudio_worker.worker.announcements import Topics
from mistudio_worker.worker.incoming import ANYWHERE
from mistudio_worker.worker.inputs import InputLimits
from mistudio_worker.worker.job import JobConfig, JobPorts, JobRunner
from mistudio_worker.worker.patience import Patience
from mistudio_worker.worker.ports import Record
from mistudio_worker.worker.production import Production, ProductionConfig
from mistudio_worker.worker.retry import AttemptLimits, Budget
from mistudio_worker.worker.steps import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mistudio_worker.worker.ports import Message
    from mistudio_worker.worker.steps import JobObserver

JOB = "train_20260102_030405_0001"
ARTIFACTS, RESULTS = "artifacts", "results"
TOPICS = Topics("complete", "failed", "progress", "dead")
MEMORY_BYTES = 1 << 30
KEYS = {
    "sae_model": f"models/{JOB}/sae_model.pt",
    "feature_activations": f"activations/{JOB}/feature_activations.pt",
    "metadata": f"activations/{JOB}/metadata.json",
}
CONTENTS = {
    "sae_model": b"the autoencoder",
    "feature_activations": b"the activations",
    "metadata": json.dumps({"timestamp": "2026-01-02T03:04:05", "ready_for_find_service": True}).encode(),
}
CONFIG = JobConfig(
    artifacts_bucket=ARTIFACTS,
    results_bucket=RESULTS,
    allowed_places=ANYWHERE,
    topics=TOPICS,
    input_limits=InputLimits(total_bytes=1 << 30, metadata_bytes=4 << 20),
    attempt_limits=AttemptLimits(),
    budget=Budget(MEMORY_BYTES, "auto"),
    taxonomy_sha256="0" * 64,
    analysis_version="1",
    artifact_wait_s=0.0,
    progress_interval_s=60.0,
    release_timeout_s=5.0,
)


def record_of(
    value: bytes | dict[str, Any] | None = None,
    *,
    offset: int = 0,
    partition: int = 0,
    headers: Sequence[tuple[str, bytes]] = (),
    key: bytes | None = b"the key",
) -> Record:
    """A record of the topic; a dictionary is written as JSON, by default the usual event."""
    if value is None:
        value = {"job_id": JOB}
    raw = json.dumps(value).encode() if isinstance(value, dict) else value
    return Record("training-complete", partition, offset, 1_767_323_045_000, key, raw, headers)


def store_with_run() -> FakeStore:
    """A store that holds the usual run, and an empty bucket for results."""
    store = FakeStore()
    store.buckets[RESULTS] = {}
    for name, key in KEYS.items():
        store.put(ARTIFACTS, key, CONTENTS[name])
    return store


@dataclass
class House:
    """A runner and its fakes; several may share one store."""

    work_dir: Path
    store: FakeStore = field(default_factory=store_with_run)
    publisher: FakePublisher = field(default_factory=FakePublisher)
    analyst: FakeAnalyst = field(default_factory=FakeAnalyst)
    patience: Patience = field(default_factory=lambda: Patience(wait_max_s=0.002))
    config: JobConfig = CONFIG
    name: str = "worker"
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    observers: Sequence[JobObserver] = ()

    def waiting(self, wait_s: float) -> House:
        """The same house, waiting longer for artifacts."""
        self.config = replace(self.config, artifact_wait_s=wait_s)
        return self

    @property
    def runner(self) -> JobRunner:
        """The real one."""
        production = Production(
            ProductionConfig(
                results_bucket=self.config.results_bucket,
                limits=Limits(),
                threads=1,
                memory_bytes=MEMORY_BYTES,
                taxonomy=None,
                refuse_partial=False,
                work_dir=self.work_dir,
                worker_name=self.name,
            ),
            self.store,
            self.analyst,
            self.patience,
        )
        return JobRunner(self.config, JobPorts(self.store, self.publisher, production, self.patience, self.slots))

    async def run(self, record: Record | None = None) -> None:
        """Carry one record to its outcome, within a limit, and settle it as the loop does."""
        record = record or record_of()
        async with asyncio.timeout(20):
            await self.runner.run(JobState(record, self.observers))
            await self.runner.forget(record)

    def manifests(self) -> list[ManifestV1]:
        """All manifests in the store."""
        keys = [key for key in self.store.keys(RESULTS, "find/") if key.endswith("/manifest.json")]
        return [ManifestV1.model_validate_json(self.store.buckets[RESULTS][key]) for key in keys]

    def completed(self) -> list[Message]:
        """All find-complete messages."""
        return self.publisher.on(TOPICS.find_complete)

    def letters(self) -> list[Message]:
        """All dead letters."""
        return self.publisher.on(TOPICS.dead_letter)

    def failed(self) -> list[dict[str, Any]]:
        """The data of all find-failed messages."""
        return [json.loads(message.value or b"") for message in self.publisher.on(TOPICS.find_failed)]

    def codes(self) -> list[str]:
        """The error codes of all dead letters."""
        return [dict(letter.headers)["error-code"].decode() for letter in self.letters()]
