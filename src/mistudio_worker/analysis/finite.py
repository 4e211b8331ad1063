"""No NaN and no infinity leaves the analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def check_finite(value: Any, place: str = "result") -> None:
    """Walk records, tuples and mappings, and refuse the first number that strict JSON cannot carry.

    Raises:
        ArithmeticError: a NaN or an infinity, with the place where it stands: a defect of the analysis,
            never a property of the input.
    """
    if value is None or isinstance(value, str | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ArithmeticError(f"{place} is {value}, expected a finite number or None with a reason")
    elif is_dataclass(value):
        for field in fields(value):
            check_finite(getattr(value, field.name), f"{place}.{field.name}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_finite(item, f"{place}[{key!r}]")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            check_finite(item, f"{place}[{index}]")
    else:
        raise TypeError(f"{place} is a {type(value).__name__}, expected plain numbers, strings and records")
