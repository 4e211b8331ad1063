"""The pages of a worker's own HTTP server, as an orchestrator asks for them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3
from support.workers import wait_for

if TYPE_CHECKING:
    from support.workers import Worker


@dataclass(frozen=True)
class Page:
    """What was answered, and how soon."""

    status: int
    text: str
    elapsed_s: float

    @property
    def content(self) -> dict[str, Any]:
        """The page, parsed."""
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


class Pages:
    """Asks one worker.

    Args:
        worker: started; its port is taken from its log.
    """

    def __init__(self, worker: Worker) -> None:
        listening = wait_for(lambda: worker.said("http listening") or None, "the worker's HTTP server")
        self.address = f"http://127.0.0.1:{listening[-1]['port']}"

    def get(self, path: str) -> Page:
        """Ask for a page, on a connection of its own."""
        begun_s = time.perf_counter()
        with urllib3.PoolManager(timeout=urllib3.Timeout(30), retries=False) as pool:
            answer = pool.request("GET", f"{self.address}{path}")
            return Page(answer.status, answer.data.decode(), time.perf_counter() - begun_s)

    def statuses(self) -> tuple[int, int]:
        """Of /live and /ready."""
        return self.get("/live").status, self.get("/ready").status

    def wait_for_statuses(self, live: int, ready: int) -> None:
        """Wait until both pages say so."""
        wait_for(lambda: self.statuses() == (live, ready) or None, f"/live {live} and /ready {ready}", 120)
