"""The analysing child as a real process: warm, refusing, dying, slow, fat, orphaned."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import runs

from mistudio_worker.artifacts.files import ArtifactFiles
from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.domain.identity import JobIdentity
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.errors import ChildFailed, RefusedInput, ServiceAway
from mistudio_worker.worker.analysis_request import AnalysisRequest, Progress
from mistudio_worker.worker.child import Child, ChildPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

IDENTITY = JobIdentity(runs.JOB_ID, "find_20260102_030405_0123abcd", "0123abcd" * 8)


def request(root: Path, **sizes: int) -> AnalysisRequest:
    """A request for a small run that lies under `root`."""
    paths = runs.write_run(root / "run", **sizes)  # type: ignore[arg-type]
    exports = root / "exports"
    exports.mkdir()
    return AnalysisRequest(
        files=ArtifactFiles(runs.JOB_ID, paths.activations, paths.sae_model, paths.metadata),
        identity=IDENTITY,
        parameters=Parameters(),
        taxonomy=None,
        limits=Limits(),
        device="cpu",
        threads=1,
        memory_bytes=1 << 28,
        refuse_partial=False,
        directory=exports,
    )


def again(asked: AnalysisRequest) -> AnalysisRequest:
    """The same request with an empty directory."""
    directory = asked.directory.with_name(f"exports-{time.monotonic_ns()}")
    directory.mkdir()
    return replace(asked, directory=directory)


def pid_of(child: Child) -> int:
    """The child's process id."""
    assert child._process is not None
    assert child._process.pid is not None
    return child._process.pid


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    return False


@pytest.fixture
async def child() -> AsyncIterator[Child]:
    """A child that is not started yet."""
    made = Child(memory_limit_bytes=8 << 30, deadline_s=120)
    yield made
    await made.stop()


async def test_a_warm_child_serves_one_request_after_another(child: Child, tmp_path: Path) -> None:
    """One process answers all requests, refuses what is wrong, and makes the same bytes each time."""
    asked = request(tmp_path)
    steps: list[Progress] = []
    await child.start()
    pid = pid_of(child)
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    first = await child.run(asked, steps.append)
    assert {"json", "csv", "xml", "summary"} <= {export.format for export in first.exports}
    assert all(export.path.stat().st_size == export.size for export in first.exports)
    assert {step.step for step in steps} > {"decode"}
    broken = replace(again(asked), files=replace(asked.files, activations=asked.files.metadata or Path()))
    with pytest.raises(RefusedInput):
        await child.run(broken, steps.append)
    second = await child.run(again(asked), steps.append)
    assert pid_of(child) == pid
    assert [(e.format, e.sha256) for e in first.exports] == [(e.format, e.sha256) for e in second.exports]


async def test_what_the_child_sends_loads_no_torch_in_the_worker(child: Child, tmp_path: Path) -> None:
    """The worker stays small and its loop free: it can read every message without the libraries of the analysis."""
    steps: list[Progress] = []
    outcome = await child.run(request(tmp_path), steps.append)
    read = "import pickle, sys; pickle.load(sys.stdin.buffer); sys.exit(bool({'torch', 'numba'} & set(sys.modules)))"
    reader = await asyncio.create_subprocess_exec(sys.executable, "-c", read, stdin=asyncio.subprocess.PIPE)
    await reader.communicate(pickle.dumps([outcome, *steps]))
    assert reader.returncode == 0


