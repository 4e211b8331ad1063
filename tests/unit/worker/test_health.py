"""What makes a worker stuck, unready or degraded, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mistudio_worker.worker.child_status import ChildStatus
from mistudio_worker.worker.health import HealthLimits, Report, Snapshot, examine
from mistudio_worker.worker.pulse import Phase, Pulse
from mistudio_worker.worker.service_watch import ServiceWatch

NOW_S = 1000.0
LIMITS = HealthLimits(turn_s=100, rebalance_s=60, answer_s=30, lag_s=0.1, disk_bytes=1000)
WELL = Snapshot(
    now_s=NOW_S,
    pulse=Pulse(Phase.WORKING, turned_s=NOW_S - 1, assigned_s=NOW_S - 500, partitions=[0, 2]),
    children=[ChildStatus(7, True, 0, NOW_S - 400, 1, 21_600)],
    store=ServiceWatch(answered_s=NOW_S - 10),
    broker=ServiceWatch(answered_s=NOW_S - 10),
    away={},
    lag_s=0.01,
    disk_free_bytes=2000,
)


def look(**changes: object) -> Report:
    """Examine a worker that is well but for some things."""
    return examine(replace(WELL, **changes), LIMITS)  # type: ignore[arg-type]


def pulse(**changes: object) -> Pulse:
    """A pulse that is well but for some things."""
    return replace(WELL.pulse, **changes)  # type: ignore[arg-type]


def failing(report: Report) -> set[str]:
    """Names of the checks that fail."""
    return {check.name for check in report.checks if not check.ok}


def test_a_worker_in_the_middle_of_a_long_job_is_well() -> None:
    """How long a job takes says nothing about health."""
    report = look()
    assert (report.status, report.live, report.ready, failing(report)) == ("ok", True, True, set())


@pytest.mark.parametrize("phase", [Phase.WORKING, Phase.DRAINING, Phase.STOPPED])
@pytest.mark.parametrize("turned_s", [NOW_S - 100.1, None])
def test_a_loop_that_stands_still_is_stuck(phase: Phase, turned_s: float | None) -> None:
    """A restart helps."""
    report = look(pulse=pulse(phase=phase, turned_s=turned_s))
    assert (report.status, report.live, report.ready) == ("stuck", False, False)
    assert "poll_loop" in failing(report)


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.JOINING])
def test_starting_and_joining_may_take_any_time(phase: Phase) -> None:
    """They wait for store and broker, which no restart brings back."""
    waiting = Pulse(phase)
    report = look(pulse=waiting, broker=ServiceWatch(), away={"BROKER_UNAVAILABLE": "no answer"})
    assert (report.status, report.live, report.ready) == ("unready", True, False)
    assert failing(report) == {"phase", "assignment", "waiting_for"}


def test_a_draining_worker_is_live_and_not_ready() -> None:
    """It takes no records, and is not to be killed for that."""
    report = look(pulse=pulse(phase=Phase.DRAINING))
    assert (report.status, failing(report)) == ("unready", {"phase"})


def test_a_passing_rebalance_changes_nothing() -> None:
    """One within its limit is everyday life."""
    assert look(pulse=pulse(doubted_s=NOW_S - 59)).status == "ok"


def test_a_rebalance_without_an_end_is_not_ready() -> None:
    """But no reason for a restart: the group's coordinator is at fault."""
    report = look(pulse=pulse(doubted_s=NOW_S - 61))
    assert (report.status, failing(report)) == ("unready", {"assignment"})


def test_no_partition_at_all_is_ready() -> None:
    """There may be more workers than partitions."""
    assert look(pulse=pulse(partitions=[])).ready


@pytest.mark.parametrize("service", ["store", "broker"])
@pytest.mark.parametrize(
    "watch",
    [
        ServiceWatch(answered_s=NOW_S - 2, failed_s=NOW_S - 1, code="X"),
        ServiceWatch(failed_s=NOW_S - 1, code="X"),
        ServiceWatch(answered_s=NOW_S - 31),
        ServiceWatch(),
    ],
    ids=["failed since", "never answered", "silent", "never asked"],
)
def test_a_service_that_is_away_makes_unready_not_stuck(service: str, watch: ServiceWatch) -> None:
    """An outage must not kill the pod."""
    report = look(**{service: watch})
    assert (report.status, failing(report)) == ("unready", {service})


def test_a_service_that_answers_again_is_well() -> None:
    """The last word counts."""
    assert look(store=ServiceWatch(answered_s=NOW_S - 1, failed_s=NOW_S - 2, code="X")).status == "ok"


def test_what_a_call_waits_for_makes_unready() -> None:
    """Its codes are shown."""
    report = look(away={"DISK_FULL": "no room"})
    assert (report.status, failing(report)) == ("unready", {"waiting_for"})
    assert {check.name: check.value for check in report.checks}["waiting_for"] == {"DISK_FULL": "no room"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"children": [ChildStatus(None, False, 1, None, 0, 21_600)]}, "child_0"),
        ({"lag_s": 0.11}, "event_loop"),
        ({"disk_free_bytes": 999}, "disk"),
    ],
)
def test_what_deserves_a_look_leaves_the_worker_ready(changes: dict[str, object], name: str) -> None:
    """A child that died is started with the next job; a slow loop and a small disk still work."""
    report = look(**changes)
    assert (report.status, report.ready, failing(report)) == ("degraded", True, {name})


def test_ages_and_limits_are_told() -> None:
    """Each check that has an age says what it may be."""
    found = {check.name: (check.age_s, check.limit_s) for check in look(disk_free_bytes=None).checks}
    assert found["poll_loop"] == (1, 100)
    assert found["store"] == (10, 30)
    assert found["child_0"] == (400, 21_600)
