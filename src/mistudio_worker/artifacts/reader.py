"""Three files -> one TrainingRun, checked: the story of this room, top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.artifacts import gaps, refusals
from mistudio_worker.artifacts.alignment import (
    Sizes,
    check_entries,
    check_features_follow,
    check_metadata,
    check_rows,
    check_sae,
)
from mistudio_worker.artifacts.blocks import TensorBlocks
from mistudio_worker.artifacts.checkpoint import load_checkpoint
from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.artifacts.metadata import read_metadata
from mistudio_worker.artifacts.sae import read_sae
from mistudio_worker.artifacts.tensors import plain_tensor
from mistudio_worker.artifacts.texts import read_texts
from mistudio_worker.artifacts.values import find_bad_columns, find_bad_rows
from mistudio_worker.domain.training_run import TrainingRun

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from mistudio_worker.artifacts.files import ArtifactFiles

DEFAULT_LIMITS = Limits()


def read_training_run(files: ArtifactFiles, limits: Limits = DEFAULT_LIMITS) -> TrainingRun:
    """Read and check a run; activations stay mapped in their file, which must not change meanwhile.

    What is missing or unusable without spoiling the rest is named in `gaps`; what makes the run wrong is refused.

    Raises:
        RefusedInput: `ARTIFACT_CORRUPT`, `ARTIFACT_TRUNCATED`, `ARTIFACT_LEGACY_FORMAT`,
            `ARTIFACT_FORBIDDEN_PICKLE`, `ARTIFACT_TOO_LARGE`, `ARTIFACT_INVALID` or `ARTIFACT_MISALIGNED`.
        NotYetThere: `ARTIFACT_NOT_READY`, the trainer says that it has not finished.
    """
    metadata = read_metadata(files.metadata, limits)
    activations = _read_activations(files.activations, limits)
    sae = None if files.sae_model is None else read_sae(files.sae_model, limits)
    if sae is not None:
        check_sae(activations.sizes, sae)
    check_metadata(activations.sizes, sae, metadata)

    features, originals = activations.features, activations.originals
    bad_columns = find_bad_columns(features)
    bad_rows = () if originals is None else find_bad_rows(originals)
    if sae is not None and originals is not None:
        check_features_follow(features, originals, sae.weights, bad_rows, limits)

    return TrainingRun(
        training_job_id=files.training_job_id,
        texts=activations.texts,
        replaced_surrogates=activations.replaced_surrogates,
        features=features,
        originals=originals,
        sae=None if sae is None else sae.weights,
        metadata=metadata.metadata,
        invalid_features=bad_columns.columns,
        invalid_texts=bad_rows,
        gaps=(
            *gaps.of_files(metadata.gap, has_sae=sae is not None, has_originals=originals is not None),
            *gaps.of_values(bad_columns, bad_rows, texts=len(activations.texts)),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Activations:
    """The content of feature_activations.pt, of consistent sizes."""

    texts: list[str]
    replaced_surrogates: int
    features: TensorBlocks
    originals: TensorBlocks | None

    @property
    def sizes(self) -> Sizes:
        originals_shape = None if self.originals is None else self.originals.shape
        return Sizes(len(self.texts), self.features.shape, originals_shape)


def _read_activations(path: Path, limits: Limits) -> _Activations:
    content = load_checkpoint(path, limits)
    texts, replaced = read_texts(content.get("texts"), limits.max_texts, limits.max_text_bytes)
    features = _matrix(content, "feature_activations", limits.max_features, "max_features")
    if features is None:
        raise refusals.invalid(f"{path.name} has no entry feature_activations", refusals.RETRAIN)
    originals = _matrix(content, "original_activations", limits.max_activation_dim, "max_activation_dim")
    activations = _Activations(texts, replaced, features, originals)
    check_rows(activations.sizes)
    check_entries(activations.sizes, content)
    return activations


def _matrix(content: dict[str, Any], name: str, max_columns: int, setting: str) -> TensorBlocks | None:
    if content.get(name) is None:
        return None
    blocks = TensorBlocks(plain_tensor(content[name], name, 2))
    if blocks.shape[1] > max_columns:
        raise refusals.too_large(f"{name} has {blocks.shape[1]:,} columns, expected at most {max_columns:,}", setting)
    return blocks
