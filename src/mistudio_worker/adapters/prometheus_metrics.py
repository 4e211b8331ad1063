"""What the worker counts and measures, as Prometheus reads it. Names and meanings: docs/reference/metrics.md."""

from __future__ import annotations

import platform
import re
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

import mistudio_worker
from mistudio_worker.errors import ChildFailed, ServiceAway
from mistudio_worker.worker.health import examine
from mistudio_worker.worker.steps import Begun, Ended, Finished, Step, Taken

if TYPE_CHECKING:
    from mistudio_worker.worker.health import HealthLimits, Snapshot
    from mistudio_worker.worker.steps import JobEvent, JobState

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
JOB_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600)
STEP_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
MOST_CODES = 100
OUTCOMES = ("completed", "partial", "dead-lettered", "given back")
_CODE = re.compile(r"[A-Z][A-Z_]{0,47}")


class PrometheusMetrics:
    """An observer of jobs with a registry of its own.

    Args:
        analysis_version: told as part of the build.
    """

    def __init__(self, analysis_version: str) -> None:
        self.registry = registry = CollectorRegistry()
        self._codes: set[str] = set()
        ProcessCollector(registry=registry)
        build = Info("mistudio_build", "What runs here.", registry=registry)
        versions = {"version": mistudio_worker.__version__, "analysis": analysis_version}
        build.info({**versions, "python": platform.python_version()})
        self._jobs = JobMetrics(registry)
        self._worker = WorkerMetrics(registry)

    def __call__(self, state: JobState, event: JobEvent) -> None:
        """See `JobObserver`."""
        jobs = self._jobs
        match event:
            case Taken():
                jobs.running.inc()
            case Begun():
                pass
            case Ended(step, duration_s, error):
                jobs.step_s.labels(step=step.value).observe(duration_s)
                if step is Step.CLAIM and error is None:
                    jobs.attempts.inc()
                if isinstance(error, ChildFailed):
                    jobs.failed_attempts.labels(code=self._bounded(error.code)).inc()
            case Finished():
                self._finish(state)

    def loop_lag(self, lag_s: float) -> None:
        """Take in one measurement of the event loop."""
        self._worker.loop_lag_s.observe(lag_s)

    def store_call(self, name: str, duration_s: float, error: BaseException | None) -> None:
        """Take in one call of the store."""
        outcome = "ok" if error is None else "away" if isinstance(error, ServiceAway) else "error"
        self._worker.store_call_s.labels(call=name, outcome=outcome).observe(duration_s)

    def page(self, seen: Snapshot, limits: HealthLimits) -> bytes:
        """Return everything as text, with what is seen of the worker now."""
        self._worker.show(seen, limits)
        return generate_latest(self.registry)

    def _finish(self, state: JobState) -> None:
        jobs, figures = self._jobs, state.figures
        jobs.running.dec()
        jobs.outcomes.labels(outcome=state.outcome).inc()
        jobs.duration_s.labels(outcome=state.outcome).observe(state.age_s)
        if state.code is not None:
            jobs.dead_letters.labels(code=self._bounded(state.code)).inc()
        jobs.features.inc(figures.features)
        jobs.fetched_bytes.inc(figures.fetched_bytes)
        jobs.uploaded_bytes.inc(figures.uploaded_bytes)
        for step, seconds in figures.child_s.items():
            jobs.child_step_s.labels(step=step).observe(seconds)
        if figures.peak_memory_bytes:
            jobs.peak_bytes.set(figures.peak_memory_bytes)
            jobs.peak_device_bytes.set(figures.peak_device_bytes)

    def _bounded(self, code: str) -> str:
        """Codes stand in the source, so they are few; should one ever come from elsewhere, it is `other`."""
        if code not in self._codes and (len(self._codes) >= MOST_CODES or not _CODE.fullmatch(code)):
            return "other"
        self._codes.add(code)
        return code


