"""Tensors of a checkpoint, proven to be what they seem before anybody computes with them."""

from __future__ import annotations

import torch

from mistudio_worker.artifacts import refusals

FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def plain_tensor(value: object, name: str, dimensions: int) -> torch.Tensor:
    """Return a dense CPU tensor of the given dimensions whose storage holds all its elements.

    Args:
        value: what the checkpoint holds.
        name: for the message.
        dimensions: 1 or 2.

    Raises:
        RefusedInput: `ARTIFACT_INVALID`, not such a tensor; `ARTIFACT_TRUNCATED`, its storage is too short.
    """
    if not isinstance(value, torch.Tensor) or type(value) not in (torch.Tensor, torch.nn.Parameter):
        raise refusals.invalid(f"{name} is a {type(value).__name__}, expected a tensor")
    value = value.detach()  # one that asks for gradients is no array
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        raise refusals.invalid(f"{name} is a tensor of layout {value.layout} on {value.device}, expected a dense one")
    if value.dtype not in FLOATS:
        raise refusals.invalid(f"{name} is of {value.dtype}, expected float32, float16 or bfloat16")
    if value.dim() != dimensions:
        raise refusals.invalid(f"{name} has the shape {list(value.shape)}, expected {dimensions} dimensions")
    held, needed = value.untyped_storage().nbytes(), value.numel() * value.element_size()
    if needed > held:
        raise refusals.truncated(f"{name} {list(value.shape)} needs {needed:,} bytes, its storage has {held:,}")
    return value
