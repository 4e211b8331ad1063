"""Spans of jobs, by OpenTelemetry: from the event's `traceparent` to that of find-complete.

- `find job`: from taking the record on; its parent is the event's span
  - `read`, `identify`, ...: each step, the commit included
    - `store head`, ...: calls of the store within the step, a bounded number a job
    - `child decode`, ...: within `analyze`, what the child was seen to do
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, format_span_id, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import mistudio_worker
from mistudio_worker.errors import MistudioError
from mistudio_worker.worker.analysis_request import Progress
from mistudio_worker.worker.steps import Begun, Ended, Finished, Step, Taken

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from mistudio_worker.worker.steps import JobEvent, JobState

EXPORT_TIMEOUT_S = 5.0
SHUTDOWN_LIMIT_S = 5.0
MAX_CALLS = 200
"""Spans of store calls a job: a job with very many of them is told by its steps."""
_PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(slots=True)
class _Trace:
    """A running job's spans; times in nanoseconds since 1970.

    Attributes:
        taken_ns: when its record was taken.
        root: None until the event is read.
        steps: open ones, the innermost last.
        child: what the child is doing.
        calls: spans of store calls so far.
    """

    taken_ns: int
    root: Span | None = None
    steps: dict[Step, Span] = field(default_factory=dict)
    child: tuple[str, Span] | None = None
    calls: int = 0


def otlp_provider(endpoint: str, service_name: str) -> TracerProvider:
    """Build a provider that sends spans to a collector, beside the jobs and without waiting for it."""
    resource = Resource.create({"service.name": service_name, "service.version": mistudio_worker.__version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class OtelTracing:
    """An observer of jobs and of store calls.

    Args:
        provider: takes the spans.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("mistudio_worker", mistudio_worker.__version__)
        self._of_this_task: ContextVar[_Trace | None] = ContextVar("trace", default=None)

    def __call__(self, state: JobState, event: JobEvent) -> None:
        """See `JobObserver`: a job's own task tells all of it but the commit."""
        if isinstance(event, Taken):
            self._of_this_task.set(_Trace(time.time_ns()))
        elif isinstance(event, Ended) and event.step is Step.COMMIT:
            self._past(event.step.value, event.duration_s, event.error, _context(state.traceparent))
        elif (trace := self._of_this_task.get()) is not None:
            self._observe(trace, state, event)

    def store_call(self, name: str, duration_s: float, error: BaseException | None) -> None:
        """Take in one call of the store, under the step that made it."""
        trace = self._of_this_task.get()
        if trace is not None and trace.steps and trace.calls < MAX_CALLS:
            trace.calls += 1
            self._past(f"store {name}", duration_s, error, set_span_in_context(list(trace.steps.values())[-1]))

    async def close(self) -> None:
        """Send what is left, within a limit: a collector that is away must not keep the worker."""
        thread = threading.Thread(target=self._provider.shutdown, daemon=True, name="traces-out")
        thread.start()
        await asyncio.to_thread(thread.join, SHUTDOWN_LIMIT_S)

    def _observe(self, trace: _Trace, state: JobState, event: JobEvent) -> None:
        match event:
            case Ended(Step.READ, duration_s, error):
                self._read(trace, state, duration_s, error)
            case Begun(step) if trace.root is not None and step is not Step.READ:
                parent = set_span_in_context(trace.root)
                trace.steps[step] = self._tracer.start_span(step.value, parent)
            case Progress():
                self._follow_child(trace, event.step)
            case Ended(step, _, error) if (span := trace.steps.pop(step, None)) is not None:
                self._leave_child(trace)
                _end(span, error)
            case Finished():
                _finish(trace, state)
                self._of_this_task.set(None)
            case _:
                pass

    def _read(self, trace: _Trace, state: JobState, duration_s: float, error: BaseException | None) -> None:
        """Begin the job's span, now that its parent is known; what the job publishes goes on from it."""
        if trace.root is None:
            record = state.record
            attributes: dict[str, AttributeValue] = {
                "messaging.system": "kafka",
                "messaging.destination.name": record.topic,
                "messaging.destination.partition.id": str(record.partition),
                "messaging.kafka.offset": record.offset,
            }
            trace.root = self._tracer.start_span(
                "find job", _context(state.traceparent), SpanKind.CONSUMER, attributes, start_time=trace.taken_ns
            )
        if trace.root.is_recording():  # a trace that is not sampled goes through as it came
            state.traceparent = _traceparent(trace.root)
        self._past(Step.READ.value, duration_s, error, set_span_in_context(trace.root))

    def _follow_child(self, trace: _Trace, doing: str) -> None:
        if Step.ANALYZE not in trace.steps or (trace.child is not None and trace.child[0] == doing):
            return
        self._leave_child(trace)
        parent = set_span_in_context(trace.steps[Step.ANALYZE])
        trace.child = (doing, self._tracer.start_span(f"child {doing}", parent))

    @staticmethod
    def _leave_child(trace: _Trace) -> None:
        if trace.child is not None:
            trace.child[1].end()
            trace.child = None

    def _past(self, name: str, duration_s: float, error: BaseException | None, parent: Context) -> None:
        """Tell of something that is over."""
        begun_ns = time.time_ns() - int(duration_s * 1e9)
        _end(self._tracer.start_span(name, parent, start_time=begun_ns), error)


def _finish(trace: _Trace, state: JobState) -> None:
    if trace.root is None:
        return
    for span in trace.steps.values():
        span.end()
    told = {
        "mistudio.job": state.job,
        "mistudio.find_job_id": state.find_job_id,
        "mistudio.attempt": state.attempt,
        "mistudio.outcome": state.outcome,
        "mistudio.code": state.code,
    }
    trace.root.set_attributes({name: value for name, value in told.items() if value is not None})
    if state.code is not None:
        trace.root.set_status(Status(StatusCode.ERROR, state.code))
    trace.root.end()


def _end(span: Span, error: BaseException | None) -> None:
    """End a span; an error is told by its code or class, since a message may quote the input."""
    if error is not None:
        code = error.code if isinstance(error, MistudioError) else type(error).__name__
        span.set_status(Status(StatusCode.ERROR, code))
    span.end()


def _context(traceparent: str | None) -> Context:
    return _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {})


def _traceparent(span: Span) -> str:
    context = span.get_span_context()
    return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{context.trace_flags:02x}"
