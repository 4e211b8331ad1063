"""`mistudio-worker schemas`: write the generated schemas, or find out what drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistudio_worker.contracts.schemas import schema_files
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from pathlib import Path


def write_schemas(directory: Path) -> list[Path]:
    """Write every generated schema and return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in schema_files().items():
        path = directory / name
        path.write_bytes(content)
        written.append(path)
    return written


def check_schemas(directory: Path) -> None:
    """Compare a directory with what the models say.

    Raises:
        RefusedInput: `SCHEMA_DRIFT`, naming each file that is absent or differs.
    """
    drifted = [
        name
        for name, content in schema_files().items()
        if not (directory / name).is_file() or (directory / name).read_bytes() != content
    ]
    if drifted:
        raise RefusedInput(
            "SCHEMA_DRIFT",
            f"{', '.join(drifted)} in {directory} differ from the models",
            f"run: mistudio-worker schemas --out {directory}",
        )
