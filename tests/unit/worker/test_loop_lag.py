"""The event loop's delay is seen, and forgotten after a while."""

from __future__ import annotations

import asyncio
import time

from mistudio_worker.worker.loop_lag import WINDOW_S, LoopLag


def test_the_largest_of_the_window_counts() -> None:
    """Older ones are forgotten, smaller ones passed over."""
    noted: list[float] = []
    lag = LoopLag(noted.append)
    for now_s, lag_s in ((0.0, 0.5), (10.0, 0.1), (20.0, 0.3), (30.0, 0.2)):
        lag.add(now_s, lag_s)
    assert [lag.largest_s(now_s) for now_s in (30.0, WINDOW_S + 1, WINDOW_S + 21, WINDOW_S + 31)] == [0.5, 0.3, 0.2, 0]
    assert noted == [0.5, 0.1, 0.3, 0.2]


async def test_what_blocks_the_loop_is_measured() -> None:
    """A sleep that is none of asyncio's holds up everything."""
    measured = asyncio.Event()
    lag = LoopLag(lambda _: measured.set())
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251 - the fault that is to be found
    await measured.wait()
    task.cancel()
    assert lag.largest_s(0.0) > 0.2
