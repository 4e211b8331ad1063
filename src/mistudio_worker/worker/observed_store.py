"""A store whose every call is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mistudio_worker.worker.ports import FetchedFile, ObjectInfo, ObjectStore
    from mistudio_worker.worker.service_watch import ServiceWatch


class ObservedStore:
    """Implements `ObjectStore` by another one, and notes when it answered."""

    def __init__(self, store: ObjectStore, watch: ServiceWatch) -> None:
        self._store = store
        self._watch = watch

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """See `ObjectReader`."""
        with self._watch.call():
            return await self._store.head(bucket, key)

    async def read_range(self, bucket: str, info: ObjectInfo, start: int, length: int) -> bytes:
        """See `ObjectReader`."""
        with self._watch.call():
            return await self._store.read_range(bucket, info, start, length)

    async def download(self, bucket: str, info: ObjectInfo, path: Path) -> FetchedFile:
        """See `ObjectReader`."""
        with self._watch.call():
            return await self._store.download(bucket, info, path)

    async def list_objects(self, bucket: str, prefix: str) -> Sequence[ObjectInfo]:
        """See `ObjectReader`."""
        with self._watch.call():
            return await self._store.list_objects(bucket, prefix)

    async def upload(self, bucket: str, key: str, path: Path, *, sha256: str) -> ObjectInfo:
        """See `ObjectWriter`."""
        with self._watch.call():
            return await self._store.upload(bucket, key, path, sha256=sha256)

    async def put_new(self, bucket: str, key: str, data: bytes) -> bool:
        """See `ObjectWriter`."""
        with self._watch.call():
            return await self._store.put_new(bucket, key, data)

    async def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """See `ObjectWriter`."""
        with self._watch.call():
            await self._store.remove(bucket, keys)

    async def abort_uploads(self, bucket: str, prefix: str) -> None:
        """See `ObjectWriter`."""
        with self._watch.call():
            await self._store.abort_uploads(bucket, prefix)

    async def bucket_exists(self, bucket: str) -> bool:
        """See `ObjectStore`."""
        with self._watch.call():
            return await self._store.bucket_exists(bucket)

    async def create_bucket(self, bucket: str) -> None:
        """See `ObjectStore`."""
        with self._watch.call():
            await self._store.create_bucket(bucket)
