"""How an analysis is run: choices that change its speed, never its bytes."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import torch

from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DEFAULT_MEMORY_BYTES = 4 << 30

Tile = TypeVar("Tile")
Result = TypeVar("Result")
First = TypeVar("First")
Second = TypeVar("Second")


@dataclass(frozen=True, slots=True)
class Execution:
    """Where and with how much an analysis runs.

    On one platform the results are the same bytes for every choice of `threads` and `memory_bytes`.
    On another device the dense products (coherence, geometry, diversity) may differ by 1e-5.

    Attributes:
        device: "cpu" or a CUDA device of torch, for the dense products.
        threads: tiles computed at once, >= 1.
        memory_bytes: budget of the analysis' own working memory (the input, mapped, is not counted).
        shares: parts of the analysis that run at once and share what the tiles may take of the budget.
    """

    device: str = "cpu"
    threads: int = 1
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    shares: int = 1

    def require(self, need_bytes: int, purpose: str) -> None:
        """Refuse what cannot fit, before it is allocated.

        Raises:
            RefusedInput: `MEMORY_BUDGET_EXCEEDED`, naming the figure that it would need.
        """
        if need_bytes > self.memory_bytes:
            raise RefusedInput(
                "MEMORY_BUDGET_EXCEEDED",
                f"{purpose} needs {need_bytes:,} bytes, the analysis may use {self.memory_bytes:,}",
                f"raise MISTUDIO_ANALYSIS__MEMORY_BYTES to at least {2 * need_bytes:,}: half of it is for blocks",
            )


def map_tiles(
    work: Callable[[Tile], Result], tiles: Sequence[Tile], execution: Execution, *, tile_bytes: int
) -> Iterator[Result]:
    """Run a pure function over fixed logical tiles and yield the results in tile order.

    At most `execution.threads` tiles are in work, as many as the budget holds and at least one; a
    result waits for its turn, so that no more than that plus one are in hand. Inside a tile torch
    computes on a single thread, so that bytes do not depend on the machine's cores: this sets
    `torch.set_num_threads(1)` for the process.

    Args:
        work: called with one tile at a time, from several threads.
        tiles: in the order in which results are wanted.
        execution: threads and budget.
        tile_bytes: working memory of one tile.

    Raises:
        RefusedInput: `MEMORY_BUDGET_EXCEEDED`, not even one tile fits.
    """
    execution.require(tile_bytes, "one tile")
    fitting = execution.memory_bytes // execution.shares // max(tile_bytes, 1)
    at_once = max(1, min(execution.threads, fitting, len(tiles)))
    with ThreadPoolExecutor(max_workers=at_once, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for tile in tiles:
                waiting.append(pool.submit(work, tile))
                if len(waiting) > at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def run_together(
    first: Callable[[Execution], First], second: Callable[[Execution], Second], execution: Execution
) -> tuple[First, Second]:
    """Run two parts that do not need each other at once, so that one computes where the other is not parallel.

    With a single thread one after the other. Where both fail, the error of the first is raised.
    """
    if execution.threads < 2:
        return first(execution), second(execution)
    shared = replace(execution, shares=2)
    with ThreadPoolExecutor(max_workers=1, initializer=torch.set_num_threads, initargs=(1,)) as beside:
        other = beside.submit(second, shared)
        return first(shared), other.result()


def spans(total: int, size: int) -> list[tuple[int, int]]:
    """Cut `range(total)` into fixed tiles.

    >>> spans(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(start + size, total)) for start in range(0, total, size)]
