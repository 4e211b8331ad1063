"""The composition root's part for what the worker shows of itself."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from mistudio_worker.adapters.prometheus_metrics import CONTENT_TYPE, PrometheusMetrics
from mistudio_worker.analysis.version import ANALYSIS_VERSION
from mistudio_worker.errors import WrongUsage
from mistudio_worker.http.pages import health_pages
from mistudio_worker.http.server import Answer, serving
from mistudio_worker.worker.health import HealthLimits, Snapshot
from mistudio_worker.worker.job_log import log_job
from mistudio_worker.worker.loop_lag import LoopLag
from mistudio_worker.worker.observed_store import ObservedStore
from mistudio_worker.worker.probe import Probe
from mistudio_worker.worker.service_watch import ServiceWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mistudio_worker.adapters.otel_tracing import OtelTracing
    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.child import ChildPool
    from mistudio_worker.worker.loop import WorkerLoop
    from mistudio_worker.worker.patience import Patience
    from mistudio_worker.worker.ports import ObjectStore, RecordSource
    from mistudio_worker.worker.steps import JobObserver, JobState

LOOP_LAG_LIMIT_S = 0.1
PROBES_MISSED = 3
"""A service that gave no answer for as long as so many probes is away: they hang."""


class Telemetry:
    """Sees all that a worker does, and shows it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started_s = time.monotonic()
        self._store, self._broker = ServiceWatch(), ServiceWatch()
        self._metrics = PrometheusMetrics(ANALYSIS_VERSION)
        self._tracing = _open_tracing(settings)
        self._lag = LoopLag(self._metrics.loop_lag)

    @property
    def observers(self) -> Sequence[JobObserver]:
        """Who is to be told of every job."""
        tracing = [] if self._tracing is None else [self._tracing]  # first: the log names the trace that it begins
        return [*tracing, log_job, self._metrics]

    def watched(self, store: ObjectStore) -> ObservedStore:
        """Return the same store, watched."""
        tracing = [] if self._tracing is None else [self._tracing.store_call]
        return ObservedStore(store, self._store, [*tracing, self._metrics.store_call])

    async def close(self) -> None:
        """Send what is not sent yet."""
        if self._tracing is not None:
            await self._tracing.close()

    @asynccontextmanager
    async def showing(
        self,
        *,
        store: ObjectStore,
        source: RecordSource,
        loop: WorkerLoop,
        patience: Patience,
        children: ChildPool,
    ) -> AsyncIterator[None]:
        """Look at the worker and serve its pages for as long as the block.

        Raises:
            WrongUsage: `HTTP_UNAVAILABLE`.
        """
        if not self._settings.http.enabled:
            yield
            return
        probe = Probe(
            store=store,
            bucket=self._settings.store.results_bucket,
            source=source,
            broker=self._broker,
            pulse=loop.pulse,
            work_dir=self._settings.job.work_dir,
        )

        def look() -> Snapshot:
            now_s = time.monotonic()
            return Snapshot(
                now_s=now_s,
                pulse=loop.pulse,
                children=children.status(),
                store=self._store,
                broker=self._broker,
                away=patience.away,
                lag_s=self._lag.largest_s(now_s),
                disk_free_bytes=probe.disk_free_bytes,
                jobs=[_shown(state) for state in loop.running],
                backlog=probe.backlog,
            )

        def metrics() -> Answer:
            return Answer(HTTPStatus.OK, CONTENT_TYPE, self._metrics.page(look(), limits))

        http, limits = self._settings.http, health_limits(self._settings)
        pages = health_pages(look, limits, started_s=self._started_s)
        async with serving(http.host, http.port, {**pages, "/metrics": metrics}):
            looking = [asyncio.create_task(self._lag.run()), asyncio.create_task(probe.run(http.probe_interval_s))]
            try:
                yield
            finally:
                for task in looking:
                    task.cancel()
                await asyncio.gather(*looking, return_exceptions=True)


def _open_tracing(settings: Settings) -> OtelTracing | None:
    if settings.tracing.endpoint is None:
        return None
    try:
        from mistudio_worker.adapters.otel_tracing import OtelTracing, otlp_provider  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise WrongUsage(
            "TRACING_NOT_INSTALLED",
            f"MISTUDIO_TRACING__ENDPOINT is set, but there is no module {error.name!r}",
            "install the extra: pip install 'mistudio-worker[otel]'; or leave the endpoint out",
        ) from None
    return OtelTracing(otlp_provider(settings.tracing.endpoint, settings.tracing.service_name))


def health_limits(settings: Settings) -> HealthLimits:
    """Return when something is too old: beyond the longest that the settings let it take."""
    kafka = settings.kafka
    commit_s, watchdog_s = kafka.commit_timeout_s, kafka.max_poll_interval_ms / 1000
    return HealthLimits(
        turn_s=2 * (watchdog_s + commit_s),  # a turn waits for two answers at most, and giving back for some more
        rebalance_s=(kafka.rebalance_timeout_ms + kafka.session_timeout_ms) / 1000,
        answer_s=PROBES_MISSED * settings.http.probe_interval_s,
        lag_s=LOOP_LAG_LIMIT_S,
        disk_bytes=settings.job.disk_bytes,
    )


def _shown(state: JobState) -> dict[str, object]:
    place = {name: getattr(state.record, name) for name in ("topic", "partition", "offset")}
    told = {"job": state.job, "find_job_id": state.find_job_id, "attempt": state.attempt, "step": state.doing}
    return {**place, **told, "age_s": round(state.age_s, 3)}
