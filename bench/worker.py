"""Measure a real worker: is it held up by a job, and how soon does it answer what it knows?

    make bench-worker                       the Phi-4 size; `make bench` runs it, too
    ... bench/worker.py --run RUN_DIR       a run of yours

One worker analyses the run while its /health is asked for all the time; then the same event is sent again and again.
Figures: how long /health took; how long the worker's event loop kept a timer waiting, as the worker itself measures
it; from sending a known event to seeing its find-complete.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from embedded.stack import EmbeddedStack
from rich.console import Console
from rich.table import Table
from support.background import BackgroundLoop
from support.pages import Pages
from support.services import Services
from support.workers import Place, Worker, binary_event, wait_for

from bench.run import generate

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB_LIMIT_S = 1200.0
ANSWER_LIMIT_S = 60.0
ASKED_EVERY_S = 0.02
SHOWN_EVERY = 50
"""So many /health are asked between two looks at the metrics, which cost the loop more."""
AT_MOST = {"/health, ms": 10.0, "event loop held up, ms": 100.0, "known job answered, ms": 200.0}


def main() -> None:
    """Read the options, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", metavar="RUN_DIR", type=Path, help="default: a generated run of the Phi-4 size")
    parser.add_argument("--repeats", type=int, default=20, help="how often the finished job is announced again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mistudio-bench-") as scratch:
        run_dir = options.run or generate(Path(scratch) / "run")
        figures_ms, job = measure(run_dir, Path(scratch), options.repeats)
    show(figures_ms, job)


def measure(run_dir: Path, scratch: Path, repeats: int) -> tuple[dict[str, list[float]], str]:
    """Return all measurements in milliseconds, and what the worker says of its job."""
    with started(scratch) as (place, worker):
        pages = Pages(worker)
        place.put_run(run_dir)
        with Asking(pages) as asking:
            job = str(place.announce(next((run_dir / "activations").iterdir()).name).data["job_id"])
            place.wait_for_result(job, JOB_LIMIT_S)
            line = worker.wait_for_lines(job)[-1]
        place.wait_until_committed()
        answered_ms = asyncio.run(announce_again(place, job, repeats))
        said = f"job of {line['duration_s']:.1f} s, {line['fetched_bytes'] / 1e6:.0f} MB in"
    return {
        "/health, ms": asking.health_ms,
        "event loop held up, ms": asking.held_up_ms,
        "known job answered, ms": answered_ms,
    }, said


@contextlib.contextmanager
def started(scratch: Path) -> Iterator[tuple[Place, Worker]]:
    """Start broker, store and one worker."""
    with contextlib.ExitStack() as exits:
        stack = exits.enter_context(EmbeddedStack())
        loop = exits.enter_context(BackgroundLoop())
        services = exits.enter_context(contextlib.closing(Services(stack.environment(), name="bench")))
        place = exits.enter_context(contextlib.closing(Place(services, loop)))
        worker = exits.enter_context(Worker(place.environment, scratch / "worker", stack.running_keeper()))
        worker.wait_ready()
        yield place, worker


class Asking:
    """Asks a worker for its pages all the time, in a thread, for as long as a block.

    Attributes:
        health_ms: how long each /health took.
        held_up_ms: the longest delay of the event loop within the minute before, each time it was asked.
    """

    def __init__(self, pages: Pages) -> None:
        self._address = pages.address.removeprefix("http://")
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True, name="asking")
        self.health_ms: list[float] = []
        self.held_up_ms: list[float] = []

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._look()

    def _ask(self) -> None:
        while not self._end.wait(ASKED_EVERY_S):
            begun_s = time.perf_counter()
            self._get("/health")
            self.health_ms.append((time.perf_counter() - begun_s) * 1000)
            if len(self.health_ms) % SHOWN_EVERY == 0:
                self._look()

    def _look(self) -> None:
        for line in self._get("/metrics").splitlines():
            name, _, value = line.partition(" ")
            if name == "mistudio_event_loop_lag_max_seconds":
                self.held_up_ms.append(float(value) * 1000)

    def _get(self, page: str) -> str:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            connection.request("GET", page)
            return connection.getresponse().read().decode()
        finally:
            connection.close()


async def announce_again(place: Place, job: str, repeats: int) -> list[float]:
    """Send the event of a finished job again and again; return how long each find-complete took to come."""
    servers = place.services.bootstrap_servers
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    consumer = AIOKafkaConsumer(place.topics.find_complete, bootstrap_servers=servers, auto_offset_reset="latest")
    value, headers = binary_event({"job_id": job})
    elapsed_ms = []
    await producer.start()
    await consumer.start()
    try:
        await consumer.seek_to_end()
        for _ in range(repeats):
            begun_s = time.perf_counter()
            await producer.send(place.topics.training_complete, value, key=job.encode(), headers=headers)
            await asyncio.wait_for(consumer.getone(), ANSWER_LIMIT_S)
            elapsed_ms.append((time.perf_counter() - begun_s) * 1000)
            await asyncio.to_thread(wait_for, lambda: place.lag() == 0 or None, "the offset committed", ANSWER_LIMIT_S)
    finally:
        await consumer.stop()
        await producer.stop()
    return elapsed_ms


def show(figures_ms: dict[str, list[float]], job: str) -> None:
    """Print the middle, the 99th percentile and the largest of each figure."""
    load = f"{job}; {len(os.sched_getaffinity(0))} processors, load average {os.getloadavg()[0]:.1f}"
    table = Table("figure", "times", "median", "99 %", "most", "at most", caption=load)
    for name, values in figures_ms.items():
        ordered = sorted(values)
        shown = (statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], ordered[-1])
        table.add_row(name, str(len(ordered)), *(f"{value:,.1f}" for value in shown), f"{AT_MOST[name]:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
