"""How long the event loop keeps a timer waiting: what blocks it blocks heartbeats, progress and health alike."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 0.05
WINDOW_S = 60.0


class LoopLag:
    """Measures the loop that it runs on, `INTERVAL_S` after `INTERVAL_S`.

    Args:
        note: is told every measurement.
    """

    def __init__(self, note: Callable[[float], None] = lambda _: None) -> None:
        self._note = note
        # (when, lag), both in seconds, lags falling: the first is the largest of the window
        self._largest: deque[tuple[float, float]] = deque()

    def largest_s(self, now_s: float) -> float:
        """Return the longest delay of the last `WINDOW_S`."""
        while self._largest and self._largest[0][0] < now_s - WINDOW_S:
            self._largest.popleft()
        return self._largest[0][1] if self._largest else 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + INTERVAL_S
            await asyncio.sleep(INTERVAL_S)
            self.add(loop.time(), max(0.0, loop.time() - due_s))

    def add(self, now_s: float, lag_s: float) -> None:
        """Take one measurement in."""
        while self._largest and self._largest[-1][1] <= lag_s:
            self._largest.pop()
        self._largest.append((now_s, lag_s))
        self._note(lag_s)
