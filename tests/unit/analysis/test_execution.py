from __future__ import annotations

import threading
import time

import pytest

from mistudio_worker.analysis.execution import Execution, map_tiles, run_together, spans
from mistudio_worker.errors import RefusedInput


def test_results_come_in_tile_order() -> None:
    """A tile that is slow does not change the order of the results."""

    def work(tile: int) -> int:
        time.sleep(0.02 if tile == 0 else 0.0)
        return tile * 10

    assert list(map_tiles(work, [0, 1, 2, 3], Execution(threads=3), tile_bytes=1)) == [0, 10, 20, 30]


def test_the_budget_bounds_the_tiles_in_work() -> None:
    """With room for one tile, only one is computed at a time, however many threads there are."""
    lock = threading.Lock()

    def work(tile: int) -> int:
        assert lock.acquire(blocking=False), "two tiles at once"
        time.sleep(0.005)
        lock.release()
        return tile

    assert list(map_tiles(work, range(6), Execution(threads=4, memory_bytes=150), tile_bytes=100)) == list(range(6))


def test_a_tile_over_the_budget_is_refused_with_the_figure() -> None:
    """Nothing is computed where not even one tile fits."""
    with pytest.raises(RefusedInput, match="needs 100 bytes"):
        list(map_tiles(lambda tile: tile, [1], Execution(memory_bytes=99), tile_bytes=100))


def test_an_error_in_a_tile_comes_through() -> None:
    """A failure inside a thread is raised to the caller."""
    with pytest.raises(ZeroDivisionError):
        list(map_tiles(lambda tile: 1 // tile, [1, 0, 2], Execution(threads=2), tile_bytes=1))


def test_no_tiles_no_results() -> None:
    """An empty list of tiles is no error."""
    assert list(map_tiles(lambda tile: tile, spans(0, 4), Execution(), tile_bytes=1)) == []


def test_two_parts_run_at_once_and_share_the_tiles() -> None:
    """Each waits for the other; room for two tiles is room for one in each part."""
    both = threading.Barrier(2, timeout=60)

    def part(shared: Execution) -> int:
        both.wait()
        running = threading.Lock()

        def work(tile: int) -> int:
            assert running.acquire(blocking=False), "two tiles of a part at once"
            time.sleep(0.005)
            running.release()
            return tile

        return sum(map_tiles(work, range(6), shared, tile_bytes=100))

    assert run_together(part, part, Execution(threads=2, memory_bytes=250)) == (15, 15)


def test_on_one_thread_one_part_follows_the_other() -> None:
    """A single thread stays a single thread."""
    seen: list[str] = []
    here = threading.get_ident()
    for threads, expected in ((1, ["first", "second"]), (2, ["first"])):
        seen.clear()
        run_together(
            lambda _: seen.append("first"),
            lambda _: seen.append("second") if threading.get_ident() == here else None,
            Execution(threads=threads),
        )
        assert seen == expected


def test_the_error_of_the_first_part_is_the_one_that_is_told() -> None:
    """It does not depend on which of two failing parts is quicker."""

    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(ValueError, match="first"):
        run_together(lambda _: fail(ValueError("first")), lambda _: fail(OSError("second")), Execution(threads=2))
