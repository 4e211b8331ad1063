"""The S3 store, by minio-py; every call runs in a thread of its own and has a limit."""

from __future__ import annotations

import asyncio
import hashlib
import io
import itertools
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from mistudio_worker.adapters.call_threads import CallThreads
from mistudio_worker.adapters.object_stream import ObjectStream
from mistudio_worker.adapters.store_errors import ABSENT, BROKEN, StoreErrors
from mistudio_worker.adapters.store_http import CONNECTIONS, StoreHttp
from mistudio_worker.worker.ports import FetchedFile, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from minio.datatypes import Object, Upload

    from mistudio_worker.adapters.store_credentials import StoreCredentials
    from mistudio_worker.adapters.store_http import StoreLimits

P = ParamSpec("P")
T = TypeVar("T")
PAGE = 1000
"""Objects in one answer of S3."""
CONFLICT_PAUSES_S = (0.05, 0.2, 0.5)
"""Before a conditional PUT is tried again that met another one under way: S3 answers 409 then, and means now."""


class MinioStore:
    """Implements `ObjectStore`.

    Args:
        address: host:port.
        credentials: what the worker signs with; None for an open store.
        secure: TLS.
        ca_file: who signs the store's certificate; None: whom the system trusts.
        region: spares a request for it.
        limits: how long the store is waited for.
    """

    def __init__(  # noqa: PLR0913 - a connection's settings, by name
        self,
        *,
        address: str,
        credentials: StoreCredentials | None,
        secure: bool,
        region: str,
        limits: StoreLimits,
        ca_file: Path | None = None,
    ) -> None:
        self._limits = limits
        self._errors = StoreErrors(address)
        self._threads = CallThreads(CONNECTIONS)
        self._http = StoreHttp(limits, ca_file)
        self._client = Minio(
            address,
            credentials=credentials,
            secure=secure,
            region=region,
            http_client=self._http,
        )
        self._stream = ObjectStream(self._client, self._errors, limits)

    def close(self) -> None:
        """Close all connections."""
        self._http.clear()

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """See `ObjectReader`."""
        return await self._call(0, self._head, bucket, key)

    async def read_range(self, bucket: str, info: ObjectInfo, start: int, length: int) -> bytes:
        """See `ObjectReader`."""
        return await self._call(length, self._read_range, bucket, info, start, length)

    async def download(self, bucket: str, info: ObjectInfo, path: Path) -> FetchedFile:
        """See `ObjectReader`."""
        unwanted = threading.Event()
        try:
            return await self._call(info.size, self._download, bucket, info, path, unwanted)
        finally:
            unwanted.set()  # the thread would go on filling the disk

    async def list_objects(self, bucket: str, prefix: str) -> Sequence[ObjectInfo]:
        """See `ObjectReader`."""
        listing = self._client.list_objects(bucket, prefix=prefix, recursive=True)
        found: list[ObjectInfo] = []
        while page := await self._call(0, self._page, bucket, listing):
            found += page
        return found

    async def upload(self, bucket: str, key: str, path: Path, *, sha256: str) -> ObjectInfo:
        """See `ObjectWriter`."""
        unwanted = threading.Event()
        try:
            return await self._call(_size(path), self._upload, bucket, key, path, sha256, unwanted)
        finally:
            unwanted.set()

    async def put_new(self, bucket: str, key: str, data: bytes) -> bool:
        """See `ObjectWriter`."""
        return await self._call(len(data), self._put_new, bucket, key, data)

    async def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """See `ObjectWriter`."""
        for first in range(0, len(keys), PAGE):
            await self._call(0, self._remove, bucket, keys[first : first + PAGE])

    async def abort_uploads(self, bucket: str, prefix: str) -> None:
        """See `ObjectWriter`."""
        await self._call(0, self._abort_uploads, bucket, prefix)

    async def bucket_exists(self, bucket: str) -> bool:
        """See `ObjectStore`."""
        return await self._call(0, self._bucket_exists, bucket)

    async def create_bucket(self, bucket: str) -> None:
        """See `ObjectStore`."""
        await self._call(0, self._create_bucket, bucket)

    async def _call(self, size_bytes: int, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that carries so many bytes, within the time for it."""
        limit_s = self._limits.call_s(size_bytes)
        try:
            async with asyncio.timeout(limit_s):
                return await self._threads.run(call, *args, **kwargs)
        except TimeoutError as error:
            raise self._errors.away(f"did not answer within {limit_s:.0f} s") from error

    def _head(self, bucket: str, key: str) -> ObjectInfo | None:
        with self._errors.translated(bucket):
            try:
                found = self._client.stat_object(bucket, key)
            except S3Error as error:
                if error.code in ABSENT:
                    return None
                raise
            return ObjectInfo(key, found.size or 0, (found.etag or "").strip('"'), found.last_modified)

    def _read_range(self, bucket: str, info: ObjectInfo, start: int, length: int) -> bytes:
        if length == 0:
            return b""
        with self._errors.translated(bucket):
            return b"".join(self._stream.blocks(bucket, info, start, length))

    def _download(self, bucket: str, info: ObjectInfo, path: Path, unwanted: threading.Event) -> FetchedFile:
        digest, size = hashlib.sha256(), 0
        with self._errors.translated(bucket), path.open("wb") as file:
            for block in self._unbroken(bucket, info):
                if unwanted.is_set():
                    break
                digest.update(block)
                size += file.write(block)
        return FetchedFile(path, size, digest.hexdigest())

    def _unbroken(self, bucket: str, info: ObjectInfo) -> Iterator[bytes]:
        """Stream a whole object; where a connection breaks that has carried something, go on from there."""
        size = 0
        while size < info.size:
            before = size
            try:
                for block in self._stream.blocks(bucket, info, size, info.size - size):
                    size += len(block)
                    yield block
            except BROKEN:
                if size == before:
                    raise

    def _page(self, bucket: str, listing: Iterator[Object]) -> list[ObjectInfo]:
        with self._errors.translated(bucket):
            return [
                ObjectInfo(o.object_name or "", o.size or 0, (o.etag or "").strip('"'), o.last_modified)
                for o in itertools.islice(listing, PAGE)
            ]

    def _upload(self, bucket: str, key: str, path: Path, sha256: str, unwanted: threading.Event) -> ObjectInfo:
        size = _size(path)
        with self._errors.translated(bucket), _WhileWanted(path, unwanted) as file:
            done = self._client.put_object(bucket, key, file, size, metadata={"sha256": sha256})
        return ObjectInfo(key, size, (done.etag or "").strip('"'))

    def _put_new(self, bucket: str, key: str, data: bytes) -> bool:
        """Put by a presigned URL: minio-py itself would turn the condition into user metadata and overwrite."""
        for pause_s in (*CONFLICT_PAUSES_S, None):
            status = self._put_if_absent(bucket, key, data)
            if status != 409 or pause_s is None:
                break
            time.sleep(pause_s)
        if status in (200, 204):
            return True
        if status == 412:
            return False
        if status == 403:
            raise self._errors.denied("HTTP 403", bucket)
        if status == 404:
            raise self._errors.bucket_missing(bucket)
        raise self._errors.away(f"answered the conditional PUT of {key!r:.200} with HTTP {status}")

    def _put_if_absent(self, bucket: str, key: str, data: bytes) -> int:
        with self._errors.translated(bucket):
            url = self._client.get_presigned_url("PUT", bucket, key, expires=timedelta(minutes=15))
            return self._http.request("PUT", url, body=data, headers={"If-None-Match": "*"}, retries=False).status

    def _remove(self, bucket: str, keys: Sequence[str]) -> None:
        with self._errors.translated(bucket):
            for failure in self._client.remove_objects(bucket, (DeleteObject(key) for key in keys)):
                if failure.code not in ABSENT:
                    raise self._errors.away(f"failed to delete {failure.name!r:.200}: {failure.code}")

    def _abort_uploads(self, bucket: str, prefix: str) -> None:
        """Beside those of the prefix, look at those of the bucket: MinIO tells no others, unless by a whole key."""
        with self._errors.translated(bucket):
            for listed in (prefix, ""):
                # minio-py has these calls for itself alone, and leaves parts behind where its own abort fails
                found = self._client._list_multipart_uploads(bucket, prefix=listed).uploads  # noqa: SLF001
                for upload in found:
                    if upload.object_name.startswith(prefix):
                        self._abort_upload(bucket, upload)

    def _abort_upload(self, bucket: str, upload: Upload) -> None:
        try:
            self._client._abort_multipart_upload(bucket, upload.object_name, upload.upload_id or "")  # noqa: SLF001
        except S3Error as error:
            if error.code != "NoSuchUpload":  # it ended meanwhile
                raise

    def _bucket_exists(self, bucket: str) -> bool:
        with self._errors.translated(bucket):
            return bool(self._client.bucket_exists(bucket))

    def _create_bucket(self, bucket: str) -> None:
        with self._errors.translated(bucket):
            try:
                self._client.make_bucket(bucket)
            except S3Error as error:
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise


class _WhileWanted(io.FileIO):
    """A file that ends with an error once nobody waits for its upload any more."""

    def __init__(self, path: Path, unwanted: threading.Event) -> None:
        super().__init__(path)
        self._unwanted = unwanted

    def read(self, size: int | None = -1) -> bytes:
        """Read on."""
        if self._unwanted.is_set():
            raise ConnectionAbortedError
        return super().read(size) or b""


def _size(path: Path) -> int:
    return path.stat().st_size
