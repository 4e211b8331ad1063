"""A whole job's trace as a collector gets it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from support.collector import Collector
from support.workers import PARENT, Place, Worker

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.stack import EmbeddedStack
    from support.background import BackgroundLoop
    from support.services import Services


def test_a_job_is_one_trace(
    services: Services, background: BackgroundLoop, stack: EmbeddedStack, example_run: Path, tmp_path: Path
) -> None:
    """From the event through steps, store and child to find-complete, and all of it is sent before the worker ends."""
    with contextlib.closing(Place(services, background)) as place, Collector() as collector:
        environment = {**place.environment, "MISTUDIO_TRACING__ENDPOINT": collector.endpoint}
        with Worker(environment, tmp_path / "worker", stack.running_keeper()) as worker:
            worker.wait_ready()
            job = place.put_run(example_run)
            place.announce(job)
            found = place.wait_for_result(job)
            line = worker.wait_for_lines(job)[0]
            place.wait_until_committed()
            assert worker.stop() == 0
        spans = [span for span in collector.spans if span.trace_id.hex() == PARENT.split("-")[1]]
    (root,) = (span for span in spans if span.name == "find job")
    assert root.parent_span_id.hex() == PARENT.split("-")[2]
    assert found.header("traceparent") == f"00-{root.trace_id.hex()}-{root.span_id.hex()}-01"
    assert line["trace_id"] == root.trace_id.hex()
    names = {span.span_id: span.name for span in spans}
    tree = {(names.get(span.parent_span_id), span.name) for span in spans}
    assert tree >= {
        ("find job", "read"),
        ("find job", "commit"),
        ("identify", "store head"),
        ("fetch", "store download"),
        ("upload", "store upload"),
        ("analyze", "child decode"),
        ("analyze", "child export"),
    }
