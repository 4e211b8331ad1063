"""The same input always names the same job, and the name is safe wherever it is used."""

from __future__ import annotations

import pytest

from mistudio_worker.domain.identity import (
    FIND_JOB_ID,
    JobIdentity,
    check_training_job_id,
    derive_identity,
    is_training_job_id,
)
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.errors import RefusedInput

JOB = "train_20260102_030405_0001"


def identity(job: str = JOB, timestamp: str | None = None, **changes: object) -> JobIdentity:
    """The identity of some input."""
    given: dict[str, object] = {
        "fingerprints": {"metadata": "a", "sae_model": None},
        "parameters": Parameters(),
        "taxonomy_sha256": "t",
        "analysis_version": "1",
        **changes,
    }
    return derive_identity(job, metadata_timestamp=timestamp, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("job", "timestamp", "time"),
    [
        (JOB, "2026-11-22T09:14:37.123456", "20261122_091437"),
        (JOB, "2026-11-22 09:14:37+00:00", "20261122_091437"),
        (JOB, None, "20260102_030405"),
        (JOB, "yesterday", "20260102_030405"),
        (JOB, "2026-13-45T99:99:99", "20260102_030405"),
        ("run-7", "2026-02-30T00:00:00", "00000000_000000"),
        ("run-7", None, "00000000_000000"),
        ("train_20261399_000000_1", None, "00000000_000000"),
    ],
)
def test_the_time_in_the_name(job: str, timestamp: str | None, time: str) -> None:
    """The trainer's timestamp, else the time in its job id, else zeros; what is no time is passed over."""
    found = identity(job, timestamp).find_job_id
    assert FIND_JOB_ID.fullmatch(found)
    assert found.startswith(f"find_{time}_")


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprints": {"metadata": "b", "sae_model": None}},
        {"fingerprints": {"metadata": "a", "sae_model": "b"}},
        {"parameters": Parameters(top_k=21)},
        {"taxonomy_sha256": "u"},
        {"analysis_version": "2"},
        {"job": "train_20260102_030405_0002"},
    ],
)
def test_every_part_counts(changes: dict[str, object]) -> None:
    """Whatever may change the results changes the name, and nothing else does."""
    assert identity(**changes).sha256 != identity().sha256  # type: ignore[arg-type]
    assert identity().sha256 == identity().sha256
    assert identity().find_job_id.endswith(identity().sha256[:8])


@pytest.mark.parametrize("name", ["", "../a", "a..b", "a/b", "-a", ".a", "a b", "a\n", "é", "a" * 129])
def test_unsafe_job_ids(name: str) -> None:
    """A name that could lead out of its prefix is refused."""
    assert not is_training_job_id(name)
    with pytest.raises(RefusedInput) as refused:
        check_training_job_id(name)
    assert refused.value.code == "INVALID_JOB_ID"
