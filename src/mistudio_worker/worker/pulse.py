"""What the consumer loop tells of itself: where it is, and when it last did what."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    """Where a worker is in its life."""

    STARTING = "starting"  # the child is warmed, the store is looked at
    JOINING = "joining"  # the group is joined, for as long as it takes
    WORKING = "working"
    DRAINING = "draining"  # running jobs are finished or given back
    STOPPED = "stopped"


@dataclass(slots=True)
class Pulse:
    """Signs of life; all times on the monotonic clock, None for never.

    Attributes:
        phase: where the worker is.
        turned_s: when the loop last went on to something that has a limit.
        assigned_s: when a rebalance was last settled.
        doubted_s: when the rebalance began that is not settled yet; None where there is none.
        committed_s: when an offset was last committed.
        partitions: numbers of those that are assigned.
    """

    phase: Phase = Phase.STARTING
    turned_s: float | None = None
    assigned_s: float | None = None
    doubted_s: float | None = None
    committed_s: float | None = None
    partitions: list[int] = field(default_factory=list)

    def turn(self) -> None:
        """The loop goes on."""
        self.turned_s = time.monotonic()

    def doubt(self) -> None:
        """A rebalance began."""
        self.doubted_s = self.doubted_s or time.monotonic()

    def assign(self, partitions: list[int]) -> None:
        """A rebalance is settled."""
        self.assigned_s, self.doubted_s, self.partitions = time.monotonic(), None, partitions

    def commit(self) -> None:
        """An offset was committed."""
        self.committed_s = time.monotonic()
