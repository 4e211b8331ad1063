"""One suite for every object store: the fake, SeaweedFS and MinIO keep the same promises."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest
from support.fakes import FakeStore, away

from mistudio_worker.adapters.minio_store import MinioStore
from mistudio_worker.adapters.store_credentials import StoreCredentials
from mistudio_worker.adapters.store_http import StoreLimits
from mistudio_worker.errors import NotYetThere, ServiceAway
from mistudio_worker.worker.ports import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from minio import Minio
    from support.services import Services

    from mistudio_worker.worker.ports import ObjectStore

HARD_KEYS = [
    "with blank/and  two.txt",
    "plus+and%20percent?query&more=1#hash",
    "ünïcode/文字/😀.json",
    "quote'\"double",
    "a/b/c/d/e/f/g/h",
    "(brackets) [too] ~tilde!",
]


class Unfinished(Protocol):
    """What a killed writer leaves: uploads that nobody finished."""

    def leave(self, key: str) -> None:
        """Begin an upload of a file in parts, and end there."""

    def keys(self) -> set[str]:
        """Those that are still there."""


@dataclass
class StoreCase:
    """A store with one empty bucket, and the same store with what can be wrong."""

    store: ObjectStore
    bucket: str
    stranger: ObjectStore
    unreachable: ObjectStore
    unfinished: Unfinished


class ObjectStoreContract:
    """What `worker/ports.py` promises of an `ObjectStore`."""

    makes_buckets = False

    async def test_what_is_put_is_seen(self, case: StoreCase) -> None:
        """HEAD tells size and etag of an object, and None of one that is not there."""
        assert await case.store.put_new(case.bucket, "a/b", b"12345")
        info = await case.store.head(case.bucket, "a/b")
        assert info is not None
        assert (info.key, info.size) == ("a/b", 5)
        assert info.etag
        assert '"' not in info.etag
        assert await case.store.head(case.bucket, "a/c") is None
        assert await case.store.head(case.bucket, "a") is None

    async def test_ranges(self, case: StoreCase) -> None:
        """A range is exactly the bytes that were asked for, also the last one and none at all."""
        info = await self._put(case, "key", bytes(range(256)))
        assert await case.store.read_range(case.bucket, info, 0, 3) == b"\x00\x01\x02"
        assert await case.store.read_range(case.bucket, info, 250, 6) == bytes(range(250, 256))
        assert await case.store.read_range(case.bucket, info, 17, 0) == b""

    async def test_a_range_of_a_replaced_object(self, case: StoreCase) -> None:
        """A range of an older version is refused, never mixed from two."""
        info = await self._put(case, "key", b"old content")
        await self._replace(case, "key", b"new content")
        with pytest.raises(NotYetThere) as refused:
            await case.store.read_range(case.bucket, info, 0, 3)
        assert refused.value.code == "ARTIFACT_CHANGED"

    async def test_a_download_is_hashed(self, case: StoreCase, tmp_path: Path) -> None:
        """The file has the object's bytes, and the hash is of them."""
        content = bytes(range(256)) * 9_000
        info = await self._put(case, "key", content)
        fetched = await case.store.download(case.bucket, info, tmp_path / "file")
        assert fetched.path.read_bytes() == content
        assert (fetched.size, fetched.sha256) == (len(content), hashlib.sha256(content).hexdigest())

    @pytest.mark.parametrize("gone", [False, True])
    async def test_a_download_of_a_changed_object(self, case: StoreCase, tmp_path: Path, *, gone: bool) -> None:
        """An object that was replaced or removed since it was looked at is not downloaded."""
        info = await self._put(case, "key", b"old content")
        if gone:
            await case.store.remove(case.bucket, ["key"])
        else:
            await self._replace(case, "key", b"new content")
        with pytest.raises(NotYetThere) as refused:
            await case.store.download(case.bucket, info, tmp_path / "file")
        assert refused.value.code == "ARTIFACT_CHANGED"

    async def test_an_empty_object(self, case: StoreCase, tmp_path: Path) -> None:
        """No byte is an object too: seen, read, downloaded."""
        info = await self._put(case, "empty", b"")
        assert info.size == 0
        assert await case.store.read_range(case.bucket, info, 0, 0) == b""
        fetched = await case.store.download(case.bucket, info, tmp_path / "file")
        assert (fetched.size, fetched.sha256) == (0, hashlib.sha256(b"").hexdigest())
        assert fetched.path.read_bytes() == b""

    @pytest.mark.parametrize("key", HARD_KEYS)
    async def test_hard_keys(self, case: StoreCase, key: str, tmp_path: Path) -> None:
        """Keys with blanks, signs of URLs and letters of every script name one object in every call."""
        assert await case.store.put_new(case.bucket, key, b"first")
        assert not await case.store.put_new(case.bucket, key, b"second")
        info = await case.store.head(case.bucket, key)
        assert info is not None
        assert await case.store.read_range(case.bucket, info, 0, 5) == b"first"
        assert [found.key for found in await case.store.list_objects(case.bucket, key[:1])] == [key]
        (tmp_path / "file").write_bytes(b"third")
        await case.store.upload(case.bucket, key, tmp_path / "file", sha256=hashlib.sha256(b"third").hexdigest())
        assert len(await case.store.list_objects(case.bucket, "")) == 1
        await case.store.remove(case.bucket, [key])
        assert await case.store.head(case.bucket, key) is None

    async def test_one_of_sixteen_writers_wins(self, case: StoreCase) -> None:
        """Of writers that race for one key exactly one is told so, and its bytes are there."""
        answers = await asyncio.gather(
            *(case.store.put_new(case.bucket, "race", b"writer %d" % number) for number in range(16))
        )
        assert answers.count(True) == 1
        info = await case.store.head(case.bucket, "race")
        assert info is not None
        assert await case.store.read_range(case.bucket, info, 0, info.size) == b"writer %d" % answers.index(True)

    async def test_a_removed_key_is_new_again(self, case: StoreCase) -> None:
        """The condition is about what is there now, not about what once was."""
        assert await case.store.put_new(case.bucket, "key", b"1")
        await case.store.remove(case.bucket, ["key"])
        assert await case.store.put_new(case.bucket, "key", b"2")

    async def test_listing(self, case: StoreCase) -> None:
        """Objects under a prefix come by key, folders and all, and no others."""
        for key in ("p/b", "p/a/2", "p/a/10", "p/c/d/e", "q/a", "px"):
            await case.store.put_new(case.bucket, key, key.encode())
        found = await case.store.list_objects(case.bucket, "p/")
        assert [(info.key, info.size) for info in found] == [("p/a/10", 6), ("p/a/2", 5), ("p/b", 3), ("p/c/d/e", 7)]
        assert await case.store.list_objects(case.bucket, "r/") == []

    async def test_a_listing_of_more_than_a_page(self, case: StoreCase, tmp_path: Path) -> None:
        """More objects than the store lists at once are all listed and all removed."""
        (tmp_path / "file").write_bytes(b"x")
        gate = asyncio.Semaphore(16)

        async def put(number: int) -> None:
            async with gate:
                await case.store.put_new(case.bucket, f"many/{number:05d}", b"")

        await asyncio.gather(*(put(number) for number in range(1_100)))
        keys = [info.key for info in await case.store.list_objects(case.bucket, "many/")]
        assert keys == [f"many/{number:05d}" for number in range(1_100)]
        await case.store.remove(case.bucket, keys)
        assert await case.store.list_objects(case.bucket, "many/") == []

    async def test_removing_what_is_absent(self, case: StoreCase) -> None:
        """Absent objects and no objects at all are removed without an error."""
        await case.store.put_new(case.bucket, "there", b"")
        await case.store.remove(case.bucket, ["absent", "there"])
        await case.store.remove(case.bucket, [])
        assert await case.store.list_objects(case.bucket, "") == []

    async def test_a_large_upload(self, case: StoreCase, tmp_path: Path) -> None:
        """A file of several parts arrives whole, and replaces what was there."""
        content = bytes(range(256)) * (48 << 10)  # 12 MiB: three parts
        (tmp_path / "large").write_bytes(content)
        await self._put(case, "large", b"before")
        told = await case.store.upload(
            case.bucket, "large", tmp_path / "large", sha256=hashlib.sha256(content).hexdigest()
        )
        info = await case.store.head(case.bucket, "large")
        assert info is not None
        assert (info.size, info.etag) == (told.size, told.etag) == (len(content), told.etag)
        fetched = await case.store.download(case.bucket, info, tmp_path / "back")
        assert fetched.sha256 == hashlib.sha256(content).hexdigest()

    async def test_unfinished_uploads(self, case: StoreCase) -> None:
        """Parts under a prefix are removed, those beside it stay, and whole objects are left alone."""
        for key in ("job/a/1", "job/b/1", "job2/1"):
            case.unfinished.leave(key)
        await self._put(case, "job/a/2", b"whole")
        assert case.unfinished.keys() == {"job/a/1", "job/b/1", "job2/1"}
        await case.store.abort_uploads(case.bucket, "job/")
        await case.store.abort_uploads(case.bucket, "job/")
        assert case.unfinished.keys() == {"job2/1"}
        assert [info.key for info in await case.store.list_objects(case.bucket, "")] == ["job/a/2"]

    async def test_an_empty_upload(self, case: StoreCase, tmp_path: Path) -> None:
        """An empty file is uploaded like any other."""
        (tmp_path / "empty").write_bytes(b"")
        told = await case.store.upload(case.bucket, "empty", tmp_path / "empty", sha256=hashlib.sha256(b"").hexdigest())
        assert told.size == 0
        assert await case.store.head(case.bucket, "empty") is not None

    async def test_a_bucket_is_created_once(self, case: StoreCase) -> None:
        """A bucket that is there already is no error, and keeps its objects."""
        await case.store.put_new(case.bucket, "key", b"1")
        assert await case.store.bucket_exists(case.bucket)
        await case.store.create_bucket(case.bucket)
        assert await case.store.head(case.bucket, "key") is not None

    async def test_a_missing_bucket(self, case: StoreCase) -> None:
        """A bucket that is not there is told by name of the error, and holds no objects."""
        missing = f"{case.bucket}-missing"
        assert not await case.store.bucket_exists(missing)
        assert await case.store.head(missing, "key") is None
        with pytest.raises(ServiceAway) as refused:
            await case.store.list_objects(missing, "")
        assert refused.value.code == "STORE_BUCKET_MISSING"

    async def test_writing_to_a_missing_bucket(self, case: StoreCase, tmp_path: Path) -> None:
        """Nothing is written to a bucket that is not there, and no bucket is made by the way."""
        if self.makes_buckets:
            pytest.skip("SeaweedFS makes a bucket at the first object, whoever asks")
        missing = f"{case.bucket}-missing"
        (tmp_path / "file").write_bytes(b"x")
        with pytest.raises(ServiceAway) as put:
            await case.store.put_new(missing, "key", b"")
        with pytest.raises(ServiceAway) as uploaded:
            await case.store.upload(missing, "key", tmp_path / "file", sha256=hashlib.sha256(b"x").hexdigest())
        assert [put.value.code, uploaded.value.code] == ["STORE_BUCKET_MISSING"] * 2
        assert not await case.store.bucket_exists(missing)

    async def test_a_stranger(self, case: StoreCase, tmp_path: Path) -> None:
        """Wrong credentials are told as such by every call, without naming them."""
        info = await self._put(case, "key", b"content")
        (tmp_path / "file").write_bytes(b"x")
        for call in (
            case.stranger.head(case.bucket, "key"),
            case.stranger.read_range(case.bucket, info, 0, 1),
            case.stranger.download(case.bucket, info, tmp_path / "file"),
            case.stranger.list_objects(case.bucket, ""),
            case.stranger.upload(case.bucket, "k", tmp_path / "file", sha256=hashlib.sha256(b"x").hexdigest()),
            case.stranger.put_new(case.bucket, "k", b""),
        ):
            with pytest.raises(ServiceAway) as refused:
                await call
            assert refused.value.code == "STORE_DENIED"
            assert "wrong-secret" not in f"{refused.value} {refused.value.message} {refused.value.hint}"
        assert await case.store.head(case.bucket, "k") is None

    async def test_an_unreachable_store(self, case: StoreCase, tmp_path: Path) -> None:
        """A store that does not answer is told soon, by every call."""
        info = ObjectInfo("key", 1, "etag")
        begun_s = time.monotonic()
        for call in (
            case.unreachable.head(case.bucket, "key"),
            case.unreachable.read_range(case.bucket, info, 0, 1),
            case.unreachable.download(case.bucket, info, tmp_path / "file"),
            case.unreachable.list_objects(case.bucket, ""),
            case.unreachable.put_new(case.bucket, "k", b""),
            case.unreachable.remove(case.bucket, ["k"]),
            case.unreachable.bucket_exists(case.bucket),
        ):
            with pytest.raises(ServiceAway) as refused:
                await call
            assert refused.value.code == "STORE_UNAVAILABLE"
        assert time.monotonic() - begun_s < 15

    async def _put(self, case: StoreCase, key: str, data: bytes) -> ObjectInfo:
        await case.store.put_new(case.bucket, key, data)
        info = await case.store.head(case.bucket, key)
        assert info is not None
        return info

    async def _replace(self, case: StoreCase, key: str, data: bytes) -> None:
        await case.store.remove(case.bucket, [key])
        await case.store.put_new(case.bucket, key, data)


