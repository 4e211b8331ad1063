"""Is the worker alive, ready, well? A pure function of what was seen of it.

live   a restart would not help: fails only where the consumer loop stands still
ready  it takes records now: not while it starts, drains, or a service is away
well   nothing needs a look: also disk, child and event loop are as they should be
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from mistudio_worker.worker.pulse import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mistudio_worker.worker.child_status import ChildStatus
    from mistudio_worker.worker.pulse import Pulse
    from mistudio_worker.worker.service_watch import ServiceWatch


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """When something is too old, too slow or too little.

    Attributes:
        turn_s: longest time between two turns of the consumer loop; all its waits are shorter.
        rebalance_s: longest rebalance that passes for one.
        answer_s: longest time since a service answered; it is asked more often than that.
        lag_s: longest hold-up of the event loop.
        disk_bytes: what the largest job may fetch.
    """

    turn_s: float
    rebalance_s: float
    answer_s: float
    lag_s: float
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was seen of a worker at one moment; times on the monotonic clock.

    Attributes:
        now_s: the moment.
        pulse: of the consumer loop.
        children: the analysing processes.
        store: when it answered.
        broker: likewise.
        away: code -> message of the services that a call waits for.
        lag_s: longest hold-up of the event loop in the last minute.
        disk_free_bytes: None where it was not looked at yet.
        jobs: running ones, as the page shows them.
        backlog: partition number -> records that the group has not committed.
    """

    now_s: float
    pulse: Pulse
    children: Sequence[ChildStatus]
    store: ServiceWatch
    broker: ServiceWatch
    away: Mapping[str, str]
    lag_s: float
    disk_free_bytes: int | None
    jobs: Sequence[Mapping[str, object]] = ()
    backlog: Mapping[int, int] = field(default_factory=dict)


class Needed(StrEnum):
    """What does not hold where a check fails."""

    LIVE = "live"
    READY = "ready"
    WELL = "well"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report.

    Attributes:
        name: of what was looked at.
        ok: whether it is as it should be.
        needed_for: what fails with it.
        value: what was found.
        age_s: since its last sign of life.
        limit_s: of the age, or of a value in seconds.
    """

    name: str
    ok: bool
    needed_for: Needed
    value: object = None
    age_s: float | None = None
    limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All checks."""

    checks: Sequence[Check]

    @property
    def live(self) -> bool:
        """Whether a restart would be no help."""
        return self._holds({Needed.LIVE})

    @property
    def ready(self) -> bool:
        """Whether it takes records."""
        return self._holds({Needed.LIVE, Needed.READY})

    @property
    def status(self) -> str:
        """`ok`, `degraded` (works, but have a look), `unready` or `stuck`."""
        if not self.live:
            return "stuck"
        if not self.ready:
            return "unready"
        return "ok" if self._holds(set(Needed)) else "degraded"

    def failed(self, *needed: Needed) -> list[Check]:
        """Checks that fail and are needed for one of these."""
        return [check for check in self.checks if not check.ok and check.needed_for in needed]

    def _holds(self, needed: set[Needed]) -> bool:
        return not self.failed(*needed)


def examine(seen: Snapshot, limits: HealthLimits) -> Report:
    """Look at everything."""
    return Report(
        [
            _poll_loop(seen, limits),
            _phase(seen),
            _assignment(seen, limits),
            _commit(seen),
            _waiting(seen),
            _service("store", seen.store, seen.now_s, limits),
            _broker(seen, limits),
            *(_child(number, child, seen.now_s) for number, child in enumerate(seen.children)),
            Check("event_loop", seen.lag_s <= limits.lag_s, Needed.WELL, round(seen.lag_s, 4), None, limits.lag_s),
            _disk(seen, limits),
        ]
    )


def _poll_loop(seen: Snapshot, limits: HealthLimits) -> Check:
    """The loop has limits for all it does but for starting and joining, which wait for others."""
    age_s = _age(seen.now_s, seen.pulse.turned_s)
    waits_for_others = seen.pulse.phase in (Phase.STARTING, Phase.JOINING)
    ok = waits_for_others or (age_s is not None and age_s <= limits.turn_s)
    return Check("poll_loop", ok, Needed.LIVE, None, age_s, limits.turn_s)


def _phase(seen: Snapshot) -> Check:
    return Check("phase", seen.pulse.phase is Phase.WORKING, Needed.READY, seen.pulse.phase.value)


def _assignment(seen: Snapshot, limits: HealthLimits) -> Check:
    """No partition at all is fine: there may be more workers than partitions."""
    pulse = seen.pulse
    rebalancing_s = _age(seen.now_s, pulse.doubted_s)
    ok = pulse.assigned_s is not None and (rebalancing_s is None or rebalancing_s <= limits.rebalance_s)
    value = {"partitions": pulse.partitions, "settled_s_ago": _age(seen.now_s, pulse.assigned_s)}
    return Check("assignment", ok, Needed.READY, value, rebalancing_s, limits.rebalance_s)


def _commit(seen: Snapshot) -> Check:
    return Check("last_commit", ok=True, needed_for=Needed.WELL, age_s=_age(seen.now_s, seen.pulse.committed_s))


def _waiting(seen: Snapshot) -> Check:
    return Check("waiting_for", not seen.away, Needed.READY, dict(seen.away))


def _broker(seen: Snapshot, limits: HealthLimits) -> Check:
    check = _service("broker", seen.broker, seen.now_s, limits)
    joined = seen.pulse.phase not in (Phase.STARTING, Phase.JOINING)  # nobody asks it before
    return check if joined else Check(check.name, ok=True, needed_for=Needed.READY, value=check.value)


def _service(name: str, watch: ServiceWatch, now_s: float, limits: HealthLimits) -> Check:
    age_s = _age(now_s, watch.answered_s)
    failing = watch.failed_s is not None and watch.failed_s > (watch.answered_s or float("-inf"))
    ok = not failing and age_s is not None and age_s <= limits.answer_s
    value = {"code": watch.code, "failed_s_ago": _age(now_s, watch.failed_s)} if watch.code else None
    return Check(name, ok, Needed.READY, value, age_s, limits.answer_s)


def _child(number: int, child: ChildStatus, now_s: float) -> Check:
    """One that died is started again with the next job: worth a look, no reason to take no records."""
    value = {
        "pid": child.pid,
        "warm": child.warm,
        "restarts": child.restarts,
        "resident_bytes": child.resident_bytes,
        "busy": child.busy_since_s is not None,
    }
    return Check(f"child_{number}", child.warm, Needed.WELL, value, _age(now_s, child.busy_since_s), child.deadline_s)


def _disk(seen: Snapshot, limits: HealthLimits) -> Check:
    ok = seen.disk_free_bytes is None or seen.disk_free_bytes >= limits.disk_bytes
    value = {"free_bytes": seen.disk_free_bytes, "largest_job_bytes": limits.disk_bytes}
    return Check("disk", ok, Needed.WELL, value)


def _age(now_s: float, then_s: float | None) -> float | None:
    return None if then_s is None else round(max(0.0, now_s - then_s), 3)
