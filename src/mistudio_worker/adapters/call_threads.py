"""Blocking calls beside the event loop, in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class CallThreads:
    """Runs each call in a thread of its own, a bounded number at a time.

    asyncio's own pool would not do: calls that hang would starve all else that uses it, and the end of the process
    would wait for them. A call that nobody waits for any more keeps its place until it ends, so that a service which
    hangs cannot gather threads without a limit.

    Args:
        limit: calls at a time; further ones wait.
    """

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the call returns; cancelling ends the wait, not the call."""
        await self._slots.acquire()
        loop, context, answer = asyncio.get_running_loop(), contextvars.copy_context(), Future[T]()
        answer.set_running_or_notify_cancel()  # from here on a cancelled wait leaves it alone

        def work() -> None:
            try:
                answer.set_result(context.run(call, *args, **kwargs))
            except BaseException as error:  # it is raised where the call is waited for
                answer.set_exception(error)
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(self._slots.release)

        threading.Thread(target=work, daemon=True, name="store-call").start()
        return await asyncio.wrap_future(answer)