class FakeUnfinished:
    """Of the fake."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store

    def leave(self, key: str) -> None:
        """See `Unfinished`."""
        self._store.unfinished.add(key)

    def keys(self) -> set[str]:
        """See `Unfinished`."""
        return self._store.unfinished


class RealUnfinished:
    """Of a real store, by the calls that minio-py uses itself."""

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def leave(self, key: str) -> None:
        """See `Unfinished`."""
        upload = self._client._create_multipart_upload(self._bucket, key, {})
        self._client._upload_part(self._bucket, key, bytes(5 << 20), None, upload, 1)

    def keys(self) -> set[str]:
        """See `Unfinished`."""
        return {upload.object_name for upload in self._client._list_multipart_uploads(self._bucket).uploads}


class TestFake(ObjectStoreContract):
    """The store of the unit tests."""

    @pytest.fixture
    def case(self) -> StoreCase:
        """Three fakes."""
        store, stranger, unreachable = FakeStore(), FakeStore(), FakeStore()
        store.buckets["bucket"] = {}
        stranger.fault = ServiceAway("STORE_DENIED", "denied", "hint")
        unreachable.fault = away()
        return StoreCase(store, "bucket", stranger, unreachable, FakeUnfinished(store))


class TestSeaweedFS(ObjectStoreContract):
    """The adapter on the embedded store."""

    makes_buckets = True

    @pytest.fixture
    def case(self, services: Services) -> Iterator[StoreCase]:
        """The adapter with a bucket of this test alone."""
        with ExitStack() as stack:
            yield adapters(services, stack)


class TestMinio(ObjectStoreContract):
    """The adapter on MinIO itself."""

    @pytest.fixture
    def case(self, minio_store: Services) -> Iterator[StoreCase]:
        """The adapter with a bucket of this test alone."""
        with ExitStack() as stack:
            yield adapters(minio_store, stack)


async def test_a_slow_store_has_a_limit() -> None:
    """A store that accepts the connection and says nothing is given up after the read time-out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with closing(adapter(address, "key", "secret", read_timeout_s=0.3)) as store:
            begun_s = time.monotonic()
            with pytest.raises(ServiceAway):
                await store.head("bucket", "key")
    assert time.monotonic() - begun_s < 5


def adapters(services: Services, stack: ExitStack) -> StoreCase:
    """The adapter on running services: as it should be, with a wrong secret, and where nobody listens."""
    address, (key, secret) = services.store_settings.address, services.store_settings.credentials()
    bucket = services.create_bucket()
    return StoreCase(
        store=stack.enter_context(closing(adapter(address, key, secret))),
        bucket=bucket,
        stranger=stack.enter_context(closing(adapter(address, key, "wrong-secret"))),
        unreachable=stack.enter_context(closing(adapter(f"127.0.0.1:{free_port()}", key, secret))),
        unfinished=RealUnfinished(services.store, bucket),
    )


def adapter(address: str, key: str, secret: str, *, read_timeout_s: float = 30.0) -> MinioStore:
    """The adapter with short limits."""
    return MinioStore(
        address=address,
        credentials=StoreCredentials(lambda: (key, secret)),
        secure=False,
        region="us-east-1",
        limits=StoreLimits(
            connect_timeout_s=1.0, read_timeout_s=read_timeout_s, call_timeout_s=60.0, min_bytes_per_s=1024
        ),
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
