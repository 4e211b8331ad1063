"""metadata.json: what the trainer said about the run, as far as it is used.

Nothing in it is needed for the analysis, so what cannot be read becomes a gap. What can be read is believed only as a
claim: `alignment` compares it with the tensors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mistudio_worker.artifacts.metadata_scan import top_level
from mistudio_worker.artifacts.metadata_values import details, float_list, integer, number, shape, text
from mistudio_worker.domain.training_run import Gap, TrainingMetadata
from mistudio_worker.errors import NotYetThere

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.artifacts.limits import Limits

_MAX_TIMESTAMP = 64
_MAX_CONTAINERS = 1 << 16  # the trainer's files have some dozens


@dataclass(frozen=True, slots=True)
class Claims:
    """What metadata.json says about the sizes of the run; None where it says nothing."""

    text_count: int | None = None
    features_shape: tuple[int, int] | None = None
    originals_shape: tuple[int, int] | None = None
    input_dim: int | None = None
    hidden_dim: int | None = None
    total_features: int | None = None


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """What was read, what it claims, and what is missing."""

    metadata: TrainingMetadata = field(default_factory=TrainingMetadata)
    claims: Claims = field(default_factory=Claims)
    gap: Gap | None = None


def read_metadata(path: Path | None, limits: Limits) -> MetadataFile:
    """Read metadata.json; NaN and Infinity are accepted, as python's json.dump writes them.

    An absent file gives the gap `METADATA_MISSING`; one that is too large, no JSON, nested too deep or no object
    gives `METADATA_UNREADABLE`.

    Raises:
        NotYetThere: `ARTIFACT_NOT_READY`, `ready_for_find_service` is false.
    """
    if path is None:
        return MetadataFile(gap=Gap("METADATA_MISSING", "metadata.json is absent: model, layer and time are unknown"))
    size = path.stat().st_size
    if size > limits.max_metadata_bytes:
        return _unreadable(f"has {size:,} bytes, expected at most {limits.max_metadata_bytes:,}")
    content = _parse(path.read_bytes())
    if not isinstance(content, dict):
        return _unreadable(content if isinstance(content, str) else "is no JSON object")
    if not _says_ready(content):
        raise NotYetThere(
            "ARTIFACT_NOT_READY",
            f"{path.name} says that ready_for_find_service is false, expected true",
            "wait until the training has finished, then submit the job again",
        )
    return MetadataFile(_metadata(content), _claims(content))


@dataclass(frozen=True, slots=True)
class Announced:
    """What metadata.json says of the job itself.

    Attributes:
        ready: false only where it calls the run not ready.
        timestamp: as written; None where there is none.
    """

    ready: bool = True
    timestamp: str | None = None


def announced(data: bytes) -> Announced:
    """Look for what names a job and may put it off, in little time and memory whatever the file holds."""
    fields = top_level(data, ("ready_for_find_service", "timestamp")) or {}
    return Announced(_says_ready(fields), _timestamp(fields))


def _parse(data: bytes) -> Any:
    """Return the object, or a sentence that says why there is none."""
    try:
        written = data.decode(json.detect_encoding(data), "surrogatepass")
        if sum(map(written.count, "[{")) > _MAX_CONTAINERS:
            return f"holds more than {_MAX_CONTAINERS:,} lists and objects"
        content = json.loads(written)
    except json.JSONDecodeError as error:
        return f"is no JSON: {error.msg} at character {error.pos:,}"
    except RecursionError:
        return "is nested too deep"
    except ValueError as error:
        return f"is no JSON ({type(error).__name__})"
    return content if isinstance(content, dict) else f"holds a {type(content).__name__}, expected a JSON object"


def _unreadable(why: str) -> MetadataFile:
    return MetadataFile(gap=Gap("METADATA_UNREADABLE", f"metadata.json {why}: model, layer and time are unknown"))


def _says_ready(content: dict[str, Any]) -> bool:
    return bool(content.get("ready_for_find_service", True))


def _timestamp(content: dict[str, Any]) -> str | None:
    value = content.get("timestamp")
    return text(value) if isinstance(value, str) and len(value) <= _MAX_TIMESTAMP else None


def _metadata(content: dict[str, Any]) -> TrainingMetadata:
    model, statistics = _section(content, "model_info"), _section(content, "feature_statistics")
    return TrainingMetadata(
        job_id=text(content.get("job_id")),
        timestamp=_timestamp(content),
        model_name=text(model.get("model_name")),
        layer=integer(model.get("selected_layer")),
        details=details(content),
        feature_activation_rates=float_list(statistics.get("feature_activation_rates")),
        feature_mean_activations=float_list(statistics.get("feature_mean_activations")),
        feature_max_activations=float_list(statistics.get("feature_max_activations")),
        total_samples_processed=integer(statistics.get("total_samples_processed")),
        active_features_count=integer(statistics.get("active_features_count")),
        dead_features_count=integer(statistics.get("dead_features_count")),
        avg_activation_frequency=number(statistics.get("avg_activation_frequency")),
    )


def _claims(content: dict[str, Any]) -> Claims:
    counts, sae = _section(content, "data_info"), _section(content, "sae_config")
    return Claims(
        text_count=integer(counts.get("text_count")),
        features_shape=shape(counts.get("feature_activation_shape")),
        originals_shape=shape(counts.get("activation_shape")),
        input_dim=integer(sae.get("input_dim")),
        hidden_dim=integer(sae.get("hidden_dim")),
        total_features=integer(_section(content, "feature_statistics").get("total_features")),
    )


def _section(content: dict[str, Any], name: str) -> dict[str, Any]:
    section = content.get(name)
    return section if isinstance(section, dict) else {}
