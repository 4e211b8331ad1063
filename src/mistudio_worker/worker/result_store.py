"""Results in the store: data objects under a prefix of their own, the manifest last."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError

from mistudio_worker.contracts.events import ExportV1
from mistudio_worker.contracts.manifest import ManifestV1, to_bytes
from mistudio_worker.errors import RefusedInput, ServiceAway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistudio_worker.domain.identity import JobIdentity
    from mistudio_worker.worker.analysis_request import WrittenExport
    from mistudio_worker.worker.ports import ObjectInfo, ObjectReader, ObjectStore

log = structlog.get_logger(__name__)
MANIFEST_MAX_BYTES = 16 << 20
UPLOADS_IN_FLIGHT = 4
READS_IN_FLIGHT = 16
PROBES = "attempts/probe-"
PROBE_OLD = timedelta(hours=1)
"""A worker that probes is done within minutes, or dead: a younger probe may be under way."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it lies in the store."""

    manifest: ManifestV1
    bucket: str
    key: str
    sha256: str


def job_prefix(find_job_id: str) -> str:
    """Return the prefix that holds all objects of one job."""
    return f"find/{find_job_id}/"


def manifest_key(find_job_id: str) -> str:
    """Return where a job's manifest lies."""
    return f"{job_prefix(find_job_id)}manifest.json"


def new_data_prefix(find_job_id: str) -> str:
    """Return a prefix that no other attempt uses, so that two racing ones never share an object."""
    return f"{job_prefix(find_job_id)}data-{secrets.token_hex(8)}/"


async def read_manifest(store: ObjectReader, bucket: str, find_job_id: str) -> StoredManifest | None:
    """Return a job's manifest; None where there is none.

    Raises:
        RefusedInput: `MANIFEST_UNREADABLE`, something else lies in its place.
    """
    key = manifest_key(find_job_id)
    info = await store.head(bucket, key)
    if info is None:
        return None
    try:
        if info.size > MANIFEST_MAX_BYTES:
            raise ValueError(f"{info.size} bytes")
        raw = await store.read_range(bucket, info, 0, info.size)
        manifest = ManifestV1.model_validate_json(raw)
    except (ValidationError, ValueError) as error:
        raise RefusedInput(
            "MANIFEST_UNREADABLE",
            f"{key!r} in bucket {bucket!r} is no manifest that this worker can read ({type(error).__name__})",
            "move that object away, then replay the event",
        ) from error
    return StoredManifest(manifest, bucket, key, hashlib.sha256(raw).hexdigest())


def check_same_job(stored: StoredManifest, identity: JobIdentity) -> None:
    """Make sure that a manifest under our name is about our input.

    Raises:
        RefusedInput: `JOB_ID_COLLISION`, same name but another hash.
    """
    if stored.manifest.identity_sha256 != identity.sha256:
        raise RefusedInput(
            "JOB_ID_COLLISION",
            f"{identity.find_job_id} is already the result of another input "
            f"(hash {stored.manifest.identity_sha256}, expected {identity.sha256})",
            "change a parameter slightly, so that the job gets another name",
        )


async def damaged_exports(store: ObjectReader, stored: StoredManifest) -> list[ExportV1]:
    """Return the exports of a manifest that are absent from the store or have another size."""
    exports = stored.manifest.exports
    infos = await asyncio.gather(*(store.head(stored.bucket, export.key) for export in exports))
    return [e for e, info in zip(exports, infos, strict=True) if info is None or info.size != e.size]


async def upload_exports(
    store: ObjectStore, bucket: str, prefix: str, written: Sequence[WrittenExport]
) -> list[ExportV1]:
    """Upload all exports under a prefix, a few at a time, in the order of `written`."""
    gate = asyncio.Semaphore(UPLOADS_IN_FLIGHT)

    async def upload(export: WrittenExport) -> ExportV1:
        key = f"{prefix}{export.path.name}"
        async with gate:
            await store.upload(bucket, key, export.path, sha256=export.sha256)
        return ExportV1(format=export.format, key=key, size=export.size, sha256=export.sha256)

    done = await asyncio.gather(*(upload(export) for export in written), return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in done if isinstance(outcome, ExportV1)]


async def write_manifest(store: ObjectStore, bucket: str, manifest: ManifestV1) -> StoredManifest | None:
    """Make a result visible, on condition that no other one is.

    Returns:
        What was written; None where a manifest was there already.
    """
    data, key = to_bytes(manifest), manifest_key(manifest.find_job_id)
    if not await store.put_new(bucket, key, data):
        return None
    return StoredManifest(manifest, bucket, key, hashlib.sha256(data).hexdigest())


async def sweep(store: ObjectStore, stored: StoredManifest) -> None:
    """Delete what lies under a finished job's prefix and is not named by its manifest.

    That is what attempts left that died or lost the race, parts of unfinished uploads included. One that is still
    uploading loses nothing: its manifest can never be written any more.
    """
    named = {stored.key, *(export.key for export in stored.manifest.exports)}
    found = await store.list_objects(stored.bucket, job_prefix(stored.manifest.find_job_id))
    await store.remove(stored.bucket, [info.key for info in found if info.key not in named])
    try:
        await store.abort_uploads(stored.bucket, job_prefix(stored.manifest.find_job_id))
    except ServiceAway as error:
        if error.code not in ("STORE_DENIED", "STORE_REFUSED"):
            raise
        log.info("parts of unfinished uploads may stay", message=error.message)


async def list_manifests(store: ObjectReader, bucket: str) -> list[StoredManifest]:
    """Return every readable manifest in the results bucket, by find job id."""
    gate = asyncio.Semaphore(READS_IN_FLIGHT)

    async def read(find_job_id: str) -> StoredManifest | None:
        async with gate:
            try:
                return await read_manifest(store, bucket, find_job_id)
            except RefusedInput:
                return None

    keys = [info.key for info in await store.list_objects(bucket, "find/")]
    jobs = [parts[1] for key in keys if len(parts := key.split("/")) == 3 and parts[2] == "manifest.json"]
    found = await asyncio.gather(*(read(job) for job in jobs))
    return [stored for stored in found if stored is not None]


def new_probe_key() -> str:
    """Return a key that no other worker probes the store with."""
    return f"{PROBES}{secrets.token_hex(8)}"


async def probe_conditional_put(store: ObjectStore, bucket: str, key: str) -> bool:
    """Find out whether the store refuses a second conditional PUT of one key, as S3 promises.

    Args:
        store: is asked.
        bucket: of the results.
        key: of `new_probe_key`; the same one when it is tried again, so that a failed try leaves nothing.
    """
    await store.put_new(bucket, key, b"1")  # an earlier try may have put it already
    refused = not await store.put_new(bucket, key, b"2")
    found = await store.list_objects(bucket, PROBES)
    await store.remove(bucket, [key, *_old_probes(found, key)])
    return refused and any(info.key == key for info in found)


def _old_probes(found: Sequence[ObjectInfo], own: str) -> list[str]:
    """Return those of workers that died over them; the store's clock tells, by the probe just made."""
    now = next((info.modified for info in found if info.key == own), None)
    if now is None:
        return []
    return [info.key for info in found if info.modified is not None and now - info.modified > PROBE_OLD]
