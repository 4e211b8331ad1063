"""A store whose every call is watched."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mistudio_worker.worker.ports import FetchedFile, ObjectInfo, ObjectStore
    from mistudio_worker.worker.service_watch import ServiceWatch

CallObserver: TypeAlias = "Callable[[str, float, BaseException | None], None]"
"""Is told a call's name, its seconds and its error: on the event loop, so it returns at once, and it raises nothing."""


class ObservedStore:
    """Implements `ObjectStore` by another one, and notes when it answered.

    Args:
        store: does it.
        watch: remembers the last answer.
        observers: told of every call.
    """

    def __init__(self, store: ObjectStore, watch: ServiceWatch, observers: Sequence[CallObserver] = ()) -> None:
        self._store = store
        self._watch = watch
        self._observers = observers

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """See `ObjectReader`."""
        with self._called("head"):
            return await self._store.head(bucket, key)

    async def read_range(self, bucket: str, info: ObjectInfo, start: int, length: int) -> bytes:
        """See `ObjectReader`."""
        with self._called("read_range"):
            return await self._store.read_range(bucket, info, start, length)

    async def download(self, bucket: str, info: ObjectInfo, path: Path) -> FetchedFile:
        """See `ObjectReader`."""
        with self._called("download"):
            return await self._store.download(bucket, info, path)

    async def list_objects(self, bucket: str, prefix: str) -> Sequence[ObjectInfo]:
        """See `ObjectReader`."""
        with self._called("list_objects"):
            return await self._store.list_objects(bucket, prefix)

    async def upload(self, bucket: str, key: str, path: Path, *, sha256: str) -> ObjectInfo:
        """See `ObjectWriter`."""
        with self._called("upload"):
            return await self._store.upload(bucket, key, path, sha256=sha256)

    async def put_new(self, bucket: str, key: str, data: bytes) -> bool:
        """See `ObjectWriter`."""
        with self._called("put_new"):
            return await self._store.put_new(bucket, key, data)

    async def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """See `ObjectWriter`."""
        with self._called("remove"):
            await self._store.remove(bucket, keys)

    async def abort_uploads(self, bucket: str, prefix: str) -> None:
        """See `ObjectWriter`."""
        with self._called("abort_uploads"):
            await self._store.abort_uploads(bucket, prefix)

    async def bucket_exists(self, bucket: str) -> bool:
        """See `ObjectStore`."""
        with self._called("bucket_exists"):
            return await self._store.bucket_exists(bucket)

    async def create_bucket(self, bucket: str) -> None:
        """See `ObjectStore`."""
        with self._called("create_bucket"):
            await self._store.create_bucket(bucket)

    @contextmanager
    def _called(self, name: str) -> Iterator[None]:
        begun_s, failure = time.monotonic(), None
        try:
            with self._watch.call():
                yield
        except BaseException as error:
            failure = error
            raise
        finally:
            for observer in self._observers:
                observer(name, time.monotonic() - begun_s, failure)
