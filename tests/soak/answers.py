"""How soon a worker answers while a soak goes on: figures to read, not to assert on a shared machine."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import urllib3
from support.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from support.workers import Worker

EVERY_S = 0.25


class HealthAnswers:
    """Asks one worker for /health again and again in a thread, for as long as a `with` block."""

    def __init__(self, worker: Worker) -> None:
        self._pages = Pages(worker)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True, name="health-answers")
        self._elapsed_s: list[float] = []
        self._lag_s = 0.0
        self._missed = 0

    def __enter__(self) -> HealthAnswers:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def __str__(self) -> str:
        """Time to answer, and the longest hold-up of the event loop that the worker itself saw."""
        missed = f", {self._missed} not answered" if self._missed else ""
        lag_ms = self._lag_s * 1000
        return f"health answered in {quantiles_ms(self._elapsed_s)}{missed}, loop held up {lag_ms:.0f} ms at most"

    def _ask(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                page = self._pages.get("/health")
            except urllib3.exceptions.HTTPError:
                self._missed += 1
                continue
            self._elapsed_s.append(page.elapsed_s)
            self._lag_s = max(self._lag_s, page.content["checks"]["event_loop"]["value"])


def known_answers(workers: Sequence[Worker]) -> str:
    """Say how soon records were answered whose result was there already, by the logs."""
    lines = [line for worker in workers for line in worker.said("job")]
    known = [line["duration_s"] for line in lines if line["outcome"] == "completed" and not line["attempt"]]
    return f"known jobs answered in {quantiles_ms(known)}"


def quantiles_ms(durations_s: Sequence[float]) -> str:
    """Half, nine tenths and the longest of some durations, in milliseconds."""
    ordered = sorted(durations_s)
    if not ordered:
        return "(none)"
    half, most = ordered[len(ordered) // 2], ordered[len(ordered) * 9 // 10]
    return f"{half * 1000:.0f}/{most * 1000:.0f}/{ordered[-1] * 1000:.0f} ms (half, 90 %, all of {len(ordered)})"
