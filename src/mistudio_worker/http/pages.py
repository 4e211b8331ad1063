"""What the worker's pages say: /live, /ready, /health."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

import mistudio_worker
from mistudio_worker.http.server import Answer, plain
from mistudio_worker.worker.health import Needed, Report, examine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mistudio_worker.worker.health import Check, HealthLimits, Snapshot

FAILED = HTTPStatus.SERVICE_UNAVAILABLE


def health_pages(
    look: Callable[[], Snapshot], limits: HealthLimits, *, started_s: float
) -> Mapping[str, Callable[[], Answer]]:
    """Return the pages by their paths; `started_s` is on the clock of the snapshots."""

    def live() -> Answer:
        return _short(examine(look(), limits), Needed.LIVE)

    def ready() -> Answer:
        return _short(examine(look(), limits), Needed.LIVE, Needed.READY)

    def health() -> Answer:
        seen = look()
        return _deep(seen, examine(seen, limits), uptime_s=seen.now_s - started_s)

    return {"/live": live, "/ready": ready, "/health": health}


def _short(report: Report, *needed: Needed) -> Answer:
    if failed := report.failed(*needed):
        return plain(FAILED, f"failed: {' '.join(check.name for check in failed)}")
    return plain(HTTPStatus.OK, "ok")


def _deep(seen: Snapshot, report: Report, *, uptime_s: float) -> Answer:
    content = {
        "status": report.status,
        "live": report.live,
        "ready": report.ready,
        "version": mistudio_worker.__version__,
        "uptime_s": round(uptime_s, 3),
        "checks": {check.name: _check(check) for check in report.checks},
        "jobs": list(seen.jobs),
    }
    status = HTTPStatus.OK if report.ready else FAILED
    return Answer(status, "application/json", orjson.dumps(content, option=orjson.OPT_INDENT_2))


def _check(check: Check) -> dict[str, object]:
    found = asdict(check)
    del found["name"]
    return {name: value for name, value in found.items() if value is not None}
