"""Every export by its name: one explicit table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from mistudio_worker.domain.find_result import FindResult
from mistudio_worker.exports.csv_export import write_csv
from mistudio_worker.exports.json_export import write_json
from mistudio_worker.exports.parquet_export import write_parquet
from mistudio_worker.exports.pytorch_export import write_pytorch
from mistudio_worker.exports.summary_export import write_summary
from mistudio_worker.exports.xml_export import write_xml

Writer = Callable[[FindResult, BinaryIO], None]


@dataclass(frozen=True, slots=True)
class FileKind:
    """How the file of a format is called.

    Attributes:
        suffix: what follows the find job id in the file name.
        media_type: for Content-Type.
    """

    suffix: str
    media_type: str

    def file_name(self, find_job_id: str) -> str:
        """Return the name of the file of a job."""
        return f"{find_job_id}{self.suffix}"


WRITERS: dict[str, Writer] = {
    "json": write_json,
    "csv": write_csv,
    "xml": write_xml,
    "pytorch": write_pytorch,
    "summary": write_summary,
    "parquet": write_parquet,
}
"""The data formats, in the order in which they are written."""

KINDS: dict[str, FileKind] = {
    "json": FileKind("_complete_results.json", "application/json"),
    "csv": FileKind("_feature_analysis.csv", "text/csv; charset=utf-8"),
    "xml": FileKind("_analysis.xml", "application/xml"),
    "pytorch": FileKind("_features.pt", "application/octet-stream"),
    "summary": FileKind("_summary_report.txt", "text/plain; charset=utf-8"),
    "parquet": FileKind("_features.parquet", "application/vnd.apache.parquet"),
    "index": FileKind("_index.json", "application/json"),
    "bundle": FileKind("_bundle.zip", "application/zip"),
}
"""Every file of a job: the data formats, then what is made from their files."""
