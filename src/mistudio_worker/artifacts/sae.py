"""sae_model.pt -> SaeWeights. Of everything else in it only the two dimensions are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mistudio_worker.artifacts import refusals
from mistudio_worker.artifacts.checkpoint import load_checkpoint
from mistudio_worker.artifacts.tensors import plain_tensor
from mistudio_worker.domain.training_run import SaeWeights

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.artifacts.limits import Limits

_ENTRIES = {"encoder.weight": 2, "encoder.bias": 1, "decoder.weight": 2, "decoder.bias": 1}


@dataclass(frozen=True, slots=True)
class SaeFile:
    """An autoencoder and the dimensions that its file claims (None where it claims none)."""

    weights: SaeWeights
    input_dim: int | None
    hidden_dim: int | None


def read_sae(path: Path, limits: Limits) -> SaeFile:
    """Return the autoencoder's weights as float32 copies.

    Neither `config`, which may hold a token, nor `training_stats` is looked at.

    Raises:
        RefusedInput: the file cannot be read safely, an entry is missing or no finite tensor, the four
            shapes do not fit each other, or the weights are over a limit.
    """
    content = load_checkpoint(path, limits)
    state = content.get("model_state_dict")
    if not isinstance(state, dict):
        raise refusals.invalid(f"{path.name}: model_state_dict is a {type(state).__name__}, expected a dict")
    tensors = {name: _entry(state, name, path.name) for name in _ENTRIES}
    _check_shapes(tensors)
    _check_size(tensors, limits.max_sae_bytes)
    encoder_weight, encoder_bias, decoder_weight, decoder_bias = (_copy(t, name) for name, t in tensors.items())
    return SaeFile(
        SaeWeights(encoder_weight, encoder_bias, decoder_weight, decoder_bias),
        _dimension(content, "input_dim"),
        _dimension(content, "hidden_dim"),
    )


def _entry(state: dict[str, Any], name: str, file_name: str) -> torch.Tensor:
    if name not in state:
        raise refusals.invalid(f"{file_name}: model_state_dict has no entry {name}")
    return plain_tensor(state[name], name, _ENTRIES[name])


def _check_shapes(tensors: dict[str, torch.Tensor]) -> None:
    features, width = tensors["encoder.weight"].shape
    if features == 0 or width == 0:
        raise refusals.invalid(f"encoder.weight has the shape {[features, width]}, expected no 0", refusals.RETRAIN)
    expected = {"encoder.bias": [features], "decoder.weight": [width, features], "decoder.bias": [width]}
    for name, shape in expected.items():
        found = list(tensors[name].shape)
        if found != shape:
            raise refusals.misaligned(
                f"{name} has the shape {found}, expected {shape} beside encoder.weight {[features, width]}"
                " (features, width): weights transposed or of another model"
            )


def _check_size(tensors: dict[str, torch.Tensor], max_bytes: int) -> None:
    needed = 4 * sum(tensor.numel() for tensor in tensors.values())
    if needed > max_bytes:
        raise refusals.too_large(
            f"the autoencoder needs {needed:,} bytes in float32, expected at most {max_bytes:,}", "max_sae_bytes"
        )


def _copy(tensor: torch.Tensor, name: str) -> torch.Tensor:
    copy = torch.empty(tensor.shape, dtype=torch.float32).copy_(tensor)  # contiguous, also of a tied view
    low, high = torch.aminmax(copy)
    if not (low > -torch.inf and high < torch.inf):  # also true where there is a NaN
        bad = int((~torch.isfinite(copy)).sum())
        raise refusals.invalid(f"{name} holds {bad:,} values that are not finite", refusals.RETRAIN)
    return copy


def _dimension(content: dict[str, Any], name: str) -> int | None:
    value = content.get(name)
    if value is not None and type(value) is not int:
        raise refusals.invalid(f"{name} in sae_model.pt is a {type(value).__name__}, expected an int")
    return value
