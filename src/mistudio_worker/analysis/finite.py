"""No NaN and no infinity leaves the analysis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any

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
    own: Any = type(value)
    if own in _PLAIN:
        return None
    if own is float:
        return None if math.isfinite(value) else [value]
    for place, item in _parts_reader(own)(value):
        kind = type(item)
        if kind in _PLAIN or (kind is float and math.isfinite(item)):  # most parts; a call for each takes twice as long
            continue
        if (found := _first_defect(item)) is not None:
            return [*found, place]
    return None if isinstance(value, Mapping | tuple | list) or is_dataclass(value) else [value]


@lru_cache(maxsize=64)
def _parts_reader(kind: Any) -> Callable[[Any], Iterable[tuple[Any, Any]]]:
    """Return what reads places and parts of all values of a type."""
    if issubclass(kind, Mapping):
        return lambda value: value.items()
    if issubclass(kind, (tuple, list)):
        return enumerate
    names = tuple(getattr(kind, "__dataclass_fields__", ()))
    return lambda value: [(name, getattr(value, name)) for name in names]