async def test_a_killed_child(child: Child, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A child killed in the middle of its work is told, and the next request gets a fresh one."""
    asked = request(tmp_path)
    await child.start()
    pid = pid_of(child)

    def kill(_: Progress) -> None:
        os.kill(pid, signal.SIGKILL)

    with caplog.at_level(logging.DEBUG), pytest.raises(ChildFailed) as failed:
        await child.run(asked, kill)
    assert failed.value.code == "CHILD_KILLED"
    assert "-9" in failed.value.message
    assert (await child.run(again(asked), lambda _: None)).exports
    assert pid_of(child) != pid
    assert [r.message for r in caplog.records if r.name == "asyncio" and r.levelno >= logging.WARNING] == []


async def test_a_child_killed_while_idle(child: Child, tmp_path: Path) -> None:
    """A child that died between two jobs is replaced before the next one."""
    asked = request(tmp_path)
    await child.start()
    pid = pid_of(child)
    os.kill(pid, signal.SIGKILL)
    assert child._process is not None
    while child._process.is_alive():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)
    assert (await child.run(asked, lambda _: None)).exports
    assert pid_of(child) != pid


async def test_a_child_that_never_gets_warm(tmp_path: Path) -> None:
    """A child that hangs while it starts does not stay; for a request that comes then it is away, no failed attempt."""
    child = Child(memory_limit_bytes=8 << 30, deadline_s=120, start_timeout_s=0.01)
    with pytest.raises(ChildFailed) as failed:
        await child.start()
    assert failed.value.code == "CHILD_START_FAILED"
    assert child._process is None
    with pytest.raises(ServiceAway) as away:
        await child.run(request(tmp_path), lambda _: None)
    assert away.value.code == "CHILD_START_FAILED"
    assert child._process is None


async def test_a_child_killed_while_it_gets_warm(child: Child) -> None:
    """It is started anew, and the worker with it goes on."""
    starting = asyncio.create_task(child.start())
    while child._process is None:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)
    first = pid_of(child)
    os.kill(first, signal.SIGKILL)
    await starting
    assert is_running(pid_of(child))
    assert pid_of(child) != first


async def test_a_pipe_that_breaks_at_the_request(child: Child, tmp_path: Path) -> None:
    """A request that cannot be handed over is a failed attempt."""
    asked = request(tmp_path)
    await child.start()
    connection = await child._ensure_warm()

    class Broken:
        def send(self, _: object) -> None:
            raise BrokenPipeError

        def close(self) -> None:
            connection.close()

    child._connection = Broken()  # type: ignore[assignment]
    with pytest.raises(ChildFailed) as failed:
        await child.run(asked, lambda _: None)
    assert failed.value.code == "CHILD_KILLED"


async def test_a_child_that_takes_no_request(child: Child, tmp_path: Path) -> None:
    """Handing over a request counts against the deadline: a child that hangs between two jobs is found out, too."""
    asked = request(tmp_path)
    await child.start()
    connection, over = await child._ensure_warm(), threading.Event()

    class Stuck:
        def send(self, _: object) -> None:
            over.wait(60)

        def close(self) -> None:
            over.set()
            connection.close()

    child._connection = Stuck()  # type: ignore[assignment]
    child._deadline_s = 0.2
    with pytest.raises(ChildFailed) as failed:
        await child.run(asked, lambda _: None)
    assert failed.value.code == "CHILD_TIMEOUT"


async def test_cancelling_kills_the_work(child: Child, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A cancelled request ends its process at once; nothing of it goes on writing."""
    asked = request(tmp_path)
    await child.start()
    pid = pid_of(child)
    os.kill(pid, signal.SIGSTOP)  # so that it is in the middle of its work for sure
    running = asyncio.create_task(child.run(asked, lambda _: None))
    await asyncio.sleep(0.1)
    running.cancel()
    begun_s = time.monotonic()
    with caplog.at_level(logging.DEBUG), pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - begun_s < 5
    assert not is_running(pid)
    assert list(asked.directory.iterdir()) == []
    del running
    gc.collect()
    assert [r.message for r in caplog.records if r.name == "asyncio" and r.levelno >= logging.WARNING] == []


async def test_the_deadline(tmp_path: Path) -> None:
    """An analysis that takes too long is ended, with the setting's name."""
    child = Child(memory_limit_bytes=8 << 30, deadline_s=0.5)
    try:
        await child.start()
        pid = pid_of(child)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ChildFailed) as failed:
            await child.run(request(tmp_path), lambda _: None)
        assert failed.value.code == "CHILD_TIMEOUT"
        assert "MISTUDIO_JOB__DEADLINE_S" in failed.value.hint
        assert not is_running(pid)
    finally:
        await child.stop()


async def test_the_memory_limit(tmp_path: Path) -> None:
    """A child over its limit is ended before the container is, with both figures."""
    child = Child(memory_limit_bytes=1 << 20, deadline_s=60)
    try:
        await child.start()
        pid = pid_of(child)
        with pytest.raises(ChildFailed) as failed:
            await child.run(request(tmp_path, n_texts=5_000), lambda _: None)
        assert failed.value.code == "CHILD_OUT_OF_MEMORY"
        assert str(1 << 20) in failed.value.message
        assert not is_running(pid)
    finally:
        await child.stop()


async def test_the_first_job_of_a_child_that_was_not_started(child: Child, tmp_path: Path) -> None:
    """A request warms a child by itself, and stopping it twice is fine."""
    assert (await child.run(request(tmp_path), lambda _: None)).status == "completed"
    pid = pid_of(child)
    await child.stop()
    await child.stop()
    assert not is_running(pid)


async def test_a_pool_runs_two_at_a_time(tmp_path: Path) -> None:
    """Two children answer two requests, and a third waits for one of them."""
    pool = ChildPool([Child(memory_limit_bytes=8 << 30, deadline_s=120) for _ in range(2)])
    try:
        await pool.start()
        asked = request(tmp_path)
        outcomes = await asyncio.gather(*(pool.run(again(asked), lambda _: None) for _ in range(3)))
        assert len({tuple(e.sha256 for e in outcome.exports) for outcome in outcomes}) == 1
    finally:
        await pool.stop()


ORPHAN = """
import asyncio, time
from mistudio_worker.worker.child import Child

async def main():
    child = Child(memory_limit_bytes=8 << 30, deadline_s=60)
    await child.start()
    print(child._process.pid, flush=True)
    time.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_an_orphan_dies(tmp_path: Path) -> None:
    """A worker that is killed by SIGKILL takes its child with it."""
    script = tmp_path / "orphan.py"
    script.write_text(textwrap.dedent(ORPHAN), encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            pid = int(parent.stdout.readline())
            assert is_running(pid)
        finally:
            parent.kill()
    until = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_running(pid)
