"""A job's place on disk, gone when the job is."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "mistudio-job-"


@contextmanager
def workspace(parent: Path | None) -> Iterator[Path]:
    """Make a private directory, and remove it with all that is in it."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep(parent: Path | None) -> list[Path]:
    """Remove what dead workers of this host left behind; return what was removed.

    Only directories of this user whose process is gone are touched.
    """
    root = parent or Path(tempfile.gettempdir())
    removed = []
    for path in sorted(root.glob(f"{_PREFIX}*-*")) if root.is_dir() else []:
        pid = path.name.removeprefix(_PREFIX).split("-", 1)[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and path.stat().st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed
