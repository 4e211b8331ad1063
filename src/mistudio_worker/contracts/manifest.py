"""The manifest: written last, it makes a result visible, and names every object of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from mistudio_worker.contracts.events import (
    Count,
    CountsV1,
    ExportV1,
    FindCompletedV1,
    GapV1,
    ParametersV1,
    PriorityFeatureV1,
    VersionsV1,
)
from mistudio_worker.contracts.wire import BucketName, FindJobId, JobId, ObjectKey, Sha256, WireModel

MANIFEST_SCHEMA_VERSION: Literal["1.0"] = "1.0"


class InputV1(WireModel):
    """One file of the trainer, as it was read."""

    name: str
    key: ObjectKey
    size: Count
    etag: str
    sha256: Sha256


class ManifestV1(WireModel):
    """Everything about one result, and the clock's and host's figures that the exports leave out."""

    schema_version: Literal["1.0"] = MANIFEST_SCHEMA_VERSION
    find_job_id: FindJobId
    source_job_id: JobId
    identity_sha256: Sha256 = Field(description="the whole hash, of which find_job_id shows the start")
    status: Literal["completed", "partial"]
    reasons: list[GapV1]
    created_at: datetime = Field(description="UTC; also the time of the find-complete event")
    artifacts_bucket: BucketName
    inputs: list[InputV1]
    exports: list[ExportV1]
    counts: CountsV1
    priority_features: list[PriorityFeatureV1] = Field(max_length=100)
    priority_total: Count
    parameters: ParametersV1
    versions: VersionsV1
    timings: dict[str, float] = Field(description="seconds a step")
    platform: dict[str, str] = Field(description="device, processor, library versions")
    attempt: Count
    worker: str


def to_bytes(manifest: ManifestV1) -> bytes:
    """Serialise a manifest for the store; the same manifest is always the same bytes."""
    return manifest.model_dump_json(indent=2).encode()


def find_completed(manifest: ManifestV1, *, bucket: str, key: str, sha256: str) -> FindCompletedV1:
    """Derive the event from the manifest alone, so that publishing again says the same.

    Args:
        manifest: what was written.
        bucket: where it lies.
        key: likewise.
        sha256: of its bytes.
    """
    shared = manifest.model_dump(include=set(FindCompletedV1.model_fields))
    return FindCompletedV1(bucket=bucket, manifest_key=key, manifest_sha256=sha256, **shared)
