"""Calls in threads of their own: bounded, and nobody has to wait for one that hangs."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
import time

import pytest

from mistudio_worker.adapters.call_threads import CallThreads

ENDS_WHILE_A_CALL_HANGS = """
import asyncio, contextlib, threading
from mistudio_worker.adapters.call_threads import CallThreads

async def main():
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await CallThreads(1).run(threading.Event().wait)

asyncio.run(main())
"""


async def test_outcomes_come_back() -> None:
    """What a call returns or raises is what the wait for it does; the context is the caller's."""
    name = contextvars.ContextVar[str]("name")
    name.set("mine")
    threads = CallThreads(2)
    assert await threads.run(name.get) == "mine"
    assert await threads.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 7, 0)


async def test_no_more_than_the_limit_at_a_time() -> None:
    """A call that nobody waits for keeps its place until it ends."""
    threads, release = CallThreads(2), threading.Event()
    hanging = [asyncio.create_task(threads.run(release.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await threads.run(divmod, 7, 2)
    release.set()
    async with asyncio.timeout(10):
        assert await threads.run(divmod, 7, 2) == (3, 1)


def test_a_process_ends_while_a_call_hangs() -> None:
    """The end of the loop and of the interpreter do not wait for it: so a drain is bounded."""
    begun_s = time.monotonic()
    subprocess.run([sys.executable, "-c", ENDS_WHILE_A_CALL_HANGS], check=True, timeout=60)
    assert time.monotonic() - begun_s < 30
