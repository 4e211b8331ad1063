"""Records as plain values, and the check that every figure is a finite, plain number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

_ATOMS = frozenset({str, int, bool, type(None)})


class NotExportable(ValueError):
    """A value that has no place in a result: a defect of the analysis, never of the input."""


def finite(value: float) -> float:
    """Return the number itself.

    Raises:
        NotExportable: NaN or infinite; a serialiser might turn it into null in silence.
    """
    if isfinite(value):
        return value
    raise NotExportable(f"{value} where a finite number is expected")


def number_text(value: float | None) -> str:
    """Write a number with the fewest digits that read back as the same float64; nothing for None."""
    if value is None:
        return ""
    return repr(value) if type(value) is int else repr(float(finite(value)))


def check_exportable(value: object) -> None:
    """Refuse NaN, infinities and values that are not plain, wherever they stand in a record.

    Raises:
        NotExportable: with the path of the value, for example `features[3].coherence_score`.
    """
    if (found := _find_unfit(value)) is not None:
        raise NotExportable(f"{found[0].removeprefix('.')} is {found[1]!r}, expected a plain, finite value")


def plain(value: Any, memo: dict[str, str]) -> Any:
    """Turn a record into dicts, lists, strings and numbers.

    Args:
        value: a dataclass, mapping, sequence or scalar.
        memo: one object a distinct string, so that what is written does not depend on which equal strings
            happened to be the same object (pickle refers back to objects, not to values).

    Raises:
        NotExportable: a number is not finite, or the value has another type.
    """
    kind: Any = type(value)
    if kind is float:
        return finite(value)
    if kind in _ATOMS:
        return value if kind is not str else memo.setdefault(value, value)
    if isinstance(value, (tuple, list)):
        return [plain(item, memo) for item in value]
    return {memo.setdefault(name, name): plain(item, memo) for name, item in _children_reader(kind)(value)}


@lru_cache(maxsize=64)
def field_names(kind: type) -> tuple[str, ...]:
    """Return the names of a dataclass' fields, in order.

    Raises:
        NotExportable: another type.
    """
    if not is_dataclass(kind):
        raise NotExportable(f"a {kind.__name__} where a record or a plain value is expected")
    return tuple(f.name for f in fields(kind))


def _find_unfit(value: Any) -> tuple[str, object] | None:
    """Return path and value of the first one that is unfit; the path is only spelt where there is one."""
    own: Any = type(value)
    if own is float:
        return None if isfinite(value) else ("", value)
    for key, child in _children_reader(own)(value):
        kind = type(child)
        if kind in _ATOMS or (kind is float and isfinite(child)):  # most children; a call for each takes twice as long
            continue
        if (found := _find_unfit(child)) is not None:
            return _label(value, key) + found[0], found[1]
    return None


@lru_cache(maxsize=64)
def _children_reader(kind: Any) -> Callable[[Any], Iterable[tuple[Any, Any]]]:
    """Return what reads keys and children of all values of a type.

    Raises:
        NotExportable: a type that has none.
    """
    if issubclass(kind, (tuple, list)):
        return enumerate
    if issubclass(kind, Mapping):
        return lambda value: value.items()
    names = field_names(kind)
    return lambda value: [(name, getattr(value, name)) for name in names]


def _label(value: object, key: object) -> str:
    if isinstance(value, (tuple, list, Mapping)):
        return f"[{key!r}]"
    return f".{key}"
