"""The worker's handle on its analysing child process."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from mistudio_worker.errors import ChildFailed, MistudioError, ServiceAway
from mistudio_worker.worker.analysis_request import AnalysisOutcome, Progress
from mistudio_worker.worker.child_main import Failed, Ready, serve
from mistudio_worker.worker.child_status import ChildStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from mistudio_worker.worker.analysis_request import AnalysisRequest

log = structlog.get_logger(__name__)
MEMORY_CHECK_S = 0.2
STARTS = 3
"""A process killed while it gets warm says nothing about the worker; one that never gets warm does."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Child:
    """A warm process that runs one analysis at a time, and is replaced when one ends badly.

    Args:
        memory_limit_bytes: resident memory above which it is killed.
        deadline_s: longest run of one analysis.
        start_timeout_s: longest wait until the process is warm.
    """

    def __init__(self, *, memory_limit_bytes: int, deadline_s: float, start_timeout_s: float = 300.0) -> None:
        self._memory_limit_bytes = memory_limit_bytes
        self._deadline_s = deadline_s
        self._start_timeout_s = start_timeout_s
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._inbox: asyncio.Queue[object] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._starts = 0
        self._warm = False
        self._busy_since_s: float | None = None

    def status(self) -> ChildStatus:
        """Look at the process from outside."""
        process = self._process
        pid = process.pid if process is not None and process.is_alive() else None
        return ChildStatus(
            pid=pid,
            warm=self._warm and pid is not None,
            restarts=max(0, self._starts - 1),
            busy_since_s=self._busy_since_s,
            resident_bytes=_resident_bytes(pid),
            deadline_s=self._deadline_s,
        )

    async def start(self) -> None:
        """Bring the process up and wait until it is warm; one that dies meanwhile is started anew, `STARTS` in all.

        Raises:
            ChildFailed: `CHILD_START_FAILED`.
        """
        async with self._turn:
            for left in reversed(range(STARTS)):
                try:
                    await self._ensure_warm()
                except ChildFailed as error:
                    if not left:
                        raise
                    log.warning("the analysing process did not start, trying again", code=error.code, left=left)
                else:
                    return

    async def run(self, request: AnalysisRequest, on_progress: Callable[[Progress], None]) -> AnalysisOutcome:
        """Run one analysis; cancelling kills the process.

        Raises:
            MistudioError: the artifacts are refused.
            ChildFailed: the process died, hung, or used too much memory.
            ServiceAway: `CHILD_START_FAILED`, before it was given anything: no fault of the request.
        """
        async with self._turn:
            try:
                connection = await self._ensure_warm()
            except ChildFailed as error:
                raise ServiceAway("CHILD_START_FAILED", error.message, error.hint) from error
            self._busy_since_s = time.monotonic()
            try:
                return await self._converse(connection, request, on_progress)
            except BaseException as error:
                if not _ended_in_order(error):
                    await self._kill()
                raise
            finally:
                self._busy_since_s = None

    async def stop(self) -> None:
        """End the process."""
        await self._kill()

    async def _send(self, connection: Connection, request: AnalysisRequest) -> None:
        try:
            await asyncio.to_thread(connection.send, request)
        except OSError as error:  # it died just now, between two requests
            raise await self._death() from error

    async def _converse(
        self, connection: Connection, request: AnalysisRequest, on_progress: Callable[[Progress], None]
    ) -> AnalysisOutcome:
        watchdog = asyncio.create_task(self._watch_memory())
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._send(connection, request)
                return await self._outcome(on_progress, watchdog)
        except TimeoutError:
            raise ChildFailed(
                "CHILD_TIMEOUT",
                f"the analysis was not done after {self._deadline_s:.0f} s",
                "raise MISTUDIO_JOB__DEADLINE_S, or give the worker more processors",
            ) from None
        finally:
            watchdog.cancel()

    async def _outcome(
        self, on_progress: Callable[[Progress], None], watchdog: asyncio.Task[ChildFailed]
    ) -> AnalysisOutcome:
        while True:
            message = asyncio.ensure_future(self._inbox.get())
            try:
                await asyncio.wait({message, watchdog}, return_when=asyncio.FIRST_COMPLETED)
                if not message.done():
                    raise watchdog.result()
            finally:
                message.cancel()
            match message.result():
                case Progress() as progress:
                    on_progress(progress)
                case AnalysisOutcome() as outcome:
                    return outcome
                case Failed(error, trace):
                    if trace:  # logged here, where it is known whose job it was
                        log.warning("the analysing process failed", code=error.code, trace=trace)
                    raise error
                case _:
                    raise await self._death()

    async def _death(self) -> ChildFailed:
        if self._process is not None:  # in a thread: one of many gigabytes takes its time to be gone
            await asyncio.to_thread(self._process.join, 5)
        code = self._process.exitcode if self._process is not None else None
        return ChildFailed(
            "CHILD_KILLED",
            f"the analysing process ended in the middle of its work (exit code {code})",
            "if the system's memory was short, give the container more; else look at the worker's log",
        )

    async def _watch_memory(self) -> ChildFailed:
        while True:
            used = _resident_bytes(self._process.pid if self._process else None)
            if used > self._memory_limit_bytes:
                return ChildFailed(
                    "CHILD_OUT_OF_MEMORY",
                    f"the analysis used {used} bytes, {self._memory_limit_bytes} are allowed",
                    "give the container more memory, or raise MISTUDIO_ANALYSIS__MEMORY_BYTES",
                )
            await asyncio.sleep(MEMORY_CHECK_S)

    async def _ensure_warm(self) -> Connection:
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return self._connection
        await self._kill()
        self._inbox = asyncio.Queue()
        self._spawn(asyncio.get_running_loop(), self._inbox)
        try:
            first = await asyncio.wait_for(self._inbox.get(), self._start_timeout_s)
        except TimeoutError:
            first = None
        except BaseException:
            await self._kill()
            raise
        if not isinstance(first, Ready) or self._connection is None:
            await self._kill()
            raise ChildFailed(
                "CHILD_START_FAILED",
                f"the analysing process ended before it was ready, or was not after {self._start_timeout_s:.0f} s",
                "look at the worker's log for its traceback",
            )
        self._warm = True
        return self._connection

    # Started on the loop's own thread: the child asks to die with the thread that made it.
    def _spawn(self, loop: asyncio.AbstractEventLoop, inbox: asyncio.Queue[object]) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, os.getpid()), name="mistudio-analysis", daemon=True)
        process.start()
        self._starts += 1
        theirs.close()
        self._process, self._connection = process, ours
        threading.Thread(target=_pump, args=(ours, loop, inbox), daemon=True, name="child-pump").start()

    async def _kill(self) -> None:
        process, connection = self._process, self._connection
        self._process = self._connection = None
        self._warm = False
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.join, 10)
            with contextlib.suppress(ValueError):
                process.close()
        if connection is not None:
            connection.close()


