"""`mistudio-worker health` against a server of pages."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from support.background import BackgroundLoop

from mistudio_worker.commands.exit_codes import ExitCode
from mistudio_worker.commands.health import health_command
from mistudio_worker.errors import ServiceAway, WrongUsage
from mistudio_worker.http.pages import health_pages
from mistudio_worker.http.server import Answer, plain, serving
from mistudio_worker.settings import HttpSettings
from mistudio_worker.worker.health import HealthLimits, Snapshot
from mistudio_worker.worker.pulse import Phase, Pulse
from mistudio_worker.worker.service_watch import ServiceWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SETTINGS = HttpSettings(host="0.0.0.0")  # noqa: S104 - as in the image; nothing listens there
LIMITS = HealthLimits(turn_s=100, rebalance_s=60, answer_s=30, lag_s=0.1, disk_bytes=1)


def snapshot(phase: Phase) -> Snapshot:
    """A worker that is well but for its phase."""
    pulse, answered = Pulse(phase, turned_s=9.0, assigned_s=1.0), ServiceWatch(answered_s=9.0)
    return Snapshot(10.0, pulse, [], answered, answered, {}, 0.0, 5, [{"job": "a job"}])


def served(loop: BackgroundLoop, pages: Mapping[str, Callable[[], Answer]]) -> tuple[int, asyncio.Event]:
    """Serve pages until the event is set; returns the port."""
    ended, port = asyncio.Event(), asyncio.Queue[int]()

    async def serve() -> None:
        async with serving("127.0.0.1", 0, pages) as found:
            port.put_nowait(found)
            await ended.wait()

    async def start() -> int:
        asyncio.get_running_loop().create_task(serve())
        return await port.get()

    return loop.call(start()), ended


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    """Where the server runs."""
    with BackgroundLoop() as running:
        yield running


def test_a_well_worker(loop: BackgroundLoop, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, a summary and a line a check."""
    port, _ = served(loop, health_pages(lambda: snapshot(Phase.WORKING), LIMITS, started_s=0.0))
    capsys.readouterr()  # what the server logs
    assert health_command(SETTINGS, "/health", port=port) is ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok: mistudio-worker ")
    assert "ok   poll_loop 1.0 s ago of 100" in lines
    assert "ok   event_loop 0.0 of at most 0.1 s" in lines
    assert not [line for line in lines[1:] if not line.startswith("ok  ")]


def test_a_draining_worker(loop: BackgroundLoop, capsys: pytest.CaptureFixture[str]) -> None:
    """Live, but not ready: each page has its own exit code."""
    port, _ = served(loop, health_pages(lambda: snapshot(Phase.DRAINING), LIMITS, started_s=0.0))
    capsys.readouterr()
    codes = [health_command(SETTINGS, page, port=port) for page in ("/live", "/ready", "/health")]
    assert codes == [ExitCode.DONE, ExitCode.SERVICE_AWAY, ExitCode.SERVICE_AWAY]
    out = capsys.readouterr().out
    assert out.startswith("ok\nfailed: phase\nunready: ")
    assert 'FAIL phase "draining"' in out


def test_nobody_there(loop: BackgroundLoop) -> None:
    """Also one that answers no HTTP."""
    port, ended = served(loop, {"/live": lambda: plain(HTTPStatus.OK)})
    loop.call(_set(ended))
    with pytest.raises(ServiceAway, match="WORKER_UNREACHABLE"):
        health_command(SETTINGS, "/live", port=port)


@pytest.mark.parametrize("text", ["<html>", "[]", "{}", '{"status": "ok", "version": 1, "uptime_s": null}'])
def test_another_program_there(loop: BackgroundLoop, text: str) -> None:
    """What is no worker's page is no defect of the command."""
    port, _ = served(loop, {"/health": lambda: plain(HTTPStatus.OK, text)})
    with pytest.raises(ServiceAway, match=r"WORKER_UNREACHABLE.*what answers there is none"):
        health_command(SETTINGS, "/health", port=port)


def test_a_port_that_the_worker_chose_must_be_given() -> None:
    """The message says where it stands."""
    with pytest.raises(WrongUsage, match=r"MISTUDIO_HTTP__PORT is 0"):
        health_command(HttpSettings(port=0), "/live", port=None)


async def _set(event: asyncio.Event) -> None:
    event.set()
    await asyncio.sleep(0.05)
