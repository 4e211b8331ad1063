"""Whether the parts of a run belong together: sizes, claims, and the features themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mistudio_worker.artifacts import refusals

if TYPE_CHECKING:
    from collections.abc import Collection

    from mistudio_worker.artifacts.limits import Limits
    from mistudio_worker.artifacts.metadata import MetadataFile
    from mistudio_worker.artifacts.sae import SaeFile
    from mistudio_worker.domain.training_run import ActivationBlocks, SaeWeights

_CHUNK_CELLS = 1 << 22


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the tensors say.

    Attributes:
        texts: n, strings in `texts`.
        features_shape: of feature_activations.
        originals_shape: of original_activations; None where absent.
    """

    texts: int
    features_shape: tuple[int, int]
    originals_shape: tuple[int, int] | None

    @property
    def activation_dim(self) -> int | None:
        """Columns of the original activations."""
        return None if self.originals_shape is None else self.originals_shape[1]


def check_rows(sizes: Sizes) -> None:
    """Refuse a run whose rows cannot be matched with its texts.

    The trainer skips a batch that fails and keeps all texts: every later row then stands beside the wrong text.

    Raises:
        RefusedInput: `ARTIFACT_MISALIGNED`, rows and texts differ; `ARTIFACT_INVALID`, there are none.
    """
    rows, columns = sizes.features_shape
    _equal("rows of feature_activations", rows, "texts", sizes.texts)
    if sizes.originals_shape is not None:
        _equal("rows of original_activations", sizes.originals_shape[0], "texts", sizes.texts)
    if rows == 0 or columns == 0:
        raise refusals.invalid(
            f"feature_activations has the shape [{rows}, {columns}], expected at least one text and one feature",
            refusals.RETRAIN,
        )
    if sizes.activation_dim == 0:
        raise refusals.invalid("original_activations has 0 columns, expected at least one", refusals.RETRAIN)


def check_entries(sizes: Sizes, content: dict[str, Any]) -> None:
    """Compare `feature_count` and `activation_dim` of feature_activations.pt with the tensors.

    Raises:
        RefusedInput: `ARTIFACT_MISALIGNED`, they differ; `ARTIFACT_INVALID`, one is no integer.
    """
    found = {"feature_count": sizes.features_shape[1], "activation_dim": sizes.activation_dim}
    for name, tensor_says in found.items():
        claim = content.get(name)
        if claim is not None and type(claim) is not int:
            raise refusals.invalid(f"{name} is a {type(claim).__name__}, expected an int", refusals.RETRAIN)
        _equal(f"{name} of feature_activations.pt", claim, "columns of its tensor", tensor_says)


def check_sae(sizes: Sizes, sae: SaeFile) -> None:
    """Compare the shapes of the autoencoder with those of the activations.

    Raises:
        RefusedInput: `ARTIFACT_MISALIGNED`, with both figures.
    """
    features, width = sae.weights.encoder_weight.shape
    shape = f"of encoder.weight {[features, width]}"
    _equal(f"features {shape}", features, "columns of feature_activations", sizes.features_shape[1])
    _equal(f"width {shape}", width, "columns of original_activations", sizes.activation_dim)
    _equal("hidden_dim of sae_model.pt", sae.hidden_dim, "its features", features)
    _equal("input_dim of sae_model.pt", sae.input_dim, "its width", width)


def check_metadata(sizes: Sizes, sae: SaeFile | None, file: MetadataFile) -> None:
    """Compare what metadata.json claims with the tensors.

    Raises:
        RefusedInput: `ARTIFACT_MISALIGNED`, with both figures.
    """
    claims, metadata = file.claims, file.metadata
    rows, features = sizes.features_shape
    width = sizes.activation_dim if sae is None else sae.weights.encoder_weight.shape[1]
    _equal("text_count of metadata.json", claims.text_count, "texts", sizes.texts)
    _equal("feature_activation_shape of metadata.json", claims.features_shape, "the tensor's", (rows, features))
    _equal("activation_shape of metadata.json", claims.originals_shape, "the tensor's", sizes.originals_shape)
    _equal("hidden_dim of metadata.json", claims.hidden_dim, "features", features)
    _equal("input_dim of metadata.json", claims.input_dim, "width", width)
    _equal("total_features of metadata.json", claims.total_features, "features", features)
    for name in ("feature_activation_rates", "feature_mean_activations", "feature_max_activations"):
        figures = getattr(metadata, name)
        _equal(f"figures in {name} of metadata.json", None if figures is None else len(figures), "features", features)


def check_features_follow(
    features: ActivationBlocks, originals: ActivationBlocks, sae: SaeWeights, bad_rows: Collection[int], limits: Limits
) -> float:
    """Recompute the features of some rows and return how far the stored ones lie from them.

    The figure is `encoding_error` over `limits.alignment_rows` rows, the same for the same run.

    Raises:
        RefusedInput: `ARTIFACT_MISALIGNED`, the figure is over `limits.alignment_max_error`: the SAE is of
            another run, its features or the rows are in another order, or the weights are transposed.
    """
    rows = _choose_rows(features.shape[0], bad_rows, limits)
    if not rows:
        return 0.0
    error = encoding_error(_gather(features, rows), _gather(originals, rows), sae)
    if not error <= limits.alignment_max_error:  # also refuses a NaN
        raise refusals.misaligned(
            f"feature_activations differ from relu(x W^T + b) by {error:.3g} (relative Frobenius error over"
            f" {len(rows)} rows), expected at most {limits.alignment_max_error:g}: the autoencoder is not the one that"
            " made them, or rows or features are in another order"
        )
    return error


def encoding_error(stored: torch.Tensor, originals: torch.Tensor, sae: SaeWeights) -> float:
    """Relative Frobenius error of stored feature activations against recomputed ones.

    ||m * (stored - h)|| / ||m * h|| with h = relu(x W_e^T + b_e) in float32 and m = 1 where the stored cell is
    finite and not negative, else 0; norms in float64. 0 is best and means equal; infinite where h is all zero but the
    stored cells are not; 0 where both are.

    Args:
        stored: [rows, F], any float dtype.
        originals: [rows, d], finite.
        sae: the weights.
    """
    difference = size = 0.0
    step = max(1, _CHUNK_CELLS // stored.shape[1])
    for some, vectors in zip(torch.split(stored, step), torch.split(originals, step), strict=True):
        computed = torch.relu(torch.addmm(sae.encoder_bias, vectors.float(), sae.encoder_weight.T)).double()
        found = some.double()
        usable = torch.isfinite(found) & (found >= 0)
        difference += torch.where(usable, found - computed, 0.0).square().sum().item()
        size += torch.where(usable, computed, 0.0).square().sum().item()
    if difference == 0.0:
        return 0.0
    return math.sqrt(difference / size) if size else math.inf


def _choose_rows(count: int, bad_rows: Collection[int], limits: Limits) -> list[int]:
    generator = torch.Generator().manual_seed(limits.alignment_seed)
    bad = set(bad_rows)
    order = torch.randperm(count, generator=generator).tolist()
    return sorted([row for row in order if row not in bad][: limits.alignment_rows])


def _gather(matrix: ActivationBlocks, rows: list[int]) -> torch.Tensor:
    return torch.cat([matrix.rows(row, row + 1) for row in rows])


def _equal(claim_name: str, claim: object, fact_name: str, fact: object) -> None:
    if claim is None or fact is None or claim == fact:
        return
    raise refusals.misaligned(f"{claim_name}: {claim}, {fact_name}: {fact}, expected them to be equal")
