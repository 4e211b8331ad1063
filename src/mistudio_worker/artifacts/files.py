"""Where the three files of one run lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ACTIVATIONS_NAME = "feature_activations.pt"
SAE_NAME = "sae_model.pt"
METADATA_NAME = "metadata.json"


@dataclass(frozen=True, slots=True)
class ArtifactFiles:
    """Local files of one run.

    Attributes:
        training_job_id: the trainer's id, already checked.
        activations: feature_activations.pt; there is no run without it.
        sae_model: sae_model.pt; None where it is absent.
        metadata: metadata.json; None where it is absent.
    """

    training_job_id: str
    activations: Path
    sae_model: Path | None
    metadata: Path | None
