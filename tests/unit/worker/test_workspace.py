"""A job's place on disk: gone with the job, and with the worker."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mistudio_worker.errors import ServiceAway
from mistudio_worker.worker.workspace import YOUNG_S, subfolder, sweep, workspace, workspace_of_job


def test_it_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    """A workspace is readable by its owner alone, and all that is in it goes with it."""
    with workspace(tmp_path / "made" / "on demand") as place:
        (place / "deep").mkdir()
        (place / "deep" / "file").write_bytes(b"x")
        assert place.stat().st_mode & 0o077 == 0
    assert not place.exists()


def test_it_is_gone_after_an_error(tmp_path: Path) -> None:
    """An error, a cancellation too, leaves nothing behind."""
    with pytest.raises(KeyboardInterrupt), workspace(tmp_path):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_that_of_a_job_is_removed_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gigabytes take a while: the loop goes on meanwhile, also where the job is cancelled."""
    threads: list[str] = []
    remove = shutil.rmtree

    def watched(path: Path, *, ignore_errors: bool) -> None:
        threads.append(threading.current_thread().name)
        remove(path, ignore_errors=ignore_errors)

    async def cancelled_job() -> None:
        async with workspace_of_job(tmp_path) as place:
            (place / "file").write_bytes(b"x")
            raise asyncio.CancelledError

    monkeypatch.setattr(shutil, "rmtree", watched)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled_job())
    assert list(tmp_path.iterdir()) == []
    assert len(threads) == 1
    assert threads != [threading.current_thread().name]


def test_two_at_a_time(tmp_path: Path) -> None:
    """Workspaces beside each other are not the same."""
    with workspace(tmp_path) as first, workspace(tmp_path) as second:
        assert first != second


def test_the_system_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a setting the system's directory for temporary files is used, for the sweep too."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with workspace(None) as place:
        assert place.parent == tmp_path
        assert sweep(None) == []


DYING = """
import pathlib, sys, time
from mistudio_worker.worker.workspace import workspace
with workspace(pathlib.Path(sys.argv[1])) as place:
    (place / "left").write_bytes(b"x")
    print(place, flush=True)
    time.sleep(600)
"""


def grow_old(path: Path) -> None:
    """Make a directory look as old as the sweep wants it."""
    os.utime(path, (time.time() - 2 * YOUNG_S,) * 2)


def test_sweeping_takes_the_dead_ones_only(tmp_path: Path) -> None:
    """What a worker leaves that was killed is removed; as long as it lives, nothing of it is."""
    with subprocess.Popen([sys.executable, "-c", DYING, str(tmp_path)], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        try:
            left = Path(worker.stdout.readline().strip())
            grow_old(left)
            assert sweep(tmp_path) == []
        finally:
            worker.kill()
    assert (left / "left").exists()
    assert sweep(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == []


def test_sweeping_spares_the_young_and_the_strange(tmp_path: Path) -> None:
    """A directory that may not be locked yet, a file, a link and other names are left alone."""
    target = tmp_path / "elsewhere"
    target.mkdir()
    (tmp_path / "mistudio-job-young").mkdir()
    (tmp_path / "mistudio-job-file").write_bytes(b"")
    (tmp_path / "mistudio-job-link").symlink_to(target)
    (tmp_path / "other-job").mkdir()
    before = sorted(tmp_path.iterdir())
    for path in (target, tmp_path / "other-job"):
        grow_old(path)
    assert sweep(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == before


def test_sweeping_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that another worker removes between the look and the lock is no error."""
    dead = [tmp_path / f"mistudio-job-{name}" for name in "ab"]
    for path in dead:
        path.mkdir()
        grow_old(path)
    really = os.open

    def open_late(path: Path, flags: int) -> int:
        if path == dead[0] and path.exists():
            path.rmdir()
        return really(path, flags)

    monkeypatch.setattr(os, "open", open_late)
    assert sweep(tmp_path) == [dead[1]]


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    """A directory that cannot be made is a fault of the surroundings, told with the setting."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ServiceAway) as refused, workspace(tmp_path / "file"):
        pass
    assert refused.value.code == "WORK_DIR_UNUSABLE"
    assert "MISTUDIO_JOB__WORK_DIR" in refused.value.hint


def test_sweeping_a_place_that_is_not_there(tmp_path: Path) -> None:
    """Nothing there is nothing to do."""
    assert sweep(tmp_path / "absent") == []


def test_a_disk_that_is_full_after_the_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for which there is no room is the worker's trouble, not the job's."""

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert subfolder(tmp_path, "exports").is_dir()
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(ServiceAway) as refused:
        subfolder(tmp_path, "more")
    assert refused.value.code == "DISK_FULL"
