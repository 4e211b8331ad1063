"""Output that appears whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mistudio_worker.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def staged(final: Path) -> Iterator[Path]:
    """Yield a directory to fill: when the block ends it stands at `final`, in the place of an older one.

    After an error nothing is left of it, nor of the parents that were made for it.

    Raises:
        WrongUsage: `OUTPUT_NOT_WRITABLE`.
    """
    with _unfinished(final.parent) as staging:
        yield staging
        _replace(staging, final)


@contextmanager
def staged_files(directory: Path) -> Iterator[Path]:
    """Yield a directory to fill: when the block ends its files stand in `directory`, beside what else lies there.

    After an error nothing is left of them, nor of the directories that were made for them.

    Raises:
        WrongUsage: `OUTPUT_NOT_WRITABLE`.
    """
    with _unfinished(directory) as staging:
        yield staging
        for path in sorted(staging.iterdir()):
            path.replace(directory / path.name)


@contextmanager
def _unfinished(parent: Path) -> Iterator[Path]:
    made = [path for path in (parent, *parent.parents) if not path.exists()]
    try:
        with _temporary(parent) as staging:
            yield Path(staging)
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise


def _temporary(parent: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".unfinished-", dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise WrongUsage(
            "OUTPUT_NOT_WRITABLE", f"cannot write to {parent}: {error.strerror}", "name another directory with --out"
        ) from None


def _replace(staging: Path, final: Path) -> None:
    """Put the new one in the place of the old one; a kill in between leaves both, under other names."""
    ready, old = (staging.with_name(f"{staging.name}-{what}") for what in ("ready", "old"))
    staging.chmod(0o755)
    staging.rename(ready)
    if final.exists():
        final.rename(old)
    ready.rename(final)
    shutil.rmtree(old, ignore_errors=True)
