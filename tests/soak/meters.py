"""What a worker that lives through the whole soak uses, and whether it grows."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from support.workers import Worker

EVERY_S = 1.0
MIB = 1 << 20


@dataclass
class Meter:
    """A figure over time.

    Attributes:
        unit: what `samples` count.
        slack: growth from the second quarter of the time to the last that is no growth yet.
        samples: one a second.
    """

    unit: str
    slack: float
    samples: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Median of the last quarter less that of the second, when the worker is warm; 0 for few samples."""
        quarter = len(self.samples) // 4
        if quarter < 5:
            return 0.0
        return median(self.samples[-quarter:]) - median(self.samples[quarter : 2 * quarter])

    @property
    def is_flat(self) -> bool:
        """Whether it grew by no more than the slack."""
        return self.growth <= self.slack

    def __str__(self) -> str:
        """The last quarter's median and the growth."""
        last = median(self.samples[-max(1, len(self.samples) // 4) :]) if self.samples else 0.0
        return f"{last:.0f} {self.unit} ({self.growth:+.1f})"


class Meters:
    """Samples memory, files and disk of one worker in a thread, for as long as a `with` block."""

    def __init__(self, worker: Worker, work_dir: Path) -> None:
        self._worker, self._work_dir = worker, work_dir
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True, name="meters")
        self.meters = {
            "worker memory": Meter("MiB", slack=16),
            "child memory": Meter("MiB", slack=48),
            "worker files": Meter("descriptors", slack=6),
            "child files": Meter("descriptors", slack=4),
            "work folders": Meter("MiB", slack=16),
        }

    def __enter__(self) -> Meters:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def breaches(self) -> list[str]:
        """Return what grew."""
        return [f"{name} grew: {meter}" for name, meter in self.meters.items() if not meter.is_flat]

    def _sample(self) -> None:
        worker = self._worker.process.pid
        while not self._ended.wait(EVERY_S):
            self._add("worker memory", _resident_mib(worker))
            self._add("worker files", _open_files(worker))
            if (child := self._worker.child()) is not None:
                self._add("child memory", _resident_mib(child))
                self._add("child files", _open_files(child))
            self._add("work folders", _folder_mib(self._work_dir))

    def _add(self, name: str, figure: float | None) -> None:
        if figure is not None:
            self.meters[name].samples.append(figure)


def _resident_mib(pid: int) -> float | None:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / MIB
    except OSError:
        return None


def _open_files(pid: int) -> float | None:
    try:
        return float(len(list(Path(f"/proc/{pid}/fd").iterdir())))
    except OSError:
        return None


def _folder_mib(folder: Path) -> float | None:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MIB
    except OSError:  # files go away while they are counted
        return None


class Pace:
    """Spreads things evenly over a time."""

    def __init__(self, count: int, duration_s: float) -> None:
        self._begun_s, self._count, self._duration_s = time.monotonic(), count, duration_s

    def due(self) -> int:
        """Return how many should be done by now."""
        share = (time.monotonic() - self._begun_s) / self._duration_s
        return min(self._count, int(share * self._count) + 1)