class JobMetrics:
    """What jobs do."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"mistudio_{name}", meaning, labels, registry=registry)

        def histogram(name: str, meaning: str, label: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"mistudio_{name}", meaning, (label,), buckets=buckets, registry=registry)

        self.outcomes = counter("jobs", "Jobs by outcome.", "outcome")
        for outcome in OUTCOMES:  # Prometheus sees an increase only of what it saw before
            self.outcomes.labels(outcome=outcome)
        self.duration_s = histogram("job_duration_seconds", "From taking a record on.", "outcome", JOB_BUCKETS_S)
        self.step_s = histogram("step_duration_seconds", "Steps of jobs.", "step", STEP_BUCKETS_S)
        self.child_step_s = histogram("child_step_duration_seconds", "Steps in the child.", "step", STEP_BUCKETS_S)
        self.dead_letters = counter("dead_letters", "Dead letters by error code.", "code")
        self.attempts = counter("attempts", "Attempts that were claimed.")
        self.failed_attempts = counter("failed_attempts", "Attempts whose child failed, by error code.", "code")
        self.features = counter("features", "Features analysed.")
        self.fetched_bytes = counter("fetched_bytes", "Bytes of artifacts fetched.")
        self.uploaded_bytes = counter("uploaded_bytes", "Bytes of exports uploaded.")
        self.running = Gauge("mistudio_running_jobs", "Jobs under way.", registry=registry)
        self.peak_bytes = Gauge("mistudio_job_peak_memory_bytes", "Peak of the child, last job.", registry=registry)
        self.peak_device_bytes = Gauge(
            "mistudio_job_peak_device_memory_bytes", "Peak of the GPU's memory, last job.", registry=registry
        )


class WorkerMetrics:
    """What is seen of the worker whenever it is asked."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"mistudio_{name}", meaning, labels, registry=registry)

        self.loop_lag_s = Histogram(
            "mistudio_event_loop_lag_seconds",
            "How long the event loop kept a timer waiting.",
            buckets=LAG_BUCKETS_S,
            registry=registry,
        )
        self.store_call_s = Histogram(
            "mistudio_store_call_duration_seconds",
            "Calls of the store.",
            ("call", "outcome"),
            buckets=STEP_BUCKETS_S,
            registry=registry,
        )
        self._lag_max_s = gauge("event_loop_lag_max_seconds", "The longest of the last minute.")
        self._live = gauge("live", "1 where /live answers 200.")
        self._ready = gauge("ready", "1 where /ready answers 200.")
        self._checks = gauge("check_ok", "1 where a check of /health holds.", "check")
        self._waiting = gauge("waiting", "1 while a call waits for a service.", "code")
        self._poll_age_s = gauge("poll_age_seconds", "Since the consumer loop's last turn.")
        self._backlog = gauge("backlog_records", "Records that are not committed.", "partition")
        self._child_bytes = gauge("child_resident_memory_bytes", "Memory of a child.", "child")
        self._child_restarts = gauge("child_restarts", "Processes after the first.", "child")
        self._disk_free_bytes = gauge("disk_free_bytes", "Room in the work folder.")

    def show(self, seen: Snapshot, limits: HealthLimits) -> None:
        """Set what is not counted but looked at; labels that are gone are forgotten."""
        report = examine(seen, limits)
        for gauge in (self._waiting, self._backlog):
            gauge.clear()
        for code in seen.away:
            self._waiting.labels(code=code).set(1)
        for partition, records in seen.backlog.items():
            self._backlog.labels(partition=partition).set(records)
        for check in report.checks:
            self._checks.labels(check=check.name).set(check.ok)
        for number, child in enumerate(seen.children):
            self._child_bytes.labels(child=number).set(child.resident_bytes)
            self._child_restarts.labels(child=number).set(child.restarts)
        self._lag_max_s.set(seen.lag_s)
        self._live.set(report.live)
        self._ready.set(report.ready)
        self._poll_age_s.set(max(0.0, seen.now_s - (seen.pulse.turned_s or seen.now_s)))
        self._disk_free_bytes.set(seen.disk_free_bytes or 0)
