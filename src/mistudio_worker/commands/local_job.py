"""A job from files on disk: no broker, no store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mistudio_worker import bootstrap
from mistudio_worker.analysis.version import ANALYSIS_VERSION
from mistudio_worker.artifacts.metadata import announced
from mistudio_worker.artifacts.run_dir import find_run
from mistudio_worker.commands.staging import staged
from mistudio_worker.domain.identity import FINGERPRINT_TAIL_BYTES, derive_identity, fingerprint, whole_fingerprint
from mistudio_worker.errors import NotYetThere, RefusedInput
from mistudio_worker.worker.analysis_request import AnalysisRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mistudio_worker.artifacts.files import ArtifactFiles
    from mistudio_worker.domain.identity import JobIdentity
    from mistudio_worker.domain.parameters import Parameters
    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.analysis_request import AnalysisOutcome, Progress
    from mistudio_worker.worker.child import Child


def results_directory(out: Path, find_job_id: str) -> Path:
    """Return where miStudioExplain looks for the exports of a job."""
    return out / "results" / find_job_id


async def analyze_run_dir(  # noqa: PLR0913 - what the command was given, by name
    run_dir: Path,
    out: Path,
    *,
    job: str | None,
    parameters: Parameters,
    settings: Settings,
    on_progress: Callable[[Progress], None],
    child: Child | None = None,
) -> tuple[JobIdentity, AnalysisOutcome, Path]:
    """Analyse a run on disk and lay out its exports; the same bytes as through the worker.

    A `child` that is given is left running, for the next analysis; else one is started and stopped.

    Returns:
        The job's names, what came out, and the directory with the exports.

    Raises:
        MistudioError: the run is refused, or the analysing process failed.
    """
    files = await asyncio.to_thread(find_run, run_dir, job)
    taxonomy = bootstrap.read_taxonomy(settings)
    identity = await asyncio.to_thread(_identify, files, parameters, bootstrap.taxonomy_sha256(taxonomy), settings)
    final = results_directory(out, identity.find_job_id)
    with staged(final) as staging:
        request = AnalysisRequest(
            files=files,
            identity=identity,
            parameters=parameters,
            taxonomy=taxonomy,
            limits=bootstrap.analysis_limits(settings),
            device=settings.analysis.device,
            threads=bootstrap.thread_count(settings),
            memory_bytes=bootstrap.working_memory_bytes(settings),
            refuse_partial=settings.job.refuse_partial,
            directory=staging,
        )
        outcome = await _run(child or bootstrap.make_child(settings), request, on_progress, keep=child is not None)
    return identity, outcome, final


async def _run(
    child: Child, request: AnalysisRequest, on_progress: Callable[[Progress], None], *, keep: bool
) -> AnalysisOutcome:
    try:
        return await child.run(request, on_progress)
    finally:
        if not keep:
            await child.stop()


def _identify(files: ArtifactFiles, parameters: Parameters, taxonomy_sha256: str, settings: Settings) -> JobIdentity:
    metadata = _read_metadata(files.metadata, settings.analysis.max_metadata_bytes)
    return derive_identity(
        files.training_job_id,
        fingerprints={
            "feature_activations": _fingerprint(files.activations),
            "metadata": whole_fingerprint(metadata) if metadata is not None else None,
            "sae_model": _fingerprint(files.sae_model) if files.sae_model is not None else None,
        },
        parameters=parameters,
        taxonomy_sha256=taxonomy_sha256,
        analysis_version=ANALYSIS_VERSION,
        metadata_timestamp=announced(metadata).timestamp if metadata is not None else None,
    )


def _read_metadata(path: Path | None, max_bytes: int) -> bytes | None:
    if path is None:
        return None
    if path.stat().st_size > max_bytes:
        raise RefusedInput(
            "ARTIFACT_TOO_LARGE",
            f"{path.name} has {path.stat().st_size} bytes, at most {max_bytes} are read",
            "raise MISTUDIO_ANALYSIS__MAX_METADATA_BYTES, or write a smaller file",
        )
    content = path.read_bytes()
    if not announced(content).ready:
        raise NotYetThere(
            "ARTIFACT_NOT_READY",
            "metadata.json says ready_for_find_service: false",
            "wait for the trainer to finish, then try again",
        )
    return content


def _fingerprint(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - FINGERPRINT_TAIL_BYTES))
        return fingerprint(size, file.read(FINGERPRINT_TAIL_BYTES))
