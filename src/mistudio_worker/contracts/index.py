"""The list of a job's files: what `_index.json` holds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mistudio_worker.contracts.feature import Count
from mistudio_worker.contracts.results import ParametersUsedV1, SummaryInsightsV1, VersionsUsedV1
from mistudio_worker.contracts.wire import FindJobId, JobId, SchemaVersion, Sha256, WireModel


class IndexFileV1(WireModel):
    """One file, beside the index."""

    format: str = Field(description="name of the format, for example json")
    name: str = Field(description="file name, without a folder")
    media_type: str
    size: Count = Field(description="bytes")
    sha256: Sha256


class IndexV1(WireModel):
    """Every data file of a job, and the run in a few figures.

    The index itself and the ZIP, which holds the index, are not in it.
    """

    schema_version: SchemaVersion = Field(description="1.<minor>: a higher minor only adds fields")
    find_job_id: FindJobId
    source_job_id: JobId
    identity_sha256: Sha256
    status: Literal["completed", "partial"]
    parameters: ParametersUsedV1
    versions: VersionsUsedV1
    available_formats: list[str] = Field(description="formats of the files, in their order")
    files: list[IndexFileV1]
    summary_insights: SummaryInsightsV1
