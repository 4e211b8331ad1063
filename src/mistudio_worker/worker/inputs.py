"""Find a run's artifacts in the store, name their content, fetch them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.artifacts.metadata import Announced, announced
from mistudio_worker.domain.identity import FINGERPRINT_TAIL_BYTES, fingerprint, whole_fingerprint
from mistudio_worker.errors import NotYetThere, RefusedInput, ServiceAway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mistudio_worker.contracts.events import ArtifactRefV1
    from mistudio_worker.worker.incoming import TrainingRequest
    from mistudio_worker.worker.ports import FetchedFile, ObjectInfo, ObjectReader, ObjectStore

FILE_NAMES = {
    "feature_activations": "feature_activations.pt",
    "metadata": "metadata.json",
    "sae_model": "sae_model.pt",
}


@dataclass(frozen=True, slots=True)
class InputLimits:
    """What is fetched at most for one job, in bytes."""

    total_bytes: int
    metadata_bytes: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """A run's artifacts as they lie in the store at one moment.

    Attributes:
        bucket: of all of them.
        objects: name -> object; None for one that is absent.
        fingerprints: name -> content name; None for one that is absent.
        timestamp: of metadata.json; None where it cannot be read.
    """

    bucket: str
    objects: dict[str, ObjectInfo | None]
    fingerprints: dict[str, str | None]
    timestamp: str | None

    @property
    def absent(self) -> list[str]:
        """Names of the artifacts that are not there."""
        return [name for name, info in self.objects.items() if info is None]


async def locate(store: ObjectStore, request: TrainingRequest, limits: InputLimits) -> Inputs:
    """Look at a run's artifacts without reading more than their ends.

    Raises:
        NotYetThere: `ARTIFACT_MISSING` where there are no activations, `ARTIFACT_NOT_READY` where
            metadata.json says that the run is not ready.
        RefusedInput: larger than allowed, not what the event says, or not readable.
    """
    async with _own_faults_apart(store, request):
        return await _locate(store, request, limits)


async def _locate(store: ObjectReader, request: TrainingRequest, limits: InputLimits) -> Inputs:
    objects = {name: await store.head(request.bucket, ref.key) for name, ref in request.artifacts.items()}
    activations = objects["feature_activations"]
    if activations is None:
        raise NotYetThere(
            "ARTIFACT_MISSING",
            f"no object {request.artifacts['feature_activations'].key!r:.300} in bucket {request.bucket!r}",
            "upload the trainer's files, then replay the event",
        )
    for name, ref in request.artifacts.items():
        _compare(name, ref, objects[name])
    _check_sizes(objects, limits)
    said, metadata_sha256 = await _look_at_metadata(store, request.bucket, objects["metadata"])
    if not said.ready:
        raise NotYetThere(
            "ARTIFACT_NOT_READY",
            "metadata.json says ready_for_find_service: false",
            "wait for the trainer to finish, then replay the event",
        )
    return Inputs(
        bucket=request.bucket,
        objects=objects,
        fingerprints={
            "feature_activations": await _fingerprint(store, request.bucket, activations),
            "metadata": metadata_sha256,
            "sae_model": await _fingerprint(store, request.bucket, objects["sae_model"]),
        },
        timestamp=said.timestamp,
    )


async def _look_at_metadata(store: ObjectReader, bucket: str, info: ObjectInfo | None) -> tuple[Announced, str | None]:
    """Return what metadata.json says of the job and the name of its content; the rest is read by the child."""
    if info is None:
        return Announced(), None
    raw = await store.read_range(bucket, info, 0, info.size)
    return await asyncio.to_thread(announced, raw), await asyncio.to_thread(whole_fingerprint, raw)


async def fetch(
    store: ObjectStore, inputs: Inputs, request: TrainingRequest, directory: Path
) -> dict[str, FetchedFile]:
    """Read every artifact that is there into `directory`, and check it against the event's SHA-256.

    Raises:
        RefusedInput: `ARTIFACT_CHECKSUM`, not the file that the event means; or not readable.
        NotYetThere: `ARTIFACT_CHANGED`, replaced since it was looked at.
    """
    fetched: dict[str, FetchedFile] = {}
    for name, info in inputs.objects.items():
        if info is None:
            continue
        async with _own_faults_apart(store, request):
            file = await store.download(inputs.bucket, info, directory / FILE_NAMES[name])
        expected = request.artifacts[name].sha256
        if expected is not None and file.sha256 != expected:
            raise RefusedInput(
                "ARTIFACT_CHECKSUM",
                f"{name} has SHA-256 {file.sha256}, the event says {expected}",
                "upload the right file, or send an event with its checksum",
            )
        fetched[name] = file
    return fetched


@asynccontextmanager
async def _own_faults_apart(store: ObjectStore, request: TrainingRequest) -> AsyncIterator[None]:
    """Refuse an event whose place or object is what the store will not serve, instead of waiting for ever.

    Raises:
        RefusedInput: `BUCKET_DENIED`, closed to us at a place that only the event names; `ARTIFACT_UNREADABLE`,
            answered with an error that stays (archived, encrypted by its writer, another region).
        ServiceAway: the store does not let us into our own bucket either, so the event is not to blame.
    """
    try:
        yield
    except ServiceAway as error:
        denied = error.code == "STORE_DENIED" and not request.usual_place
        if not (denied or error.code == "STORE_REFUSED") or not await store.bucket_exists(request.usual_bucket):
            raise
        if denied:
            raise RefusedInput(
                "BUCKET_DENIED",
                f"the event names a place in bucket {request.bucket!r} that the store does not open to this worker",
                "let the worker's user read it, or leave bucket and artifacts out of the event",
            ) from error
        raise RefusedInput("ARTIFACT_UNREADABLE", error.message, error.hint) from error


async def _fingerprint(store: ObjectReader, bucket: str, info: ObjectInfo | None) -> str | None:
    if info is None:
        return None
    length = min(info.size, FINGERPRINT_TAIL_BYTES)
    return fingerprint(info.size, await store.read_range(bucket, info, info.size - length, length))


def _compare(name: str, ref: ArtifactRefV1, info: ObjectInfo | None) -> None:
    if info is None:
        return
    for what, expected, found in (("size", ref.size, info.size), ("etag", ref.etag, info.etag)):
        if expected is not None and str(expected).strip('"') != str(found).strip('"'):
            raise RefusedInput(
                "ARTIFACT_CHECKSUM",
                f"{name} has {what} {found}, the event says {expected}",
                "upload the right file, or send an event that matches it",
            )


def _check_sizes(objects: dict[str, ObjectInfo | None], limits: InputLimits) -> None:
    metadata = objects["metadata"]
    if metadata is not None and metadata.size > limits.metadata_bytes:
        raise RefusedInput(
            "ARTIFACT_TOO_LARGE",
            f"metadata.json has {metadata.size} bytes, at most {limits.metadata_bytes} are read",
            "raise MISTUDIO_ANALYSIS__MAX_METADATA_BYTES, or write a smaller file",
        )
    total = sum(info.size for info in objects.values() if info is not None)
    if total > limits.total_bytes:
        raise RefusedInput(
            "ARTIFACT_TOO_LARGE",
            f"the artifacts have {total} bytes together, at most {limits.total_bytes} are fetched",
            "raise MISTUDIO_JOB__DISK_BYTES and give the worker that much disk",
        )
