"""One attempt at a result: fetch, analyse, upload, make visible."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from mistudio_worker.artifacts.files import ArtifactFiles
from mistudio_worker.contracts.events import ParametersV1
from mistudio_worker.contracts.manifest import InputV1, ManifestV1
from mistudio_worker.errors import ChildFailed, RefusedInput
from mistudio_worker.worker import result_store
from mistudio_worker.worker.analysis_request import AnalysisRequest, Progress
from mistudio_worker.worker.inputs import FILE_NAMES, fetch
from mistudio_worker.worker.steps import Step
from mistudio_worker.worker.workspace import subfolder, workspace_of_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mistudio_worker.artifacts.limits import Limits
    from mistudio_worker.domain.identity import JobIdentity
    from mistudio_worker.worker.analysis_request import AnalysisOutcome
    from mistudio_worker.worker.incoming import TrainingRequest
    from mistudio_worker.worker.inputs import Inputs
    from mistudio_worker.worker.patience import Patience
    from mistudio_worker.worker.ports import FetchedFile, ObjectStore
    from mistudio_worker.worker.result_store import StoredManifest
    from mistudio_worker.worker.retry import Budget
    from mistudio_worker.worker.steps import JobState


class Analyst(Protocol):
    """Runs one analysis; the child process, or a fake of it."""

    async def run(self, request: AnalysisRequest, on_progress: Callable[[Progress], None]) -> AnalysisOutcome:
        """Run it; see `Child.run`."""
        ...


@dataclass(frozen=True, slots=True)
class ProductionConfig:
    """What does not change from job to job."""

    results_bucket: str
    limits: Limits
    threads: int
    memory_bytes: int
    taxonomy: bytes | None
    refuse_partial: bool
    work_dir: Path | None
    worker_name: str


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be produced.

    `known` is a result that is promised by a manifest but has lost objects; None where there is none yet.
    """

    request: TrainingRequest
    inputs: Inputs
    identity: JobIdentity
    known: StoredManifest | None


