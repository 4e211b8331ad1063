"""Whom a line is about, and which changes of state are told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import LogCapture
from support.fakes import FakeBroker, FakeSource
from support.house import JOB, House, record_of

from mistudio_worker.errors import ChildFailed
from mistudio_worker.worker.job_log import correlation, log_job
from mistudio_worker.worker.loop import WorkerLoop
from mistudio_worker.worker.stall import StallWatch
from mistudio_worker.worker.steps import Ended, JobEvent, JobState, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_type", b"io.mistudio.training.completed.v1"),
    ("ce_source", b"/test"),
    ("ce_id", b"event-7"),
    ("content-type", b"application/json"),
    ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode()),
]


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """What is logged, as the renderers would get it."""
    before = structlog.get_config()
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture], cache_logger_on_first_use=False)
    yield capture.entries
    structlog.configure(**before)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Its jobs are logged."""
    return House(tmp_path, observers=[log_job])


def audits(lines: list[Any]) -> list[str]:
    """The changes of state, in order."""
    return [line["audit"] for line in lines if "audit" in line]


async def run_in_loop(house: House, *records: bytes, headers: bool = True) -> None:
    """Let the consumer loop take records and commit all of them."""
    broker = FakeBroker()
    for value in records:
        broker.append(value)
        if headers:
            broker.records[0][-1] = record_of(value, offset=len(broker.records[0]) - 1, headers=HEADERS)
    left = len(records)

    def drain_after_the_last(_: JobState, event: JobEvent) -> None:
        nonlocal left
        if isinstance(event, Ended) and event.step is Step.COMMIT:
            left -= 1
            if not left:
                loop.drain()

    observers = [*house.observers, drain_after_the_last]
    source = FakeSource(broker)
    stalls = StallWatch(source, 60.0)
    loop = WorkerLoop(source, house.runner, house.patience, house.slots, stalls, grace_s=1.0, observers=observers)
    await loop.run()


async def test_the_way_of_a_record(house: House, lines: list[Any]) -> None:
    """Each change is told once, in order."""
    await run_in_loop(house, record_of().value or b"")
    assert audits(lines) == [
        "partitions_assigned",
        "taken",
        "attempt_claimed",
        "visible",
        "announced",
        "committed",
        "draining",
        "drained",
    ]


async def test_every_line_of_a_job_says_whose_it_is(house: House, lines: list[Any]) -> None:
    """Also those of the loop and of waits: who waits for which service."""
    house.store.go_away(1, "head")
    await run_in_loop(house, record_of().value or b"")
    of_loop = {"partitions_assigned", "draining", "drained"}
    of_job = [line for line in lines if line.get("audit") not in of_loop]
    place = {"topic": "training-complete", "partition": 0, "offset": 0}
    assert {line["event"] for line in of_job} >= {"service away", "job", "offset committed"}
    for line in of_job:
        assert {name: line[name] for name in place} == place, line
        if line["event"] != "record taken":
            assert (line["trace_id"], line["event_id"], line["job"]) == (TRACE, "event-7", JOB), line
        if line.get("audit") in {"visible", "announced", "committed"}:
            assert (line["attempt"], line["find_job_id"][:5]) == (1, "find_"), line
    assert not [line for line in lines if line.get("audit") in of_loop and "offset" in line]


async def test_two_jobs_do_not_mix(house: House, lines: list[Any]) -> None:
    """Nothing of one is left on the lines of the next."""
    await run_in_loop(house, record_of().value or b"", b"no json")
    second = [line for line in lines if line.get("offset") == 1]
    assert audits(second) == ["taken", "dead_lettered", "committed"]
    assert not [line for line in second if line.get("job") or line.get("find_job_id")]


async def test_a_failed_attempt_is_told(house: House, lines: list[Any]) -> None:
    """With its code, before the next one is claimed."""
    house.analyst.script.append(ChildFailed("CHILD_KILLED", "killed", "look"))
    await house.run()
    assert audits(lines)[:4] == ["taken", "attempt_claimed", "attempt_failed", "attempt_claimed"]
    failed = next(line for line in lines if line.get("audit") == "attempt_failed")
    assert (failed["code"], failed["attempt"]) == ("CHILD_KILLED", 1)


async def test_the_line_of_a_job_has_its_figures(house: House, lines: list[Any]) -> None:
    """Durations by step, bytes, features, and how long the record waited."""
    await house.run()
    line = next(line for line in lines if line["event"] == "job")
    assert line["outcome"] == "completed"
    assert {"read", "fetch", "analyze", "upload", "publish"} <= line["steps_s"].keys()
    assert line["fetched_bytes"] > 0
    assert line["uploaded_bytes"] > 0
    assert line["queued_s"] > 0


def test_what_is_not_known_yet_is_left_out() -> None:
    """The place of the record is always known."""
    assert set(correlation(JobState(record_of()))) == {"topic", "partition", "offset"}


def test_the_page_lists_exactly_the_audit_lines() -> None:
    """A change of state that nobody can look up helps nobody."""
    written = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r'\baudit="(\w+)"', path.read_text(encoding="utf-8"))
    }
    page = (ROOT / "docs" / "reference" / "logs.md").read_text(encoding="utf-8").split("## Audit")[1]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) - {"audit"} == written
