"""Spans of jobs: who is whose parent, what a poisoned or failed job leaves, and what a collector that is away costs."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id
from support.house import House, record_of

from mistudio_worker.adapters import otel_tracing
from mistudio_worker.adapters.otel_tracing import MAX_CALLS, OtelTracing, otlp_provider
from mistudio_worker.errors import ChildFailed
from mistudio_worker.worker.steps import Begun, JobEvent, JobState, Step

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Spans:
    """What was exported."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = OtelTracing(provider)

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        """Every span that has ended."""
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        """The one span of a name."""
        (span,) = (span for span in self.all if span.name == name)
        return span

    def parents(self) -> dict[str, str | None]:
        """Name -> name of the parent; None where it is not ours."""
        names = {span.context.span_id: span.name for span in self.all}
        return {span.name: names.get(span.parent.span_id) if span.parent else None for span in self.all}


@pytest.fixture
def spans() -> Spans:
    """None yet."""
    return Spans()


@pytest.fixture
def house(tmp_path: Path, spans: Spans) -> House:
    """Its jobs are traced."""
    return House(tmp_path, observers=[spans.tracing])


def traced(flags: str = "01") -> list[tuple[str, bytes]]:
    """Headers of an event that belongs to a trace."""
    return [("traceparent", f"00-{TRACE}-{SPAN}-{flags}".encode())]


def traceparent_of_find_complete(house: House) -> str:
    """What Explain goes on from."""
    return dict(house.completed()[-1].headers)["traceparent"].decode()


async def test_the_trace_goes_from_the_event_to_find_complete(house: House, spans: Spans) -> None:
    """The job's span has the event's as parent, and is the parent of whatever find-complete leads to."""
    await house.run(record_of(headers=traced()))
    root = spans.named("find job")
    assert root.parent is not None
    assert (format_trace_id(root.context.trace_id), format_span_id(root.parent.span_id)) == (TRACE, SPAN)
    assert traceparent_of_find_complete(house) == f"00-{TRACE}-{format_span_id(root.context.span_id)}-01"
    assert {span.context.trace_id for span in spans.all} == {root.context.trace_id}
    assert (root.attributes or {})["mistudio.outcome"] == "completed"


async def test_steps_and_the_child_are_below_the_job(house: House, spans: Spans) -> None:
    """Each once, in its time."""
    await house.run(record_of(headers=traced()))
    parents = spans.parents()
    steps = {"read", "identify", "look_up", "claim", "fetch", "analyze", "upload", "manifest", "publish"}
    assert {name for name, parent in parents.items() if parent == "find job"} == steps
    assert {parent for name, parent in parents.items() if name.startswith("child ")} == {"analyze"}
    root = spans.named("find job")
    for span in spans.all:
        assert (root.start_time or 0) <= (span.start_time or 0) + 1_000_000  # a clock and a duration, rounded
        assert (span.end_time or 0) <= (root.end_time or 0)


async def test_a_trace_begins_here_where_the_event_has_none(house: House, spans: Spans) -> None:
    """find-complete tells of it."""
    await house.run()
    root = spans.named("find job")
    assert root.parent is None
    assert format_trace_id(root.context.trace_id) in traceparent_of_find_complete(house)


async def test_a_trace_that_is_not_sampled_goes_through(house: House, spans: Spans) -> None:
    """A parent that nobody ever sees would cut the trace in two."""
    await house.run(record_of(headers=traced("00")))
    assert spans.all == ()
    assert traceparent_of_find_complete(house) == f"00-{TRACE}-{SPAN}-00"


async def test_without_tracing_the_event_s_goes_through(tmp_path: Path) -> None:
    """As it came."""
    house = House(tmp_path)
    await house.run(record_of(headers=traced()))
    assert traceparent_of_find_complete(house) == f"00-{TRACE}-{SPAN}-01"


async def test_failures_are_told_by_their_codes(house: House, spans: Spans) -> None:
    """Not by their messages, which may quote the input."""
    house.analyst.script.append(ChildFailed("CHILD_KILLED", "quoting the input", "look"))
    await house.run()
    (failed,) = (span for span in spans.all if span.name == "analyze" and span.status.status_code is StatusCode.ERROR)
    assert failed.status.description == "CHILD_KILLED"
    assert len([span for span in spans.all if span.name == "claim"]) == 2


async def test_a_poisoned_record_has_a_span(house: House, spans: Spans) -> None:
    """With the code that it died of."""
    await house.run(record_of(b"no json"))
    root = spans.named("find job")
    assert root.status.description == "EVENT_MALFORMED"
    assert spans.parents() == {"find job": None, "read": "find job", "dead_letter": "find job"}


async def test_store_calls_are_bounded(house: House, spans: Spans) -> None:
    """Each under the step that made it; beyond the number none is told."""

    def call_often(_: JobState, event: JobEvent) -> None:
        if event == Begun(Step.FETCH):
            for _number in range(MAX_CALLS + 5):
                spans.tracing.store_call("head", 0.001, None)

    house.observers = [*house.observers, call_often]
    await house.run()
    spans.tracing.store_call("head", 0.001, None)  # no job's
    calls = [span for span in spans.all if span.name == "store head"]
    assert len(calls) == MAX_CALLS
    assert {span.parent and span.parent.span_id for span in calls} == {spans.named("fetch").context.span_id}


async def test_a_collector_that_is_away_disturbs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs go on, and the end waits for it within the limit."""
    monkeypatch.setattr(otel_tracing, "SHUTDOWN_LIMIT_S", 1.0)
    with closing(socket.socket()) as silent:  # takes connections, and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        tracing = OtelTracing(otlp_provider(f"http://127.0.0.1:{silent.getsockname()[1]}", "test"))
        house = House(tmp_path, observers=[tracing])
        await house.run(record_of(headers=traced()))
        begun_s = time.monotonic()
        await tracing.close()
        assert time.monotonic() - begun_s < 4.0
    assert len(house.completed()) == 1
