"""An HTTP front before a real S3 server that lets chosen requests go wrong; all others pass as they are.

    with FaultyFront("127.0.0.1:8333") as front:
        front.inject(answered(503, "SlowDown"), method="GET", path="/bucket/key", times=2)
        ...  # a client of `front.address`

Signed requests hold: the front passes the Host header on as the client has sent it.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Request:
    """What a client asks for."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What goes back.

    Attributes:
        status: of HTTP.
        headers: as the store gave them; the length of the body among them, true or not.
        body: whole.
        cut_at: bytes of the body after which the connection is reset; None for all of them and no reset.
        block_bytes: what is sent at a time; 0 for all of it.
        pause_s: between two blocks.
    """

    status: int
    headers: dict[str, str]
    body: bytes = b""
    cut_at: int | None = None
    block_bytes: int = 0
    pause_s: float = 0.0


Forward: TypeAlias = "Callable[[Request], Answer]"
Fault: TypeAlias = "Callable[[Request, Forward], Answer | None]"
"""Makes an answer, or None to reset the connection without one."""


def answered(status: int, code: str, **headers: str) -> Fault:
    """The store answers with an error of S3, and does nothing."""
    body = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
    sent = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
    sent |= {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda _request, _forward: Answer(status, sent, body)


def answer_lost(request: Request, forward: Forward) -> None:
    """The store does it, and the connection is reset before the answer."""
    forward(request)


def cut_at(size: int) -> Fault:
    """The body ends in the middle: fewer bytes than its header says."""
    return lambda request, forward: replace(forward(request), cut_at=size)


def trickling(pause_s: float, *, block_bytes: int = 1) -> Fault:
    """The body comes byte by byte, or in small blocks."""
    return lambda request, forward: replace(forward(request), block_bytes=block_bytes, pause_s=pause_s)


def without(header: str) -> Fault:
    """The store never sees a header, as if it did not know it."""
    return lambda request, forward: forward(
        replace(request, headers={n: text for n, text in request.headers.items() if n.lower() != header.lower()})
    )


def header_changed(header: str, text: str) -> Fault:
    """The answer has another header than the store gave it."""

    def change(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        changed = {n: text if n.lower() == header.lower() else told for n, told in answer.headers.items()}
        return replace(answer, headers=changed)

    return change


def upload_damaged(request: Request, forward: Forward) -> Answer:
    """A bit of what is put flips on the way."""
    return forward(replace(request, body=_flipped(request.body)))


def instead(answer: Answer) -> Fault:
    """The store sends something else."""
    return lambda _request, _forward: answer


def after(event: Callable[[], object]) -> Fault:
    """Something happens in the store just before the request arrives there."""

    def happen(request: Request, forward: Forward) -> Answer:
        event()
        return forward(request)

    return happen


def _flipped(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]


@dataclass
class Injected:
    """A fault that waits for its requests."""

    fault: Fault
    method: str
    path: str
    left: float
    met: int = 0

    def takes(self, request: Request) -> bool:
        """Whether it is this request's turn."""
        return self.left > 0 and self.method in ("", request.method) and self.path in request.path


class FaultyFront:
    """The front; it listens for as long as a `with` block.

    Attributes:
        seen: every request, in order.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._faults: list[Injected] = []
        self._turn = threading.Lock()
        self.seen: list[Request] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                """Answer one request; a client that is gone is none of the front's business."""
                with suppress(ConnectionError):
                    super().handle_one_request()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def __getattr__(self, name: str) -> Callable[[], None]:
                if not name.startswith("do_"):
                    raise AttributeError(name)
                return lambda: front._serve(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def inject(self, fault: Fault, *, method: str = "", path: str = "", times: float = float("inf")) -> Injected:
        """Let the next requests of a method, with `path` in theirs, go wrong."""
        injected = Injected(fault, method, path, times)
        with self._turn:
            self._faults.append(injected)
        return injected

    def heal(self) -> None:
        """Take all faults out."""
        with self._turn:
            self._faults.clear()

    def count(self, method: str, path: str = "") -> int:
        """How many requests of a method there were with `path` in theirs."""
        return sum(request.method == method and path in request.path for request in list(self.seen))

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        request = Request(handler.command, handler.path, dict(handler.headers.items()), body)
        with self._turn:
            self.seen.append(request)
            injected = next((fault for fault in self._faults if fault.takes(request)), None)
            if injected is not None:
                injected.left -= 1
                injected.met += 1
        answer = self._forward(request) if injected is None else injected.fault(request, self._forward)
        if answer is None:
            _reset(handler)
        else:
            _send(handler, answer)

    def _forward(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(self._upstream, timeout=30)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, text in request.headers.items():
                connection.putheader(name, text)
            connection.endheaders(request.body)
            response = connection.getresponse()
            body = response.read()
            headers = {n: text for n, text in response.getheaders() if n.lower() not in HOP_BY_HOP}
            headers.setdefault("Content-Length", str(len(body)))
            return Answer(response.status, headers, body)
        finally:
            connection.close()


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response_only(answer.status)
    for name, text in answer.headers.items():
        handler.send_header(name, text)
    handler.end_headers()
    if answer.block_bytes:
        for start in range(0, len(answer.body), answer.block_bytes):
            handler.wfile.write(answer.body[start : start + answer.block_bytes])
            time.sleep(answer.pause_s)
    elif handler.command != "HEAD":
        handler.wfile.write(answer.body[: answer.cut_at])
    if answer.cut_at is not None:
        handler.close_connection = True


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """End the connection with RST, as a broken network does."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
