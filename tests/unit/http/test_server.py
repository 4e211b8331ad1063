"""The small server against honest, slow, garbled and greedy clients."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from mistudio_worker.errors import WrongUsage
from mistudio_worker.http import server
from mistudio_worker.http.server import Answer, plain, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
GET = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n"


def page() -> Answer:
    """A page."""
    return plain(HTTPStatus.OK, "the page")


def broken() -> Answer:
    """A page with a defect."""
    raise ZeroDivisionError


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server's."""
    async with serving(HOST, 0, {"/page": page, "/broken": broken}) as found:
        yield found


@asynccontextmanager
async def client(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(port: int, request: bytes) -> tuple[str, bytes]:
    """Send a request; return the status line and the body."""
    async with asyncio.timeout(20), client(port) as (reader, writer):
        writer.write(request)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return head.split(b"\r\n")[0].decode(), body


async def test_a_page_is_answered_and_the_connection_closed(port: int) -> None:
    """A query is passed over; any number of headers within the limit is fine."""
    assert await ask(port, GET) == ("HTTP/1.1 200 OK", b"the page\n")
    many = b"GET /page?a=b HTTP/1.0\r\n" + b"X-Header: value\r\n" * 300 + b"\r\n"
    assert (await ask(port, many))[0] == "HTTP/1.1 200 OK"


async def test_head_has_no_body(port: int) -> None:
    """But the same status."""
    assert await ask(port, GET.replace(b"GET", b"HEAD")) == ("HTTP/1.1 200 OK", b"")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", 404),
        (b"GET /page/../../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"POST /page HTTP/1.1\r\n\r\n", 405),
        (b"GET /broken HTTP/1.1\r\n\r\n", 500),
        (b"garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xff\xfe\r\n\r\n", 400),
        (b"GET /page HTTP/2.0\r\n\r\n", 400),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"x" * 100_000, 431),
    ],
)
async def test_what_is_no_request_for_a_page_is_refused(port: int, request_: bytes, status: int) -> None:
    """With the right status, and the server goes on."""
    assert (await ask(port, request_))[0].split(" ")[1] == str(status)
    assert (await ask(port, GET))[0] == "HTTP/1.1 200 OK"


async def test_a_client_that_goes_away_harms_nobody(port: int) -> None:
    """Whether before or in the middle of its request."""
    for begun in (b"", b"GET /pa"):
        async with client(port) as (_, writer):
            writer.write(begun)
            await writer.drain()
    assert (await ask(port, GET))[0] == "HTTP/1.1 200 OK"


async def test_a_slow_client_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then holds a connection for the limit, and no longer."""
    monkeypatch.setattr(server, "REQUEST_LIMIT_S", 0.05)
    async with asyncio.timeout(20), client(port) as (reader, writer):
        writer.write(b"GET /page HT")
        assert await reader.read() == b""


async def test_greedy_clients_make_room_for_an_honest_one(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All places taken by silent clients: the next request is answered at once, nothing is logged."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(server, "REQUEST_LIMIT_S", 1000)
    greedy = [await asyncio.open_connection(HOST, port) for _ in range(10)]
    try:
        assert (await ask(port, GET))[0] == "HTTP/1.1 200 OK"
        async with asyncio.timeout(20):
            assert await greedy[0][0].read() == b""
    finally:
        for _, writer in greedy:
            writer.transport.abort()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_open_connections_end_with_the_server() -> None:
    """A worker that stops waits for no client."""
    async with asyncio.timeout(20):
        async with serving(HOST, 0, {"/page": page}) as port:
            reader, writer = await asyncio.open_connection(HOST, port)
            assert (await ask(port, GET))[0] == "HTTP/1.1 200 OK"
        assert await reader.read() == b""
        writer.transport.abort()


async def test_a_port_that_is_taken_is_said(port: int) -> None:
    """The message names the place, the hint the setting."""
    with pytest.raises(WrongUsage, match=f"HTTP_UNAVAILABLE.*{HOST}:{port}"):
        async with serving(HOST, port, {}):
            pass
