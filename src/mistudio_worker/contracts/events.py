"""The four events, as they stand in the `data` of a CloudEvent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from mistudio_worker.contracts.wire import BucketName, FindJobId, JobId, ObjectKey, Sha256, WireModel

TRAINING_COMPLETED_V1 = "io.mistudio.training.completed.v1"
FIND_COMPLETED_V1 = "io.mistudio.find.completed.v1"
FIND_FAILED_V1 = "io.mistudio.find.failed.v1"
FIND_PROGRESS_V1 = "io.mistudio.find.progress.v1"

Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class ArtifactRefV1(WireModel):
    """Where one file of the trainer lies, and what it must be."""

    key: ObjectKey = Field(description="key in the artifacts bucket")
    size: Count | None = Field(None, description="bytes; checked where given")
    sha256: Sha256 | None = Field(None, description="of the whole file; checked where given")
    etag: str | None = Field(None, max_length=256, description="the store's ETag; checked where given")


class ArtifactRefsV1(WireModel):
    """The trainer's files; one that is left out is looked for at its usual place."""

    sae_model: ArtifactRefV1 | None = Field(None, description="default: models/<job>/sae_model.pt")
    feature_activations: ArtifactRefV1 | None = Field(
        None, description="default: activations/<job>/feature_activations.pt"
    )
    metadata: ArtifactRefV1 | None = Field(None, description="default: activations/<job>/metadata.json")


class ParametersV1(WireModel):
    """What a user may choose about an analysis."""

    top_k: int = Field(20, ge=1, le=100, strict=True, description="strongest texts kept a feature")
    coherence_threshold: Fraction = Field(0.4, strict=True, description="features at or above it are worth explaining")


class TrainingCompletedV1(WireModel):
    """A training run is finished and its files are in the store."""

    job_id: JobId = Field(description="the trainer's job id; '..' is refused")
    bucket: BucketName | None = Field(None, description="default: the worker's artifacts bucket")
    artifacts: ArtifactRefsV1 = Field(default_factory=ArtifactRefsV1)
    parameters: ParametersV1 = Field(default_factory=ParametersV1)

    @field_validator("artifacts", "parameters", mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        """A writer may spell out what it does not say."""
        return {} if value is None else value


class ExportV1(WireModel):
    """One written file."""

    format: str = Field(description="json, csv, xml, pytorch, summary, index, bundle, parquet")
    key: ObjectKey
    size: Count
    sha256: Sha256


class CountsV1(WireModel):
    """How many features there are, and of which quality."""

    features: Count
    texts: Count
    dead: Count
    by_tier: dict[str, Count]


class PriorityFeatureV1(WireModel):
    """A feature worth explaining."""

    feature_id: Count
    coherence_score: Fraction
    category: str
    keywords: list[str] = Field(max_length=10)
    priority_score: Fraction | None = Field(None, description="by which they are ordered; null from an older worker")


class VersionsV1(WireModel):
    """What made the numbers."""

    worker: str
    analysis: str
    taxonomy: str
    taxonomy_sha256: Sha256


class GapV1(WireModel):
    """Something that was missing from the input."""

    code: str
    message: str
    features: Count = Field(0, description="number of features concerned; 0 where it concerns the run")
    texts: Count = Field(0, description="number of texts concerned; 0 where it concerns the run")


class FindCompletedV1(WireModel):
    """The features of a run are analysed and every export is in the store."""

    find_job_id: FindJobId
    source_job_id: JobId
    status: Literal["completed", "partial"]
    reasons: list[GapV1] = Field(description="why the status is partial; empty where it is completed")
    bucket: BucketName
    manifest_key: ObjectKey
    manifest_sha256: Sha256
    exports: list[ExportV1]
    counts: CountsV1
    priority_features: list[PriorityFeatureV1] = Field(max_length=100, description="best first, at most 100")
    priority_total: Count = Field(description="how many there are in all")
    parameters: ParametersV1
    versions: VersionsV1
    timings: dict[str, float] = Field(description="seconds a step")


class FindFailedV1(WireModel):
    """A training run could not be analysed; its event lies in the dead-letter topic."""

    source_job_id: JobId
    find_job_id: FindJobId | None = None
    code: str
    message: str
    hint: str
    retriable: bool
    attempt: Count


class FindProgressV1(WireModel):
    """How far a job is."""

    source_job_id: JobId
    find_job_id: FindJobId | None = None
    step: str = Field(description="fetch, decode, a measure of the analysis, export, upload")
    fraction: Fraction = Field(description="how far the fetch, the analysis, the export or the upload is")
    attempt: Count
