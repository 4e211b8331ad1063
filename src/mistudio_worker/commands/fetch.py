"""`mistudio-worker fetch`: bring the exports of a job to this disk, verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mistudio_worker import connections
from mistudio_worker.commands.exit_codes import ExitCode
from mistudio_worker.commands.local_job import results_directory
from mistudio_worker.commands.staging import staged
from mistudio_worker.domain.identity import FIND_JOB_ID
from mistudio_worker.errors import JobNotFound, RefusedInput
from mistudio_worker.worker.result_store import list_manifests, read_manifest

if TYPE_CHECKING:
    from mistudio_worker.contracts.events import ExportV1
    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.ports import ObjectReader
    from mistudio_worker.worker.result_store import StoredManifest


async def find_manifest(store: ObjectReader, bucket: str, job: str) -> StoredManifest:
    """Return the manifest of a find job, or the newest one of a training job.

    Raises:
        JobNotFound: no result of this job.
    """
    if FIND_JOB_ID.fullmatch(job):
        stored = await read_manifest(store, bucket, job)
        found = [stored] if stored else []
    else:
        found = [s for s in await list_manifests(store, bucket) if s.manifest.source_job_id == job]
    if not found:
        raise JobNotFound(
            "JOB_NOT_FOUND",
            f"bucket {bucket!r} holds no result of {job!r}",
            "check the id, or submit the job first: mistudio-worker submit JOB --wait",
        )
    return max(found, key=lambda s: (s.manifest.created_at, s.manifest.find_job_id))


async def fetch_exports(store: ObjectReader, stored: StoredManifest, out: Path) -> Path:
    """Download every export, check its SHA-256, and put them in place all at once.

    Raises:
        RefusedInput: `EXPORT_DAMAGED`, an object is gone or not what the manifest promises.
    """
    final = results_directory(out, stored.manifest.find_job_id)
    with staged(final) as staging:
        for export in stored.manifest.exports:
            await _fetch(store, stored.bucket, export, staging)
    return final


async def _fetch(store: ObjectReader, bucket: str, export: ExportV1, directory: Path) -> None:
    info = await store.head(bucket, export.key)
    if info is None:
        raise _damaged(export, "is gone")
    file = await store.download(bucket, info, directory / Path(export.key).name)
    if file.sha256 != export.sha256:
        raise _damaged(export, f"has SHA-256 {file.sha256}, the manifest says {export.sha256}")


def _damaged(export: ExportV1, what: str) -> RefusedInput:
    return RefusedInput(
        "EXPORT_DAMAGED", f"object {export.key!r} {what}", "submit the job again: the worker makes what is gone anew"
    )


async def fetch_command(settings: Settings, job: str, out: Path) -> ExitCode:
    """Find the job's manifest, download and verify, say where the files lie."""
    async with connections.open_store(settings) as store:
        stored = await find_manifest(store, settings.store.results_bucket, job)
        directory = await fetch_exports(store, stored, out)
    typer.echo(f"{stored.manifest.find_job_id} {stored.manifest.status}: {len(stored.manifest.exports)} files verified")
    typer.echo(f"  {directory}")
    return ExitCode.DONE
