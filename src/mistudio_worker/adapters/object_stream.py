"""Bytes of exactly one version of an object, from a store that may lie, trickle or break off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from minio.error import S3Error

from mistudio_worker.adapters.store_errors import ABSENT, changed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import urllib3
    from minio import Minio

    from mistudio_worker.adapters.store_errors import StoreErrors
    from mistudio_worker.adapters.store_http import StoreLimits
    from mistudio_worker.worker.ports import ObjectInfo

BLOCK_BYTES = 1 << 18


class ObjectStream:
    """Reads ranges of objects.

    Args:
        client: of the store.
        errors: made for what it answers.
        limits: how slow it may be.
    """

    def __init__(self, client: Minio, errors: StoreErrors, limits: StoreLimits) -> None:
        self._client = client
        self._errors = errors
        self._limits = limits

    def blocks(self, bucket: str, info: ObjectInfo, start: int, length: int) -> Iterator[bytes]:
        """Yield `length` bytes from `start`, as they come.

        Raises:
            NotYetThere: `ARTIFACT_CHANGED`.
            ServiceAway: other bytes were sent than asked for, or too slowly.
        """
        response = self._open(bucket, info, start, length)
        try:
            if response.headers.get("ETag", info.etag).strip('"') != info.etag:
                raise changed(info.key)  # the store does not heed If-Match
            self._check_range(response, info, start, length)
            yield from self._paced(response, info, length)
        finally:
            response.close()
            response.release_conn()

    def _open(self, bucket: str, info: ObjectInfo, start: int, length: int) -> urllib3.BaseHTTPResponse:
        condition: dict[str, str | list[str] | tuple[str]] = {"If-Match": f'"{info.etag}"'}
        try:
            return self._client.get_object(bucket, info.key, offset=start, length=length, request_headers=condition)
        except S3Error as error:
            if error.code in ABSENT or error.code == "PreconditionFailed":
                raise changed(info.key) from error
            raise

    def _check_range(self, response: urllib3.BaseHTTPResponse, info: ObjectInfo, start: int, length: int) -> None:
        """A store that knows no ranges sends all of it, which may be more than memory holds."""
        sent = response.headers.get("Content-Range", "nothing said")
        whole = response.status == 200 and length == info.size
        if not whole and not sent.startswith(f"bytes {start}-{start + length - 1}/"):
            raise self._errors.away(f"answered {sent!r:.100} to a request for {length} bytes from {start}")

    def _paced(self, response: urllib3.BaseHTTPResponse, info: ObjectInfo, length: int) -> Iterator[bytes]:
        left, window_s = length, self._limits.read_timeout_s
        since_s, since_bytes = time.monotonic(), length
        # the bytes as they lie there: what was stored compressed is not unpacked
        while block := response.read1(min(BLOCK_BYTES, left + 1), decode_content=False):
            left -= len(block)
            if left < 0:
                break
            yield block
            if (passed_s := time.monotonic() - since_s) > window_s:
                if since_bytes - left < self._limits.min_bytes_per_s * passed_s:
                    raise self._errors.away(
                        f"sends {info.key!r:.200} too slowly: {since_bytes - left} bytes in {passed_s:.0f} s"
                    )
                since_s, since_bytes = time.monotonic(), left
        if left:
            raise self._errors.away(f"sent {length - left} of {length} bytes of {info.key!r:.200}")
