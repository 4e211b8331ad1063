"""An event loop on a thread of its own, for tests that are written as plain functions."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class BackgroundLoop:
    """Runs coroutines one after another or side by side, for as long as a `with` block."""

    def __enter__(self) -> Self:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="background-loop")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread; what still runs on the loop is cancelled."""
        self.call(_cancel_the_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, coroutine: Coroutine[Any, Any, T], within_s: float = 60.0) -> T:
        """Run to the end and return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(within_s)

    async def awaited(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run on this loop, awaited on another one."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
