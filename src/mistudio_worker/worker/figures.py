"""What a job took and made, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mistudio_worker.worker.analysis_request import AnalysisOutcome


@dataclass(slots=True)
class JobFigures:
    """Sums over all attempts of a job; the peaks are those of the last one.

    Attributes:
        fetched_bytes: artifacts that were read.
        uploaded_bytes: exports that were written.
        features: in the result.
        peak_memory_bytes: resident memory of the child.
        peak_device_bytes: memory of the GPU; 0 on the CPU.
        steps_s: seconds of each step.
        child_s: seconds of the child's own steps (`decode`, `analyze`, `export`), all within `analyze` of the job;
            those of the attempt that worked.
    """

    fetched_bytes: int = 0
    uploaded_bytes: int = 0
    features: int = 0
    peak_memory_bytes: int = 0
    peak_device_bytes: int = 0
    steps_s: dict[str, float] = field(default_factory=dict)
    child_s: dict[str, float] = field(default_factory=dict)

    def took(self, step: str, duration_s: float) -> None:
        """Add the time of a step."""
        self.steps_s[step] = self.steps_s.get(step, 0.0) + duration_s

    def analysed(self, outcome: AnalysisOutcome) -> None:
        """Take in what the child says."""
        self.features = outcome.counts.features
        self.peak_memory_bytes, self.peak_device_bytes = outcome.peak_memory_bytes, outcome.peak_device_bytes
        self.child_s = dict(outcome.timings)

    def summary(self) -> dict[str, object]:
        """Return what there is, as the canonical log line tells it."""
        counts = ("fetched_bytes", "uploaded_bytes", "features", "peak_memory_bytes", "peak_device_bytes")
        told: dict[str, object] = {name: value for name in counts if (value := getattr(self, name))}
        for name, seconds in (("steps_s", self.steps_s), ("child_s", self.child_s)):
            if seconds:
                told[name] = {step: round(value, 3) for step, value in seconds.items()}
        return told
