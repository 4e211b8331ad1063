"""No NaN and no infinity leaves the analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN = frozenset({type(None), str, int, bool})


def check_finite(value: Any) -> None:
    """Walk records, tuples and mappings, and refuse the first number that strict JSON cannot carry.

    Raises:
        ArithmeticError: a NaN or an infinity, with the place where it stands: a defect of the analysis,
            never a property of the input.
        TypeError: something else than plain numbers, strings and records, likewise.
    """
    if (found := _first_defect(value)) is not None:
        *places, culprit = reversed(found)
        place = ".".join(map(str, places))
        if type(culprit) is float:
            raise ArithmeticError(f"{place} is {culprit}, expected a finite number or None with a reason")
        raise TypeError(f"{place} is a {type(culprit).__name__}, expected plain numbers, strings and records")


def _first_defect(value: Any) -> list[Any] | None:
    """Return the first defect and the way to it, innermost first; the way is only spelt where there is one."""
    kind = type(value)
    if kind in _PLAIN:
        return None
    if kind is float:
        return None if math.isfinite(value) else [value]
    for place, item in _parts(value):
        if type(item) not in _PLAIN and (found := _first_defect(item)) is not None:
            return [*found, place]
    return None if isinstance(value, Mapping | tuple | list) or is_dataclass(value) else [value]


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, tuple | list):
        return enumerate(value)
    return ((name, getattr(value, name)) for name in getattr(value, "__dataclass_fields__", ()))
