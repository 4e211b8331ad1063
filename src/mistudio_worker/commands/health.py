"""`mistudio-worker health`: ask a running worker's own pages, as a container's health check does."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

import orjson
import typer

from mistudio_worker.commands.exit_codes import ExitCode
from mistudio_worker.errors import ServiceAway, WrongUsage

if TYPE_CHECKING:
    from mistudio_worker.settings import HttpSettings

LIMIT_S = 5.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not listened on


def health_command(settings: HttpSettings, page: str, *, port: int | None) -> ExitCode:
    """Show a page; done where it says that all is well.

    Raises:
        WrongUsage: `INVALID_SETTING`, the port cannot be known.
        ServiceAway: `WORKER_UNREACHABLE`, no worker answers there.
    """
    port = port or settings.port
    if port == 0:
        raise WrongUsage(
            "INVALID_SETTING",
            "MISTUDIO_HTTP__PORT is 0, so the worker chose a port by itself",
            "give --port as the worker's log names it in the line `http listening`",
        )
    host = _ANY_ADDRESS.get(settings.host, settings.host)
    status, body = _get(host, port, page)
    try:
        lines = _report(body) if page == "/health" else [body.decode("utf-8", "replace").strip()]
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise _unreachable(host, port, page, "what answers there is none") from error
    for line in lines:
        typer.echo(line)
    return ExitCode.DONE if status == http.HTTPStatus.OK else ExitCode.SERVICE_AWAY


def _get(host: str, port: int, page: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=LIMIT_S)
    try:
        connection.request("GET", page)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(host, port, page, type(error).__name__) from error
    finally:
        connection.close()


def _unreachable(host: str, port: int, page: str, why: str) -> ServiceAway:
    return ServiceAway(
        "WORKER_UNREACHABLE",
        f"no worker answers on http://{host}:{port}{page} ({why})",
        "check that it runs, and that MISTUDIO_HTTP__HOST and __PORT are the worker's own",
    )


def _report(body: bytes) -> list[str]:
    """Return the deep page as lines: a summary, then one a check."""
    found = orjson.loads(body)
    lines = [f"{found['status']}: mistudio-worker {found['version']}, up {found['uptime_s']:.0f} s"]
    for name, check in found["checks"].items():
        parts = ["ok  " if check["ok"] else "FAIL", name]
        if "age_s" in check:
            parts.append(f"{check['age_s']:.1f} s ago" + (f" of {check['limit_s']:.0f}" if "limit_s" in check else ""))
        if "value" in check:
            parts.append(orjson.dumps(check["value"]).decode())
        if "limit_s" in check and "age_s" not in check:
            parts.append(f"of at most {check['limit_s']:g} s")
        lines.append(" ".join(parts))
    return lines