class Production:
    """Makes results; holds what every attempt needs."""

    def __init__(self, config: ProductionConfig, store: ObjectStore, analyst: Analyst, patience: Patience) -> None:
        self._config = config
        self._store = store
        self._analyst = analyst
        self._outlast = patience.outlast

    async def produce(
        self, order: Order, budget: Budget, state: JobState, report: Callable[[Progress], None]
    ) -> StoredManifest:
        """Make the result of one job visible.

        Returns:
            The manifest that readers see: ours, or that of a worker that was faster.

        Raises:
            ChildFailed: the analysing process failed.
            RefusedInput: the artifacts can never be analysed.
            NotYetThere: an artifact was replaced while it was read.
        """
        async with workspace_of_job(self._config.work_dir) as directory:
            report(Progress("fetch", 0.0))
            begun_s = time.perf_counter()
            with state.step(Step.FETCH):
                fetched = await self._outlast(fetch, self._store, order.inputs, order.request, directory)
            state.figures.fetched_bytes += sum(file.size for file in fetched.values())
            fetch_s = time.perf_counter() - begun_s
            exports = subfolder(directory, "exports")
            with state.step(Step.ANALYZE):
                outcome = await self._analyse(self._analysis_request(order, fetched, exports, budget), report)
                state.figures.analysed(outcome)
            report(Progress("upload", 0.0))
            if order.known is not None:
                with state.step(Step.UPLOAD):
                    return await self._repair(order.known, outcome)
            return await self._publish(order, outcome, fetched, state, fetch_s=fetch_s)

    async def _analyse(self, request: AnalysisRequest, report: Callable[[Progress], None]) -> AnalysisOutcome:
        try:
            return await self._analyst.run(request, report)
        except RefusedInput as error:
            if error.code == "MEMORY_BUDGET_EXCEEDED" and request.memory_bytes < self._config.memory_bytes:
                # only this attempt's budget was too small, after one that used too much memory
                raise ChildFailed(error.code, error.message, error.hint) from error
            raise

    def _analysis_request(
        self, order: Order, fetched: dict[str, FetchedFile], exports: Path, budget: Budget
    ) -> AnalysisRequest:
        paths = {name: fetched[name].path if name in fetched else None for name in FILE_NAMES}
        return AnalysisRequest(
            files=ArtifactFiles(
                training_job_id=order.request.training_job_id,
                activations=fetched["feature_activations"].path,
                sae_model=paths["sae_model"],
                metadata=paths["metadata"],
            ),
            identity=order.identity,
            parameters=order.request.parameters,
            taxonomy=self._config.taxonomy,
            limits=self._config.limits,
            device=budget.device,
            threads=self._config.threads,
            memory_bytes=budget.memory_bytes,
            refuse_partial=self._config.refuse_partial,
            directory=exports,
        )

    async def _publish(
        self,
        order: Order,
        outcome: AnalysisOutcome,
        fetched: dict[str, FetchedFile],
        state: JobState,
        *,
        fetch_s: float,
    ) -> StoredManifest:
        """Upload the exports under a prefix of our own; then the manifest, if there is none yet."""
        bucket, job = self._config.results_bucket, order.identity.find_job_id
        prefix = result_store.new_data_prefix(job)
        begun_s = time.perf_counter()
        with state.step(Step.UPLOAD):
            exports = await self._outlast(result_store.upload_exports, self._store, bucket, prefix, outcome.exports)
        upload_s = time.perf_counter() - begun_s
        state.figures.uploaded_bytes += sum(export.size for export in exports)
        manifest = ManifestV1(
            find_job_id=job,
            source_job_id=order.identity.training_job_id,
            identity_sha256=order.identity.sha256,
            status=outcome.status,
            reasons=list(outcome.reasons),
            created_at=datetime.now(UTC),
            artifacts_bucket=order.inputs.bucket,
            inputs=_described(order.inputs, fetched),
            exports=exports,
            counts=outcome.counts,
            priority_features=list(outcome.priority_features),
            priority_total=outcome.priority_total,
            parameters=ParametersV1.model_validate(order.request.parameters, from_attributes=True),
            versions=outcome.versions,
            timings={"fetch": round(fetch_s, 3), **outcome.timings, "upload": round(upload_s, 3)},
            platform={**outcome.platform, "peak_memory_bytes": str(outcome.peak_memory_bytes)},
            attempt=state.attempt,
            worker=self._config.worker_name,
        )
        with state.step(Step.MANIFEST):
            stored = await self._make_visible(manifest, order.identity)
        await self._outlast(result_store.sweep, self._store, stored)
        return stored

    async def _make_visible(self, manifest: ManifestV1, identity: JobIdentity) -> StoredManifest:
        """Write the manifest, or take over the one that was there first."""
        while True:
            bucket = self._config.results_bucket
            stored = await self._outlast(result_store.write_manifest, self._store, bucket, manifest)
            stored = stored or await self._winner(identity)
            if stored is not None:
                return stored

    async def _winner(self, identity: JobIdentity) -> StoredManifest | None:
        """Take over the manifest that was there first; it is ours if only the answer to our write was lost."""
        bucket = self._config.results_bucket
        stored = await self._outlast(result_store.read_manifest, self._store, bucket, identity.find_job_id)
        if stored is not None:
            result_store.check_same_job(stored, identity)
        return stored

    async def _repair(self, known: StoredManifest, outcome: AnalysisOutcome) -> StoredManifest:
        """Put back the objects of a known result, if the bytes are those that its manifest promises."""
        fresh = {export.format: export for export in outcome.exports}
        for promised in known.manifest.exports:
            made = fresh.get(promised.format)
            if made is None or made.sha256 != promised.sha256:
                raise RefusedInput(
                    "RESULT_DAMAGED",
                    f"objects of {known.manifest.find_job_id} are gone, and {promised.format}, made anew, is not "
                    "what the manifest promises",
                    f"delete {known.key!r} from bucket {known.bucket!r}, then replay the event",
                )
        for promised in known.manifest.exports:
            made = fresh[promised.format]
            await self._outlast(self._store.upload, known.bucket, promised.key, made.path, sha256=made.sha256)
        return known


def _described(inputs: Inputs, fetched: dict[str, FetchedFile]) -> list[InputV1]:
    return [
        InputV1(name=name, key=info.key, size=file.size, etag=info.etag, sha256=file.sha256)
        for name, file in sorted(fetched.items())
        if (info := inputs.objects[name]) is not None
    ]
