"""metadata.json: what is taken, what is left out, and what never fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.runs import TOKEN, make_run

from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.artifacts.metadata import Announced, Claims, announced, read_metadata
from mistudio_worker.artifacts.metadata_values import details, float_list, integer, number, scalar, shape, text
from mistudio_worker.domain.training_run import TrainingMetadata
from mistudio_worker.errors import NotYetThere

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits()
UNREADABLE = [b"", b"{", b"[1]", b'"text"', b"null", b"\xff\xfe{", b'{"a": }', b"[" * 100_000, b'{"a": ' * 50_000]


def written(tmp_path: Path, content: Any) -> Path:
    """Write a metadata.json and return where."""
    path = tmp_path / "metadata.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_everything_used_is_taken(tmp_path: Path) -> None:
    """The trainer's file gives time, model, layer, figures a feature, claims and harmless details."""
    file = read_metadata(written(tmp_path, make_run().metadata), LIMITS)
    assert file.gap is None
    assert file.metadata.timestamp == "2026-01-02T03:04:05.678901"
    assert file.metadata.model_name == "synthetic/tiny"
    assert file.metadata.layer == 3
    assert len(file.metadata.feature_max_activations or ()) == 24
    counted = (file.metadata.total_samples_processed, file.metadata.active_features_count)
    assert (*counted, file.metadata.dead_features_count) == (200, 24, 0)
    assert file.metadata.avg_activation_frequency == pytest.approx(0.136, abs=0.001)
    assert file.claims == Claims(200, (200, 24), (200, 16), 16, 24, 24)
    assert file.metadata.details["architecture"] == "TinyModel"
    assert file.metadata.details["final_loss"] == 0.0125


def test_no_path_or_token_is_kept(tmp_path: Path) -> None:
    """Neither the trainer's paths nor anything like a token gets into what is published."""
    content = make_run().metadata
    content["model_info"]["model_name"] = "/home/somebody/models/tiny"
    content["model_info"]["architecture"] = "hf_abcdefghijklmnop"
    content["model_info"]["huggingface_token"] = TOKEN
    content["version"] = {"nested": "hf_abcdefghijklmnop"}
    metadata = read_metadata(written(tmp_path, content), LIMITS).metadata
    assert metadata.model_name == "tiny"
    shown = repr(metadata)
    assert not [word for word in ("hf_abc", TOKEN, "somebody", "/trainer", "requires_token") if word in shown]


@pytest.mark.parametrize("data", UNREADABLE)
def test_unreadable_is_a_gap(data: bytes, tmp_path: Path) -> None:
    """Whatever is no JSON object is a gap of the run, and the quick look finds nothing."""
    file = read_metadata(written(tmp_path, data), LIMITS)
    assert file.gap is not None
    assert file.gap.code == "METADATA_UNREADABLE"
    assert file.metadata == TrainingMetadata()
    assert announced(data) == Announced()


def test_absent_is_a_gap() -> None:
    """A run without metadata.json can be analysed."""
    file = read_metadata(None, LIMITS)
    assert file.gap is not None
    assert file.gap.code == "METADATA_MISSING"


def test_too_large_is_a_gap_with_figures(tmp_path: Path) -> None:
    """A file over the limit is not even read."""
    file = read_metadata(written(tmp_path, b" " * 2000), Limits(max_metadata_bytes=1999))
    assert file.gap is not None
    assert "2,000 bytes, expected at most 1,999" in file.gap.message


@pytest.mark.parametrize(("value", "ready"), [(True, True), (False, False), (None, False), (0, False), ("yes", True)])
def test_readiness(value: object, ready: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    """Only a run that is called not ready is put off."""
    path = written(tmp_path, {"ready_for_find_service": value})
    assert announced(path.read_bytes()).ready is ready
    if ready:
        assert read_metadata(path, LIMITS).gap is None
    else:
        with pytest.raises(NotYetThere, match="ARTIFACT_NOT_READY"):
            read_metadata(path, LIMITS)


def test_absent_readiness_counts_as_ready(tmp_path: Path) -> None:
    """A file that says nothing about readiness is ready."""
    assert announced(b"{}").ready
    assert read_metadata(written(tmp_path, {}), LIMITS).claims == Claims()


@pytest.mark.parametrize("value", [None, 5, ["2026"], {"a": 1}, "x" * 65])
def test_odd_timestamps_are_unknown(value: object) -> None:
    """Only a short string is a time."""
    assert announced(json.dumps({"timestamp": value}).encode()).timestamp is None


def test_timestamp_is_read_alone() -> None:
    """The time is found without the rest being looked at."""
    assert announced(b'{"timestamp": "2026-01-02T03:04:05", "model_info": 7}').timestamp == "2026-01-02T03:04:05"


def test_sections_of_other_types_are_ignored(tmp_path: Path) -> None:
    """A section that is no object says nothing."""
    content: dict[str, Any] = {
        "model_info": [],
        "data_info": "x",
        "sae_config": None,
        "feature_statistics": 3,
        "training_results": 1.5,
    }
    file = read_metadata(written(tmp_path, content), LIMITS)
    assert file.metadata == TrainingMetadata()
    assert file.claims == Claims()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (True, True),
        (3, 3),
        (10**400, None),
        ([1], None),
        ("a\ud83d\x00b", "a\ufffd\ufffdb"),
        ("y" * 300, "y" * 200),
        ("C:\\models\\tiny\\", "tiny"),
        ("https://host.example/models/tiny", "tiny"),
    ],
)
def test_scalars(value: object, kept: object) -> None:
    """A scalar is kept by its meaning, short and without what JSON or a reader cannot take."""
    assert scalar(value) == kept


def test_values_of_other_types_are_unknown() -> None:
    """Each reader of a value returns None for what it does not expect."""
    assert [integer(v) for v in (3.0, 3.5, True, "3", 1 << 60)] == [3, None, None, None, None]
    assert [shape(v) for v in ([1, 2], [1], [1, "2"], "12")] == [(1, 2), None, None, None]
    assert [number(v) for v in (2, 0.5, True, "1", None, 10**400)] == [2.0, 0.5, None, None, None, None]
    assert [float_list(v) for v in ([1, 0.5], [True], ["1"], 5, [10**400])] == [(1.0, 0.5), None, None, None, None]
    assert text(5) is None
    assert details({"model_info": {"architecture": ["x"]}, "sae_config": 5}) == {}
