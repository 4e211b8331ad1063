"""A training run as the analysis sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch


class ActivationBlocks(Protocol):
    """A matrix of activations, read row block by row block; never assumed to fit in memory."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        ...

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Return rows `start` to `stop` as a CPU tensor in the stored dtype (fp32, fp16, bf16).

        The tensor may be a view of mapped memory: it must not be written to.
        """
        ...


@dataclass(frozen=True, slots=True)
class SaeWeights:
    """The autoencoder, in the order of its features; float32 copies on the CPU.

    encode(x) = relu(x @ encoder_weight.T + encoder_bias); decode(h) = h @ decoder_weight.T + decoder_bias.

    Attributes:
        encoder_weight: [F, d].
        encoder_bias: [F].
        decoder_weight: [d, F]; column f is the decoder direction of feature f.
        decoder_bias: [d].
    """

    encoder_weight: torch.Tensor
    encoder_bias: torch.Tensor
    decoder_weight: torch.Tensor
    decoder_bias: torch.Tensor


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is missing from the input, so that the result is partial.

    Attributes:
        code: stable name, for example `SAE_MISSING` or `FEATURE_NOT_FINITE`.
        message: what is missing and what was done without it.
        features: ids of the features concerned, ascending; empty where it concerns the whole run.
        texts: indices of the texts concerned, ascending; empty where it concerns the whole run.
    """

    code: str
    message: str
    features: tuple[int, ...] = ()
    texts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingMetadata:
    """What metadata.json says, as far as it is used; every field may be unknown.

    No token, path or host of the trainer is kept.

    Attributes:
        job_id: the training job that the file says it is of.
        timestamp: as written by the trainer.
        model_name: the model that was asked for.
        layer: the layer whose activations were taken (`selected_layer`).
        details: further scalars that are safe to publish (architecture, hidden_size, final_loss, ...);
            a NaN or an infinity is kept as the string "NaN", "Infinity" or "-Infinity".
        feature_activation_rates: the trainer's own figure a feature, [F] or None.
        feature_mean_activations: likewise.
        feature_max_activations: likewise.
        total_samples_processed: texts that the trainer's statistics are over, by its own count.
        active_features_count: features that fire, likewise.
        dead_features_count: features that never fire, likewise.
        avg_activation_frequency: mean of the rates, likewise.
    """

    job_id: str | None = None
    timestamp: str | None = None
    model_name: str | None = None
    layer: int | None = None
    details: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    feature_activation_rates: tuple[float, ...] | None = None
    feature_mean_activations: tuple[float, ...] | None = None
    feature_max_activations: tuple[float, ...] | None = None
    total_samples_processed: int | None = None
    active_features_count: int | None = None
    dead_features_count: int | None = None
    avg_activation_frequency: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One run of the trainer, checked: all parts belong together.

    Attributes:
        training_job_id: the trainer's id.
        texts: [n] texts; lone surrogates already replaced by U+FFFD.
        replaced_surrogates: how many code points were replaced.
        features: [n, F] feature activations after the ReLU.
        originals: [n, d] activations that the autoencoder was trained on; None where absent.
        sae: the autoencoder; None where absent.
        metadata: what metadata.json says.
        invalid_features: columns that hold NaN, infinite or negative cells, ascending; they are reported
            as tier `invalid` and not analysed.
        invalid_texts: rows of `originals` that hold NaN or infinite cells, ascending; they take no part
            in measures over the activation space.
        gaps: everything that is missing, named.
    """

    training_job_id: str
    texts: Sequence[str]
    replaced_surrogates: int
    features: ActivationBlocks
    originals: ActivationBlocks | None
    sae: SaeWeights | None
    metadata: TrainingMetadata
    invalid_features: tuple[int, ...] = ()
    invalid_texts: tuple[int, ...] = ()
    gaps: tuple[Gap, ...] = ()
