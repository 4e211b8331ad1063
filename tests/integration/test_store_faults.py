"""The adapter on a real store that misbehaves: what the worker is told, and what it never believes."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from support.fault_store import (
    Answer,
    FaultyFront,
    Request,
    after,
    answer_lost,
    answered,
    cut_at,
    header_changed,
    instead,
    trickling,
    upload_damaged,
)
from support.services import Services

from mistudio_worker.adapters.minio_store import MinioStore
from mistudio_worker.adapters.store_credentials import StoreCredentials
from mistudio_worker.adapters.store_http import StoreLimits
from mistudio_worker.errors import MistudioError, NotYetThere, ServiceAway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded.stack import EmbeddedStack
    from support.fault_store import Fault

    from mistudio_worker.worker.ports import ObjectInfo

CONTENT = bytes(range(256)) * 8_000  # 2 MB
LIMITS = StoreLimits(connect_timeout_s=1.0, read_timeout_s=1.0, call_timeout_s=4.0, min_bytes_per_s=50_000)


@dataclass
class Case:
    """The adapter, the front that it goes through, and the same store without the front."""

    store: MinioStore
    front: FaultyFront
    services: Services
    bucket: str

    async def put(self, key: str = "key", content: bytes = CONTENT) -> ObjectInfo:
        """Put an object, and look at it."""
        self.services.store.put_object(self.bucket, key, BytesIO(content), len(content))
        info = await self.store.head(self.bucket, key)
        assert info is not None
        return info

    def keys(self) -> list[str]:
        """What really lies in the bucket."""
        return [item.object_name or "" for item in self.services.store.list_objects(self.bucket, recursive=True)]


def opened(address: str, services: Services) -> MinioStore:
    """The adapter at an address, with short limits."""
    key, secret = services.store_settings.credentials()
    return MinioStore(
        address=address,
        credentials=StoreCredentials(lambda: (key, secret)),
        secure=False,
        region="us-east-1",
        limits=LIMITS,
    )


@pytest.fixture(scope="module")
def own_bucket(stack: EmbeddedStack) -> Iterator[tuple[Services, str]]:
    """A bucket of this module on the shared store."""
    with closing(Services(stack.environment(), name=f"f{uuid.uuid4().hex[:12]}")) as services:
        yield services, services.create_bucket()


@pytest.fixture
def case(own_bucket: tuple[Services, str]) -> Iterator[Case]:
    """On the shared store; the bucket is empty."""
    services, bucket = own_bucket
    with FaultyFront(services.store_settings.address) as front, closing(opened(front.address, services)) as store:
        yield Case(store, front, services, bucket)
    services.empty_bucket(bucket)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (answered(503, "SlowDown", Retry_After="3600"), "SlowDown"),
        (answered(500, "InternalError"), "InternalError"),
        (answered(502, "BadGateway"), "BadGateway"),
        (answered(507, "XMinioStorageFull"), "XMinioStorageFull"),
        (answered(429, "TooManyRequests", Retry_After="3600"), "TooManyRequests"),
    ],
    ids=["SlowDown", "500", "502", "storage full", "429"],
)
async def test_an_overloaded_store_is_away(case: Case, fault: Fault, said: str, tmp_path: Path) -> None:
    """It is waited for and not refused, by its own name for it; what it asks for in Retry-After holds up no thread."""
    info = await case.put()
    (tmp_path / "file").write_bytes(b"x")
    case.front.inject(fault)
    begun_s = time.monotonic()
    messages = []
    for call in (
        case.store.read_range(case.bucket, info, 0, 1),
        case.store.list_objects(case.bucket, ""),
        case.store.upload(case.bucket, "new", tmp_path / "file", sha256="0" * 64),
        case.store.put_new(case.bucket, "new", b""),
        case.store.head(case.bucket, "key"),
    ):
        with pytest.raises(ServiceAway) as refused:
            await call
        assert refused.value.code == "STORE_UNAVAILABLE"
        messages.append(refused.value.message)
    assert all(said in message for message in messages[:3])  # the other answers have no body, or none that is read
    assert time.monotonic() - begun_s < 10
    case.front.heal()
    assert case.keys() == ["key"]


async def test_a_single_overload_is_not_noticed(case: Case, tmp_path: Path) -> None:
    """A second try answers for the first."""
    info = await case.put()
    case.front.inject(answered(503, "SlowDown"), times=1)
    assert (await case.store.download(case.bucket, info, tmp_path / "file")).size == len(CONTENT)


@pytest.mark.parametrize("size", [0, 1, 300_000, len(CONTENT) - 1])
async def test_a_download_that_breaks_off_goes_on(case: Case, tmp_path: Path, size: int) -> None:
    """What came stays, the rest is asked for with the same condition, and the hash is of the whole."""
    info = await case.put()
    case.front.inject(cut_at(size), method="GET", path="/key", times=1 if size == 0 else 3)
    if size == 0:
        with pytest.raises(ServiceAway):
            await case.store.download(case.bucket, info, tmp_path / "file")
    fetched = await case.store.download(case.bucket, info, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert fetched.sha256 == hashlib.sha256(CONTENT).hexdigest()
    asked = [
        request.headers for request in case.front.seen if request.method == "GET" and request.path.endswith("/key")
    ]
    assert {headers["If-Match"] for headers in asked} == {f'"{info.etag}"'}


async def test_an_object_that_changes_in_mid_download(case: Case, tmp_path: Path) -> None:
    """Two versions are never mixed: where the rest is of another one, all of it is."""
    info = await case.put()

    def replaced() -> None:
        case.services.store.put_object(case.bucket, "key", BytesIO(b"y" * len(CONTENT)), len(CONTENT))

    case.front.inject(cut_at(1_000_000), method="GET", path="/key", times=1)
    case.front.inject(after(replaced), method="GET", path="/key", times=1)
    with pytest.raises(NotYetThere) as refused:
        await case.store.download(case.bucket, info, tmp_path / "file")
    assert refused.value.code == "ARTIFACT_CHANGED"


async def test_an_etag_that_does_not_fit(case: Case, tmp_path: Path) -> None:
    """Also a store that does not heed If-Match cannot pass one version off as another."""
    info = await case.put(content=b"old" * 100)
    case.front.inject(header_changed("ETag", '"other"'), method="GET", path="/key")
    for call in (
        case.store.download(case.bucket, info, tmp_path / "file"),
        case.store.read_range(case.bucket, info, 0, 3),
    ):
        with pytest.raises(NotYetThere) as refused:
            await call
        assert refused.value.code == "ARTIFACT_CHANGED"


ALL = Answer(200, {"Content-Length": str(len(CONTENT))}, CONTENT)


@pytest.mark.parametrize(
    "fault", [instead(ALL), header_changed("Content-Range", "bytes 0-2/2048000")], ids=["all", "another"]
)
async def test_other_bytes_than_were_asked_for(case: Case, fault: Fault) -> None:
    """A store that sends another range, or all there is, is not believed, and not read to the end."""
    info = await case.put()
    case.front.inject(fault, method="GET", path="/key")
    with pytest.raises(ServiceAway) as refused:
        await case.store.read_range(case.bucket, info, 100, 3)
    assert "to a request for 3 bytes from 100" in refused.value.message


async def test_a_whole_answer_to_a_range_of_all(case: Case, tmp_path: Path) -> None:
    """All of it for a request of all of it is right, whatever the status."""
    info = await case.put()
    case.front.inject(instead(ALL), method="GET", path="/key")
    assert (await case.store.download(case.bucket, info, tmp_path / "file")).size == len(CONTENT)


async def test_a_download_that_trickles_is_given_up(case: Case, tmp_path: Path) -> None:
    """Some bytes each second are a sign of life, and still no reason to wait for ever."""
    info = await case.put()
    case.front.inject(trickling(0.01), method="GET", path="/key")
    begun_s = time.monotonic()
    with pytest.raises(ServiceAway) as refused:
        await case.store.download(case.bucket, info, tmp_path / "file")
    assert "too slowly" in refused.value.message
    assert time.monotonic() - begun_s < 8


async def test_an_answer_that_trickles_is_given_up(case: Case) -> None:
    """A whole call has a limit, too."""
    for number in range(20):
        case.services.store.put_object(case.bucket, f"key-{number}", BytesIO(b""), 0)
    case.front.inject(trickling(0.5), method="GET")
    with pytest.raises(ServiceAway) as refused:
        await case.store.list_objects(case.bucket, "")
    assert "did not answer within 4 s" in refused.value.message


@pytest.mark.parametrize("size", [100, 6 << 20], ids=["whole", "in parts"])
async def test_a_damaged_upload_is_refused_by_the_store(case: Case, tmp_path: Path, size: int) -> None:
    """Each put carries a checksum: a bit that flips on the way never becomes an object."""
    (tmp_path / "file").write_bytes(bytes(size))
    case.front.inject(upload_damaged, method="PUT")
    with pytest.raises(ServiceAway):
        await case.store.upload(case.bucket, "key", tmp_path / "file", sha256="0" * 64)
    with pytest.raises(ServiceAway):
        await case.store.put_new(case.bucket, "marker", b"content")
    case.front.heal()
    assert case.keys() == []


async def test_an_upload_that_fails_leaves_no_parts(case: Case, tmp_path: Path) -> None:
    """Where a part is refused, those before it are removed."""
    (tmp_path / "file").write_bytes(bytes(11 << 20))
    injected = case.front.inject(answered(400, "BadDigest"), method="PUT", path="partNumber=2")
    with pytest.raises(ServiceAway):
        await case.store.upload(case.bucket, "key", tmp_path / "file", sha256="0" * 64)
    assert injected.met == 1
    assert case.keys() == []
    assert case.services.store._list_multipart_uploads(case.bucket).uploads == []


async def test_a_conflict_of_conditional_puts_is_tried_again_at_once(case: Case) -> None:
    """409 means that another one is under way: the answer is known a moment later, and nothing is away."""
    injected = case.front.inject(answered(409, "ConditionalRequestConflict"), method="PUT", times=2)
    assert await case.store.put_new(case.bucket, "key", b"1")
    assert injected.met == 2
    case.front.inject(answered(409, "ConditionalRequestConflict"), method="PUT", times=1)
    assert not await case.store.put_new(case.bucket, "key", b"2")


async def test_a_conflict_that_stays_is_an_outage(case: Case) -> None:
    """After some tries it is waited for like any other."""
    case.front.inject(answered(409, "ConditionalRequestConflict"), method="PUT")
    with pytest.raises(ServiceAway) as refused:
        await case.store.put_new(case.bucket, "key", b"1")
    assert refused.value.code == "STORE_UNAVAILABLE"


async def test_an_answer_that_is_lost(case: Case) -> None:
    """The put took effect, which the next one tells."""
    case.front.inject(answer_lost, method="PUT", times=1)
    with pytest.raises(ServiceAway):
        await case.store.put_new(case.bucket, "key", b"1")
    assert not await case.store.put_new(case.bucket, "key", b"1")


async def test_a_cancelled_download_stops(case: Case, tmp_path: Path) -> None:
    """Nobody fills a disk for a job that was given back."""
    info = await case.put()
    case.front.inject(trickling(0.01, block_bytes=2_000), method="GET", path="/key")  # 10 s in all
    threads = threading.active_count()
    download = asyncio.create_task(case.store.download(case.bucket, info, tmp_path / "file"))
    await _until(lambda: case.front.count("GET", "/key") == 1)
    download.cancel()
    with pytest.raises(asyncio.CancelledError):
        await download
    await _until(lambda: threading.active_count() <= threads)
    assert (tmp_path / "file").stat().st_size < len(CONTENT)


async def test_calls_that_hang_hold_up_nothing_else(case: Case) -> None:
    """Threads that wait for the store are not those that the rest of the worker uses."""
    released = threading.Event()

    def hang(request: Request, forward: object) -> Answer | None:
        del request, forward
        released.wait(10)
        return None

    case.front.inject(hang)
    calls = [asyncio.create_task(case.store.head(case.bucket, "key")) for _ in range(40)]
    await _until(lambda: case.front.count("HEAD") >= 20)
    begun_s = time.monotonic()
    assert await asyncio.to_thread(lambda: 1) == 1
    assert time.monotonic() - begun_s < 1
    released.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(answer, MistudioError) for answer in answers)


async def _until(true: object, within_s: float = 10.0) -> None:
    until_s = time.monotonic() + within_s
    assert callable(true)
    while not true():
        assert time.monotonic() < until_s
        await asyncio.sleep(0.01)