def _pump(connection: Connection, loop: asyncio.AbstractEventLoop, inbox: asyncio.Queue[object]) -> None:
    """Carry messages from the pipe to the event loop; None says that the process is gone."""
    with contextlib.suppress(RuntimeError):  # the loop may be closed by now
        try:
            while True:
                loop.call_soon_threadsafe(inbox.put_nowait, connection.recv())
        except (EOFError, OSError):
            loop.call_soon_threadsafe(inbox.put_nowait, None)


def _resident_bytes(pid: int | None) -> int:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    shared_files = int(fields[2])  # mapped artifacts are the page cache's, which the kernel takes back by itself
    return (int(fields[1]) - shared_files) * _PAGE_BYTES


def _ended_in_order(error: BaseException) -> bool:
    """Whether the process itself reported the error, and so waits for the next request."""
    return isinstance(error, MistudioError) and not isinstance(error, ChildFailed)


class ChildPool:
    """Several children behind one `Analyst`: a request goes to a free one."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._free: asyncio.Queue[Child] = asyncio.Queue()
        for child in children:
            self._free.put_nowait(child)

    def status(self) -> list[ChildStatus]:
        """Look at all of them."""
        return [child.status() for child in self._children]

    async def start(self) -> None:
        """Warm all of them."""
        await asyncio.gather(*(child.start() for child in self._children))

    async def run(self, request: AnalysisRequest, on_progress: Callable[[Progress], None]) -> AnalysisOutcome:
        """See `Child.run`."""
        child = await self._free.get()
        try:
            return await child.run(request, on_progress)
        finally:
            self._free.put_nowait(child)

    async def stop(self) -> None:
        """End all of them."""
        await asyncio.gather(*(child.stop() for child in self._children))
