"""A small HTTP server in the worker's own event loop: GET of a few pages, one request a connection.

It reads a request's head and nothing else, within limits of size, time and number, so that neither garbage nor a
slow client costs the worker more than a closed socket.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from mistudio_worker.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

log = structlog.get_logger(__name__)
HEAD_MAX_BYTES = 8192
REQUEST_LIMIT_S = 5.0
MAX_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page says."""

    status: HTTPStatus
    content_type: str
    body: bytes


def plain(status: HTTPStatus, text: str = "") -> Answer:
    """Return an answer of one line."""
    return Answer(status, "text/plain; charset=utf-8", f"{text or status.phrase}\n".encode())


@asynccontextmanager
async def serving(host: str, port: int, pages: Mapping[str, Callable[[], Answer]]) -> AsyncIterator[int]:
    """Serve pages, each under its path, for as long as the block; yields the port.

    Raises:
        WrongUsage: `HTTP_UNAVAILABLE`, the place is taken or not ours.
    """
    connections = _Connections(pages)
    try:
        server = await asyncio.start_server(connections.serve, host, port, limit=HEAD_MAX_BYTES)
    except OSError as error:
        raise WrongUsage(
            "HTTP_UNAVAILABLE",
            f"the health server cannot listen on {host}:{port}: {error.strerror}",
            "name another MISTUDIO_HTTP__PORT (0 for a free one) or __HOST, or set MISTUDIO_HTTP__ENABLED=false",
        ) from error
    try:
        found: int = server.sockets[0].getsockname()[1]
        log.info("http listening", host=host, port=found)
        yield found
    finally:
        server.close()
        await connections.end()


class _Connections:
    """Open connections; where there are `MAX_CONNECTIONS`, the oldest makes room: an honest one takes milliseconds."""

    def __init__(self, pages: Mapping[str, Callable[[], Answer]]) -> None:
        self._pages = pages
        self._open: dict[asyncio.Task[None], asyncio.WriteTransport] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        task = asyncio.current_task()
        if len(self._open) >= MAX_CONNECTIONS:
            self._open.pop(next(iter(self._open))).abort()  # no cancelling: asyncio would log that as an error
        if task is not None:
            self._open[task] = writer.transport
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                writer.write(await self._reply(reader))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client is slow or gone; it is its own loss
        finally:
            if task is not None:
                self._open.pop(task, None)
            writer.transport.abort()

    async def end(self) -> None:
        """Close all of them."""
        for transport in self._open.values():
            transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _encode(plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE), with_body=True)
        method, answer = self._answer(head)
        return _encode(answer, with_body=method != "HEAD")

    def _answer(self, head: bytes) -> tuple[str, Answer]:
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return "", plain(HTTPStatus.BAD_REQUEST)
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            return method, plain(HTTPStatus.METHOD_NOT_ALLOWED)
        page = self._pages.get(target.split("?", 1)[0])
        if page is None:
            return method, plain(HTTPStatus.NOT_FOUND, f"pages: {' '.join(sorted(self._pages))}")
        try:
            return method, page()
        except Exception:  # a defect of a page ends neither the server nor the worker
            log.exception("a page failed", path=target[:100])
            return method, plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def _encode(answer: Answer, *, with_body: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    return "\r\n".join([*lines, "", ""]).encode() + (answer.body if with_body else b"")
