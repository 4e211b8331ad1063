"""The complete results as JSON: everything, one line a feature, written feature by feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import orjson

from mistudio_worker.domain.training_run import TrainingMetadata
from mistudio_worker.exports.plain import check_exportable
from mistudio_worker.exports.records import SCHEMA_VERSION, feature_summary, job_metadata, summary_insights
from mistudio_worker.exports.summary_export import summary_report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistudio_worker.domain.find_result import FindResult


def write_json(result: FindResult, stream: BinaryIO) -> None:
    """Write `_complete_results.json` as `contracts/results.py` describes it.

    Strict JSON in UTF-8; numbers are the shortest text that reads back as the same float64. Memory holds
    one feature at a time.

    Raises:
        NotExportable: a figure is NaN or infinite.
    """
    check_exportable(replace(result, metadata=TrainingMetadata()))  # of it `head` has all that is written
    identity = result.identity
    head = {
        "schema_version": SCHEMA_VERSION,
        "find_job_id": identity.find_job_id,
        "source_job_id": identity.training_job_id,
        "status": result.status,
        "job_metadata": job_metadata(result),
    }
    check_exportable(head)
    tail = {
        "summary_insights": summary_insights(result),
        "summary_report": summary_report(result),
        "corpus": result.corpus,
        "explainer": result.explainer,
        "gaps": result.gaps,
    }
    top_k = result.parameters.top_k
    stream.write(_dumps(head)[:-1] + b',\n"features":[\n')
    _write_joined(stream, (_dumps(f) for f in result.features))
    stream.write(b'\n],\n"feature_analysis":{\n')
    _write_joined(stream, (b'"%d":' % f.feature_id + _dumps(feature_summary(f, top_k)) for f in result.features))
    stream.write(b"\n},\n" + _dumps(tail)[1:] + b"\n")


def _write_joined(stream: BinaryIO, parts: Iterable[bytes]) -> None:
    for i, part in enumerate(parts):
        stream.write(b",\n" + part if i else part)


def _dumps(value: object) -> bytes:
    return orjson.dumps(value, default=_as_dict)


def _as_dict(value: object) -> dict[object, object]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
