"""The results for PyTorch users: plain values and tensors, loaded with `weights_only=True`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import torch

from mistudio_worker.exports.plain import finite, plain
from mistudio_worker.exports.records import SCHEMA_VERSION

if TYPE_CHECKING:
    from mistudio_worker.domain.feature_report import FeatureReport, TopActivation
    from mistudio_worker.domain.find_result import FindResult

TOP_ACTIVATIONS = 10


def write_pytorch(result: FindResult, stream: BinaryIO) -> None:
    """Write `_features.pt`: {job_metadata, feature_analysis} as miStudioFind 1.0, then `tensors`.

    `feature_analysis` is keyed by the feature's number. `tensors` holds one float64 [F] a figure, in the
    order of the features, NaN where it is not defined; `histogram` is int64 [F, bins].
    Equal texts are one object, so memory and file grow with the distinct texts.

    Raises:
        NotExportable: a figure is NaN or infinite.
    """
    memo: dict[str, str] = {}
    document = {
        "schema_version": SCHEMA_VERSION,
        "job_metadata": plain(_job(result), memo),
        "feature_analysis": {f.feature_id: plain(_analysis(f), memo) for f in result.features},
        "tensors": _tensors(result),
    }
    torch.save(document, stream)


def _job(result: FindResult) -> dict[str, object]:
    return {
        "job_id": result.identity.find_job_id,
        "source_job_id": result.identity.training_job_id,
        "total_features": len(result.features),
        "timestamp": result.metadata.timestamp,
        "model_name": result.metadata.model_name,
        "layer": result.metadata.layer,
        "status": result.status,
        "parameters": result.parameters,
        "versions": result.versions,
        "identity_sha256": result.identity.sha256,
    }


def _analysis(feature: FeatureReport) -> dict[str, object]:
    statistics = feature.activation_statistics
    return {
        "coherence_score": feature.coherence_score,
        "quality_level": feature.quality_level,
        "pattern_keywords": feature.pattern_keywords,
        "statistics": {
            "mean_activation": statistics.mean if statistics else None,
            "max_activation": statistics.max if statistics else None,
            "activation_frequency": statistics.frequency if statistics else None,
        },
        "top_activations": [_activation(t) for t in feature.top_activations[:TOP_ACTIVATIONS]],
        "quality_tier": feature.quality_tier,
        "pattern_category": feature.pattern_category,
        "secondary_categories": feature.secondary_categories,
        "semantic_tags": feature.semantic_tags,
        "behavioral_indicators": feature.behavioral_indicators,
        "complexity_score": feature.complexity_score,
        "flags": feature.flags,
        "activation_statistics": statistics,
        "coherence": feature.coherence,
        "diversity": feature.diversity,
        "geometry": feature.geometry,
        "outlier_examples": feature.outlier_examples,
        "reasons": feature.reasons,
        "held_out": feature.held_out,
        "coactive": feature.coactive,
        "reconstruction_error": feature.reconstruction_error,
        "priority_score": feature.priority_score,
    }


def _activation(top: TopActivation) -> dict[str, object]:
    """Keep the two names of miStudioFind 1.0 beside the published ones."""
    return {
        "text": top.text,
        "activation_value": top.activation_strength,
        "ranking": top.rank,
        "rank": top.rank,
        "text_index": top.text_index,
        "activation_strength": top.activation_strength,
        "context": top.context,
    }


def _tensors(result: FindResult) -> dict[str, torch.Tensor]:
    columns: dict[str, list[float | None]] = {
        "coherence": [f.coherence_score for f in result.features],
        "activation_space": [f.coherence.activation_space for f in result.features],
        "text_space": [f.coherence.text_space for f in result.features],
        "complexity": [f.complexity_score for f in result.features],
        "priority": [f.priority_score for f in result.features],
        "separability": [f.held_out.separability for f in result.features],
        "held_out_keyword_auroc": [f.held_out.keyword_auroc for f in result.features],
        "reconstruction_error": [f.reconstruction_error for f in result.features],
    }
    for name in (
        "score_low",
        "score_high",
        "activation_percentile",
        "text_percentile",
        "activation_unity",
        "text_unity",
    ):
        columns[name] = [getattr(f.coherence, name) for f in result.features]
    for name in ("mean", "std", "max", "frequency", "density", "log10_density", "effective_count"):
        columns[name] = [_of(f.activation_statistics, name) for f in result.features]
    tensors = {name: _column(values) for name, values in columns.items()}
    tensors["positives"] = torch.tensor([_of(f.activation_statistics, "positives") or 0 for f in result.features])
    tensors["histogram"] = _histogram(result)
    return tensors


def _of(record: object, name: str) -> Any:
    return None if record is None else getattr(record, name)


def _column(values: list[float | None]) -> torch.Tensor:
    return torch.tensor([float("nan") if v is None else finite(v) for v in values], dtype=torch.float64)


def _histogram(result: FindResult) -> torch.Tensor:
    bins = max(len(result.corpus.histogram_edges) - 1, 0)
    rows = [f.activation_statistics.histogram if f.activation_statistics else () for f in result.features]
    return torch.tensor([tuple(row) or (0,) * bins for row in rows], dtype=torch.int64)
