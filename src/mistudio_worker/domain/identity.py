"""Who a job is: the same input always names the same find job."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistudio_worker.domain.parameters import Parameters

TRAINING_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
FIND_JOB_ID = re.compile(r"find_\d{8}_\d{6}_[0-9a-f]{8}", re.ASCII)
FINGERPRINT_TAIL_BYTES = 1 << 20

_TIMESTAMP = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})[T _]?(\d{2}):?(\d{2}):?(\d{2})", re.ASCII)
_TIME_IN_JOB_ID = re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})_(\d{2})(\d{2})(\d{2})(?!\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """The names of one job.

    Attributes:
        training_job_id: the trainer's name of the run.
        find_job_id: `find_<YYYYMMDD>_<HHMMSS>_<8 hex>`, a pure function of input and parameters.
        sha256: the whole hash, 64 hex digits, of which `find_job_id` shows the start.
    """

    training_job_id: str
    find_job_id: str
    sha256: str


def is_training_job_id(name: str) -> bool:
    """Whether a name is safe as a training job id in keys, paths and headers.

    >>> [is_training_job_id(name) for name in ("train_20260102_030405_0001", "a..b", "../a")]
    [True, False, False]
    """
    return TRAINING_JOB_ID.fullmatch(name) is not None and ".." not in name


def check_training_job_id(value: object) -> str:
    """Return a training job id that is safe in keys, paths and headers.

    Raises:
        RefusedInput: `INVALID_JOB_ID`, not a string of the documented form.
    """
    if isinstance(value, str) and is_training_job_id(value):
        return value
    raise RefusedInput(
        "INVALID_JOB_ID",
        f"job id {str(value)[:80]!r} is not of the form {TRAINING_JOB_ID.pattern} without '..'",
        "send the id that the trainer gave the run, for example train_20260102_030405_0001",
    )


def fingerprint(size: int, tail: bytes) -> str:
    """Name a file's content cheaply: SHA-256 over its size and its last MiB.

    The zip directory of a checkpoint, with the CRC of every entry, lies in that tail, so a change of
    the content changes the name. Of a file up to 1 MiB the tail is the whole.

    Args:
        size: the file's size in bytes.
        tail: its last `min(size, FINGERPRINT_TAIL_BYTES)` bytes.
    """
    if len(tail) != min(size, FINGERPRINT_TAIL_BYTES):
        raise ValueError(f"tail of {len(tail)} bytes, expected {min(size, FINGERPRINT_TAIL_BYTES)}")
    return hashlib.sha256(b"%d\0" % size + tail).hexdigest()


def whole_fingerprint(data: bytes) -> str:
    """Name the content of a small file by all of it: SHA-256."""
    return hashlib.sha256(data).hexdigest()


def derive_identity(  # noqa: PLR0913 - each is a part of the identity
    training_job_id: str,
    *,
    fingerprints: Mapping[str, str | None],
    parameters: Parameters,
    taxonomy_sha256: str,
    analysis_version: str,
    metadata_timestamp: str | None,
) -> JobIdentity:
    """Name the find job of a run.

    Args:
        training_job_id: the trainer's id, already checked.
        fingerprints: artifact name -> content name; None for one that is absent.
        parameters: the effective parameters.
        taxonomy_sha256: content of the taxonomy in use.
        analysis_version: version of the formulas.
        metadata_timestamp: `timestamp` of metadata.json (ISO 8601); else the time in the training job
            id is taken, else zeros.
    """
    parts = {
        "training_job_id": training_job_id,
        "fingerprints": dict(fingerprints),
        "parameters": asdict(parameters),
        "taxonomy": taxonomy_sha256,
        "analysis_version": analysis_version,
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return JobIdentity(
        training_job_id=training_job_id,
        find_job_id=f"find_{_job_time(metadata_timestamp, training_job_id)}_{digest[:8]}",
        sha256=digest,
    )


def _job_time(metadata_timestamp: str | None, training_job_id: str) -> str:
    for match in (_TIMESTAMP.match(metadata_timestamp or ""), _TIME_IN_JOB_ID.search(training_job_id)):
        if match is not None and _is_time(*map(int, match.groups())):
            year, month, day, hour, minute, second = match.groups()
            return f"{year}{month}{day}_{hour}{minute}{second}"
    return "00000000_000000"


def _is_time(year: int, month: int, day: int, hour: int, minute: int, second: int) -> bool:  # noqa: PLR0913, PLR0917
    try:
        datetime(year, month, day, hour, minute, second)
    except ValueError:  # month 13, second 61
        return False
    return True
