"""What a user may choose about an analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mistudio_worker.errors import RefusedInput

Device = Literal["auto", "cpu", "cuda"]
"""Where the tensor work is done; it changes no result beyond rounding."""

TOP_K_LIMITS = (1, 100)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Choices that change the results, and so are part of a job's identity.

    Attributes:
        top_k: number of strongest texts kept a feature, 1 to 100.
        coherence_threshold: features at or above it, 0 to 1, are worth explaining.

    Raises:
        RefusedInput: `INVALID_PARAMETER`, a value out of range.
    """

    top_k: int = 20
    coherence_threshold: float = 0.4

    def __post_init__(self) -> None:
        low, high = TOP_K_LIMITS
        if not low <= self.top_k <= high:
            raise RefusedInput(
                "INVALID_PARAMETER",
                f"top_k is {self.top_k}, expected {low} to {high}",
                "send another top_k, or leave it out for 20",
            )
        if not 0.0 <= self.coherence_threshold <= 1.0:
            raise RefusedInput(
                "INVALID_PARAMETER",
                f"coherence_threshold is {self.coherence_threshold}, expected 0 to 1",
                "send another coherence_threshold, or leave it out for 0.4",
            )
