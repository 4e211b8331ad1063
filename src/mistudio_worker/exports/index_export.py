"""The list of the files of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import orjson

from mistudio_worker.exports.records import SCHEMA_VERSION, SummaryInsights, summary_insights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mistudio_worker.domain.find_result import FindResult, ResultStatus, Versions
    from mistudio_worker.domain.parameters import Parameters


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file that was written whole."""

    format: str
    name: str
    path: Path
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file as the index lists it."""

    format: str
    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Index:
    """The root of `_index.json`; the fields are described in `contracts/index.py`."""

    schema_version: str
    find_job_id: str
    source_job_id: str
    identity_sha256: str
    status: ResultStatus
    parameters: Parameters
    versions: Versions
    available_formats: tuple[str, ...]
    files: tuple[IndexFile, ...]
    summary_insights: SummaryInsights


def write_index(result: FindResult, files: Sequence[ExportFile], stream: BinaryIO) -> None:
    """Write `_index.json`: each data file with size and SHA-256, and the run in a few figures."""
    index = Index(
        schema_version=SCHEMA_VERSION,
        find_job_id=result.identity.find_job_id,
        source_job_id=result.identity.training_job_id,
        identity_sha256=result.identity.sha256,
        status=result.status,
        parameters=result.parameters,
        versions=result.versions,
        available_formats=tuple(f.format for f in files),
        files=tuple(IndexFile(f.format, f.name, f.media_type, f.size, f.sha256) for f in files),
        summary_insights=summary_insights(result),
    )
    stream.write(orjson.dumps(index, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
