"""The S3 store, by minio-py; every call runs in a thread."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from mistudio_worker.errors import NotYetThere, ServiceAway, disk_full
from mistudio_worker.worker.ports import FetchedFile, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BLOCK_BYTES = 1 << 20
_ABSENT = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchObject", "NotFound", "ResourceNotFound"})
_DENIED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidTokenId"})


class MinioStore:
    """Implements `ObjectStore`.

    Args:
        address: host:port.
        access_key: of the worker.
        secret_key: likewise.
        secure: TLS.
        region: spares a request for it.
        connect_timeout_s: longest wait for a connection.
        read_timeout_s: longest silence within one answer.
    """

    def __init__(  # noqa: PLR0913 - a connection's settings, by name
        self,
        *,
        address: str,
        access_key: str,
        secret_key: str,
        secure: bool,
        region: str,
        connect_timeout_s: float,
        read_timeout_s: float,
    ) -> None:
        self._address = address
        self._http = urllib3.PoolManager(
            maxsize=16,
            timeout=urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s),
            retries=urllib3.Retry(total=1, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
        )
        self._client = Minio(
            address,
            access_key=access_key,
            secret_key=secret_key,
            secure=secure,
            region=region,
            http_client=self._http,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.clear()

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """See `ObjectReader`."""
        return await asyncio.to_thread(self._head, bucket, key)

    async def read_range(self, bucket: str, info: ObjectInfo, start: int, length: int) -> bytes:
        """See `ObjectReader`."""
        return await asyncio.to_thread(self._read_range, bucket, info, start, length)

    async def download(self, bucket: str, info: ObjectInfo, path: Path) -> FetchedFile:
        """See `ObjectReader`."""
        return await asyncio.to_thread(self._download, bucket, info, path)

    async def list_objects(self, bucket: str, prefix: str) -> Sequence[ObjectInfo]:
        """See `ObjectReader`."""
        return await asyncio.to_thread(self._list, bucket, prefix)

    async def upload(self, bucket: str, key: str, path: Path, *, sha256: str) -> ObjectInfo:
        """See `ObjectWriter`."""
        return await asyncio.to_thread(self._upload, bucket, key, path, sha256)

    async def put_new(self, bucket: str, key: str, data: bytes) -> bool:
        """See `ObjectWriter`."""
        return await asyncio.to_thread(self._put_new, bucket, key, data)

    async def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """See `ObjectWriter`."""
        await asyncio.to_thread(self._remove, bucket, keys)

    async def bucket_exists(self, bucket: str) -> bool:
        """See `ObjectStore`."""
        return await asyncio.to_thread(self._bucket_exists, bucket)

    async def create_bucket(self, bucket: str) -> None:
        """See `ObjectStore`."""
        await asyncio.to_thread(self._create_bucket, bucket)

    def _head(self, bucket: str, key: str) -> ObjectInfo | None:
        with self._translated(bucket):
            try:
                found = self._client.stat_object(bucket, key)
            except S3Error as error:
                if error.code in _ABSENT:
                    return None
                raise
            return ObjectInfo(key, found.size or 0, (found.etag or "").strip('"'), found.last_modified)

    def _read_range(self, bucket: str, info: ObjectInfo, start: int, length: int) -> bytes:
        if length == 0:
            return b""
        with self._translated(bucket):
            data = b"".join(self._blocks(bucket, info, start, length))
        if len(data) != length:
            raise self._truncated(info, len(data), length)
        return data

    def _download(self, bucket: str, info: ObjectInfo, path: Path) -> FetchedFile:
        digest, size = hashlib.sha256(), 0
        with self._translated(bucket), path.open("wb") as file:
            if info.size:
                for block in self._blocks(bucket, info, 0, info.size):
                    digest.update(block)
                    file.write(block)
                    size += len(block)
        if size != info.size:
            raise self._truncated(info, size, info.size)
        return FetchedFile(path, size, digest.hexdigest())

    def _blocks(self, bucket: str, info: ObjectInfo, start: int, length: int) -> Iterator[bytes]:
        """Stream a range of exactly this version of the object."""
        condition: dict[str, str | list[str] | tuple[str]] = {"If-Match": f'"{info.etag}"'}
        try:
            response = self._client.get_object(bucket, info.key, offset=start, length=length, request_headers=condition)
        except S3Error as error:
            if error.code in _ABSENT or error.code == "PreconditionFailed":
                raise NotYetThere(
                    "ARTIFACT_CHANGED",
                    f"object {info.key!r:.300} is not the one any more that was looked at",
                    "send the event when the upload is finished",
                ) from error
            raise
        try:
            yield from response.stream(BLOCK_BYTES)
        finally:
            response.close()
            response.release_conn()

    def _list(self, bucket: str, prefix: str) -> list[ObjectInfo]:
        with self._translated(bucket):
            return [
                ObjectInfo(o.object_name or "", o.size or 0, (o.etag or "").strip('"'), o.last_modified)
                for o in self._client.list_objects(bucket, prefix=prefix, recursive=True)
            ]

    def _upload(self, bucket: str, key: str, path: Path, sha256: str) -> ObjectInfo:
        size = path.stat().st_size
        with self._translated(bucket), path.open("rb") as file:
            done = self._client.put_object(bucket, key, file, size, metadata={"sha256": sha256})
        return ObjectInfo(key, size, (done.etag or "").strip('"'))

    def _put_new(self, bucket: str, key: str, data: bytes) -> bool:
        """Put by a presigned URL: minio-py itself would turn the condition into user metadata and overwrite."""
        with self._translated(bucket):
            url = self._client.get_presigned_url("PUT", bucket, key, expires=timedelta(minutes=15))
            answer = self._http.request("PUT", url, body=data, headers={"If-None-Match": "*"}, retries=False)
        if answer.status in (200, 204):
            return True
        if answer.status == 412:
            return False
        if answer.status == 403:
            raise self._denied("HTTP 403", bucket)
        if answer.status == 404:
            raise self._bucket_missing(bucket)
        raise self._away(f"the conditional PUT of {key!r:.200} was answered with HTTP {answer.status}")

    def _remove(self, bucket: str, keys: Sequence[str]) -> None:
        with self._translated(bucket):
            for failure in self._client.remove_objects(bucket, (DeleteObject(key) for key in keys)):
                if failure.code not in _ABSENT:
                    raise self._away(f"deleting {failure.name!r:.200} failed with {failure.code}")

    def _bucket_exists(self, bucket: str) -> bool:
        with self._translated(bucket):
            return bool(self._client.bucket_exists(bucket))

    def _create_bucket(self, bucket: str) -> None:
        with self._translated(bucket):
            try:
                self._client.make_bucket(bucket)
            except S3Error as error:
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise

    @contextmanager
    def _translated(self, bucket: str) -> Iterator[None]:
        """Turn the client's errors into ours; none of them quotes a credential."""
        try:
            yield
        except S3Error as error:
            if error.code in _DENIED:
                raise self._denied(error.code, bucket) from error
            if error.code == "NoSuchBucket":
                raise self._bucket_missing(bucket) from error
            if _is_refusal(error.response.status):
                raise self._refused(error.code, bucket) from error
            raise self._away(f"answered with {error.code}") from error
        except (ServerError, InvalidResponseError, MinioException) as error:
            raise self._away(f"gave an answer that cannot be read ({type(error).__name__})") from error
        except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
            raise self._away(f"cannot be reached ({type(error).__name__})") from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full() from error
            raise

    def _away(self, what: str) -> ServiceAway:
        return ServiceAway(
            "STORE_UNAVAILABLE",
            f"the store at {self._address} {what}" if not what.startswith(("the ", "deleting")) else what,
            "check that the store runs and that MISTUDIO_STORE__ENDPOINT names it",
        )

    def _denied(self, answer: str | None, bucket: str) -> ServiceAway:
        return ServiceAway(
            "STORE_DENIED",
            f"the store at {self._address} refuses the worker: {answer} on bucket {bucket!r}",
            "check MISTUDIO_STORE__ACCESS_KEY, __SECRET_KEY and the policy of that user",
        )

    def _refused(self, answer: str | None, bucket: str) -> ServiceAway:
        return ServiceAway(
            "STORE_REFUSED",
            f"the store at {self._address} does not serve a request on bucket {bucket!r}: {answer}",
            "check the region of the bucket, and how the object is stored (archived, encrypted by its writer)",
        )

    def _bucket_missing(self, bucket: str) -> ServiceAway:
        return ServiceAway(
            "STORE_BUCKET_MISSING",
            f"there is no bucket {bucket!r} at {self._address}",
            "create it, or correct the setting that names it",
        )

    def _truncated(self, info: ObjectInfo, got: int, expected: int) -> ServiceAway:
        return self._away(f"sent {got} of {expected} bytes of {info.key!r:.200}")


def _is_refusal(status: int) -> bool:
    """Whether an answer will be the same the next time: a redirect or a client's error, but no overload or race."""
    return 300 <= status < 500 and status not in (408, 409, 425, 429)
