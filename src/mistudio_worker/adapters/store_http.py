"""HTTP to the store: each wait within a request has a limit."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

if TYPE_CHECKING:
    from pathlib import Path

CONNECTIONS = 32
_OVERLOADED = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How long the store is waited for.

    Attributes:
        connect_timeout_s: for a connection, and for each block of an upload to be taken.
        read_timeout_s: for any sign within one answer.
        call_timeout_s: for a whole call; one that carries a file has the time for that besides.
        min_bytes_per_s: a file that comes or goes more slowly is given up.
    """

    connect_timeout_s: float
    read_timeout_s: float
    call_timeout_s: float
    min_bytes_per_s: int

    def call_s(self, size_bytes: int = 0) -> float:
        """Longest wait for a call that carries so much."""
        return self.call_timeout_s + size_bytes / self.min_bytes_per_s


class StoreHttp(urllib3.PoolManager):
    """Connections to the store; a request that fails on one of them is tried on a second one.

    What the store asks for in Retry-After is not slept here, in a thread that nobody can wake: the worker's own
    back-off is as long.
    """

    def __init__(self, limits: StoreLimits, ca_file: Path | None = None) -> None:
        super().__init__(
            ca_certs=str(ca_file) if ca_file else None,  # read anew for each connection
            maxsize=CONNECTIONS,
            timeout=urllib3.Timeout(connect=limits.connect_timeout_s, read=limits.read_timeout_s),
            retries=urllib3.Retry(
                total=1,
                backoff_factor=0.2,
                status_forcelist=_OVERLOADED,
                raise_on_status=False,  # the answer says what is wrong
                respect_retry_after_header=False,
            ),
        )

    def urlopen(self, method: str, url: str, *args: Any, **kw: Any) -> urllib3.BaseHTTPResponse:
        """Send a body with its checksum and block by block.

        As one block, all of it would have to be taken within the time for a connection. The checksum besides, since
        not every store compares the one in the signature.
        """
        body = kw.get("body")
        if isinstance(body, bytes) and body:
            headers = urllib3.HTTPHeaderDict(kw.get("headers") or self.headers)
            headers["Content-Length"] = str(len(body))
            headers.setdefault("Content-MD5", _md5(body))
            kw |= {"body": io.BytesIO(body), "headers": headers}
        return super().urlopen(method, url, *args, **kw)


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
