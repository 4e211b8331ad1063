"""A job's place on disk, gone when the job is."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mistudio_worker.errors import ServiceAway, disk_full

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

YOUNG_S = 60.0
_PREFIX = "mistudio-job-"


@contextmanager
def workspace(parent: Path | None) -> Iterator[Path]:
    """Make a private directory, and remove it with all that is in it.

    The directory is locked for as long as this process lives, so that `sweep` knows the living from the dead: a
    process id would not do, a worker in a container is always number 1.

    Raises:
        ServiceAway: `DISK_FULL` or `WORK_DIR_UNUSABLE`.
    """
    path = _make(parent)
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


@asynccontextmanager
async def workspace_of_job(parent: Path | None) -> AsyncIterator[Path]:
    """The same on the event loop: to remove gigabytes takes a second, so a thread does it."""
    with ExitStack() as open_one:
        path = open_one.enter_context(workspace(parent))
        try:
            yield path
        finally:
            await asyncio.shield(asyncio.to_thread(open_one.close))


def sweep(parent: Path | None) -> list[Path]:
    """Remove what dead workers left behind; return what was removed.

    Only directories of this user are touched, and none so young that its maker may not have locked it yet.
    """
    root = parent or Path(tempfile.gettempdir())
    found = sorted(root.glob(f"{_PREFIX}*")) if root.is_dir() else []
    removed = []
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # another worker sweeps, too, and was faster
            if _remove_if_dead(path):
                removed.append(path)
    return removed


def subfolder(workspace: Path, name: str) -> Path:
    """Make a folder in a workspace.

    Raises:
        ServiceAway: `DISK_FULL` or `WORK_DIR_UNUSABLE`.
    """
    with _own_faults(workspace):
        (workspace / name).mkdir()
    return workspace / name


def _make(parent: Path | None) -> Path:
    with _own_faults(parent):
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))


@contextmanager
def _own_faults(parent: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from error
        raise ServiceAway(
            "WORK_DIR_UNUSABLE",
            f"no directory can be made in {parent or tempfile.gettempdir()}: {error.strerror}",
            "make it writable for the worker, or name another MISTUDIO_JOB__WORK_DIR",
        ) from error


def _remove_if_dead(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return False
    facts = path.stat()
    if facts.st_uid != os.getuid() or time.time() - facts.st_mtime < YOUNG_S:
        return False
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        shutil.rmtree(path, ignore_errors=True)
        return True
    finally:
        os.close(lock)
