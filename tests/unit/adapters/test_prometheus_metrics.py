"""What jobs and the worker leave in the metrics, and that the page of the docs says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.house import House, record_of

from mistudio_worker.adapters.prometheus_metrics import MOST_CODES, OUTCOMES, PrometheusMetrics
from mistudio_worker.errors import ChildFailed
from mistudio_worker.worker.child_status import ChildStatus
from mistudio_worker.worker.health import HealthLimits, Snapshot
from mistudio_worker.worker.pulse import Phase, Pulse
from mistudio_worker.worker.service_watch import ServiceWatch
from mistudio_worker.worker.steps import Finished, JobState, Taken

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[3]
LIMITS = HealthLimits(turn_s=100, rebalance_s=60, answer_s=30, lag_s=0.1, disk_bytes=1)
ANSWERED = ServiceWatch(answered_s=9.0)


def snapshot(away: Mapping[str, str], backlog: Mapping[int, int]) -> Snapshot:
    """A worker that is well but for what it waits for."""
    pulse = Pulse(Phase.WORKING, turned_s=9.0, assigned_s=1.0)
    children = [ChildStatus(7, True, 2, None, 1000, 60.0)]
    return Snapshot(10.0, pulse, children, ANSWERED, ANSWERED, away, 0.02, 5, [], backlog)


def samples(metrics: PrometheusMetrics, seen: Snapshot | None = None) -> dict[str, float]:
    """Every sample of the page, by its name and labels."""
    page = metrics.page(seen or snapshot({}, {}), LIMITS).decode()
    return {
        " ".join([s.name, *(f"{name}={value}" for name, value in sorted(s.labels.items()))]): s.value
        for family in text_string_to_metric_families(page)
        for s in family.samples
    }


@pytest.fixture
def metrics() -> PrometheusMetrics:
    """Nothing counted yet."""
    return PrometheusMetrics("1.2.3")


@pytest.fixture
def house(tmp_path: Path, metrics: PrometheusMetrics) -> House:
    """Its jobs are counted."""
    return House(tmp_path, observers=[metrics])


async def test_a_job_is_counted(house: House, metrics: PrometheusMetrics) -> None:
    """By outcome, with its steps, attempts, features and bytes."""
    await house.run()
    found = samples(metrics)
    assert found["mistudio_jobs_total outcome=completed"] == 1
    assert found["mistudio_job_duration_seconds_count outcome=completed"] == 1
    assert found["mistudio_attempts_total"] == 1
    assert found["mistudio_running_jobs"] == 0
    assert {name for name in found if name.startswith("mistudio_step_duration_seconds_count")} == {
        f"mistudio_step_duration_seconds_count step={step}"
        for step in (
            "analyze",
            "claim",
            "fetch",
            "identify",
            "look_up",
            "manifest",
            "publish",
            "read",
            "upload",
        )
    }
    assert found["mistudio_features_total"] == house.manifests()[0].counts.features
    assert found["mistudio_fetched_bytes_total"] == sum(i.size for i in house.manifests()[0].inputs)
    assert found["mistudio_uploaded_bytes_total"] == sum(e.size for e in house.manifests()[0].exports)


def test_every_outcome_begins_at_zero(metrics: PrometheusMetrics) -> None:
    """An alert on the increase would not see the first one otherwise; the page lists the same outcomes."""
    found = samples(metrics)
    assert {outcome: found[f"mistudio_jobs_total outcome={outcome}"] for outcome in OUTCOMES} == dict.fromkeys(
        OUTCOMES, 0
    )
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert "jobs by outcome: " + ", ".join(f"`{outcome}`" for outcome in OUTCOMES) in page


async def test_failures_are_counted_by_code(house: House, metrics: PrometheusMetrics) -> None:
    """Attempts that failed apart from jobs that did."""
    house.analyst.script.append(ChildFailed("CHILD_KILLED", "killed", "look"))
    await house.run()
    await house.run(record_of(b"no json", offset=1))
    found = samples(metrics)
    assert found["mistudio_failed_attempts_total code=CHILD_KILLED"] == 1
    assert found["mistudio_dead_letters_total code=EVENT_MALFORMED"] == 1
    assert found["mistudio_jobs_total outcome=dead-lettered"] == 1


def test_labels_are_bounded(metrics: PrometheusMetrics) -> None:
    """Should a code come from outside, it is `other`; so are codes beyond a number that no source has."""
    invented = ["", "lower", "WITH SPACE", "X" * 60]
    many = [f"CODE_{'A' * (i // 26 + 1)}{chr(65 + i % 26)}" for i in range(MOST_CODES + 5)]
    for code in [*many, *invented]:
        state = JobState(record_of(), outcome="dead-lettered", code=code)
        metrics(state, Taken())
        metrics(state, Finished())
    codes = {name for name in samples(metrics) if name.startswith("mistudio_dead_letters_total")}
    assert len(codes) == MOST_CODES + 1
    assert samples(metrics)["mistudio_dead_letters_total code=other"] == 5 + len(invented)


def test_what_is_seen_of_the_worker(metrics: PrometheusMetrics) -> None:
    """It is that of the moment: what is over is gone."""
    found = samples(metrics, snapshot({"STORE_UNAVAILABLE": "no answer"}, {0: 3}))
    assert found["mistudio_waiting code=STORE_UNAVAILABLE"] == 1
    assert found["mistudio_backlog_records partition=0"] == 3
    assert (found["mistudio_live"], found["mistudio_ready"]) == (1, 0)
    assert found["mistudio_child_restarts child=0"] == 2
    found = samples(metrics)
    assert (found["mistudio_live"], found["mistudio_ready"]) == (1, 1)
    assert not {name for name in found if name.startswith(("mistudio_waiting", "mistudio_backlog"))}


def test_two_registries_do_not_meet() -> None:
    """Nothing is global: two workers in one process count apart."""
    PrometheusMetrics("1")
    PrometheusMetrics("1")


def documented() -> dict[str, str]:
    """Metric -> type, from the page."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(mistudio_\w+)` \| (\w+) \|", page, re.MULTILINE))


def test_the_page_lists_exactly_the_metrics(metrics: PrometheusMetrics) -> None:
    """Each with its type."""
    page = metrics.page(snapshot({}, {}), LIMITS).decode()
    types = dict(re.findall(r"^# TYPE (mistudio_\w+) (\w+)", page, re.MULTILINE))
    assert documented() == {name: kind for name, kind in types.items() if not name.endswith("_created")}


def test_the_alert_rules_ask_for_metrics_that_exist() -> None:
    """And each says what to do."""
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    for rule in rules:
        asked = set(re.findall(r"mistudio_\w+", rule["expr"]))
        assert asked, rule["alert"]
        assert asked <= documented().keys(), rule["alert"]
        assert rule["annotations"]["action"]
