"""Single values of metadata.json: of the expected type, short, and free of paths and tokens."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT = 200
_MAX_INTEGER = 1 << 53
_UNFIT = re.compile("[\ud800-\udfff\x00-\x1f\x7f]")
_TOKEN = re.compile(r"hf_\w{8,}|api_org_\w{8,}", re.ASCII)
_PATH = re.compile(r"^(?:[A-Za-z]:[\\/]|[\\/~.]|\w+://)", re.ASCII)

_DETAILS: Mapping[str, tuple[str, ...]] = {
    "": ("service", "version"),
    "model_info": ("architecture", "total_layers", "hidden_size", "vocab_size"),
    "sae_config": ("input_dim", "hidden_dim", "sparsity_coeff", "learning_rate"),
    "training_results": ("final_loss", "epochs_trained", "final_sparsity"),
    "feature_statistics": ("total_samples_processed", "batches_processed"),
}


def details(content: Mapping[str, Any]) -> dict[str, str | int | float | bool | None]:
    """Return the scalars that are safe to publish, by the last part of their name, in a fixed order.

    Only names of a fixed list are taken, and only where the value is a scalar.
    """
    found: dict[str, str | int | float | bool | None] = {}
    for section, names in _DETAILS.items():
        values = content.get(section) if section else content
        if isinstance(values, dict):
            taken = ((name, scalar(values.get(name))) for name in names)
            found.update((name, value) for name, value in taken if value is not None)
    return found


def scalar(value: object) -> str | int | float | bool | None:
    """Return a harmless scalar; a NaN or an infinity by its JSON name; None for anything else.

    >>> scalar(float("-inf")), scalar(0.5), scalar([1])
    ('-Infinity', 0.5, None)
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return integer(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
    return text(value)


def text(value: object) -> str | None:
    """Return a string of at most 200 characters; of a path only the last step; None if it looks like a token.

    >>> text("microsoft/phi-4"), text("/home/me/models/phi-4")
    ('microsoft/phi-4', 'phi-4')
    """
    if not isinstance(value, str) or _TOKEN.search(value):
        return None
    if _PATH.match(value):
        value = re.split(r"[\\/]", value.rstrip("\\/"))[-1]
    return _UNFIT.sub("\ufffd", value[:MAX_TEXT])


def integer(value: object) -> int | None:
    """Return an integer within +-2^53, also one written as 3.0; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER:
        return value
    return None


def shape(value: object) -> tuple[int, int] | None:
    """Return (rows, columns) of a list of two integers; None for anything else."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    rows, columns = integer(value[0]), integer(value[1])
    return None if rows is None or columns is None else (rows, columns)


def number(value: object) -> float | None:
    """Return a number, NaN and infinities kept; None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def float_list(value: object) -> tuple[float, ...] | None:
    """Return a list of numbers, NaN and infinities kept; None where it is anything else."""
    if not isinstance(value, list):
        return None
    numbers = [found for item in value if (found := number(item)) is not None]
    return tuple(numbers) if len(numbers) == len(value) else None
