"""Write docs/reference/settings.md from the settings' models.

    python docs/generate_settings.py

`tests/unit/test_docs.py` fails where the page differs from the models.
"""

from __future__ import annotations

from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr

from mistudio_worker.settings import Settings
from mistudio_worker.settings_base import GIB, MIB

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PAGE = Path(__file__).parent / "reference" / "settings.md"
_HEAD = """\
# Settings

<!-- Made by docs/generate_settings.py from the models in src/mistudio_worker/settings*.py: do not edit. -->

All settings are environment variables, read once at the start: `MISTUDIO_<GROUP>__<NAME>`. There is no settings file.
A value that does not fit, or an unknown name in a known group, ends the command with `INVALID_SETTING` and exit code 2;
the value itself is never shown. An unknown group is passed over: `run` and `doctor` name such variables.

Units stand in the names: `_S` seconds, `_MS` milliseconds, `_BYTES` bytes. Truth values are `true` and `false`.
A secret can be given by itself or as the path of a file that holds it (`..._FILE`); the file goes before.
"""
_NAMES = {str: "text", int: "integer", float: "number", bool: "truth value", Path: "path", SecretStr: "secret"}
_SIGNS = {Gt: (">", "gt"), Ge: (">=", "ge"), Le: ("<=", "le")}


def settings_page() -> str:
    """Return the whole page; the same models are always the same text."""
    return "\n".join([_HEAD, *(_group(name, field) for name, field in Settings.model_fields.items())])


def _group(name: str, field: FieldInfo) -> str:
    model = field.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"setting {name} is no group")
    lines = [
        f"## {name.capitalize()}",
        model.__doc__ or "",
        "",
        "| variable | type | default | meaning |",
        "|---|---|---|---|",
    ]
    for setting, info in model.model_fields.items():
        variable = f"MISTUDIO_{name}__{setting}".upper()
        cells = (
            f"`{variable}`",
            _type(info.annotation, info.metadata),
            _default(info),
            info.description or setting.replace("_", " "),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _type(annotation: Any, metadata: list[Any]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        (only,) = (argument for argument in arguments if argument is not NoneType)
        return f"{_type(only, metadata)}, or not set"
    if origin is Annotated:
        inner = [item for field in arguments[1:] for item in getattr(field, "metadata", [field])]
        return _type(arguments[0], [*inner, *metadata])
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in arguments)
    signs = [
        f"{sign} {getattr(item, key)}"
        for item in metadata
        if type(item) in _SIGNS
        for sign, key in [_SIGNS[type(item)]]
    ]
    return ", ".join([_NAMES[annotation], *signs])


def _default(info: FieldInfo) -> str:
    value = info.default
    if value is None:
        return "not set"
    if isinstance(value, SecretStr):
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int):
        for unit, name in ((GIB, "GiB"), (MIB, "MiB")):
            if value >= unit and value % unit == 0:
                return f"`{value}` ({value // unit} {name})"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
