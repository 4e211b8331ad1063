"""What is remembered of a service's answers, and that every call of the store is watched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from support.fakes import FakeStore, away

from mistudio_worker.errors import NotYetThere, ServiceAway
from mistudio_worker.worker.observed_store import ObservedStore
from mistudio_worker.worker.ports import ObjectInfo
from mistudio_worker.worker.service_watch import ServiceWatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

INFO = ObjectInfo("key", 4, "other")


def test_an_answer_is_remembered() -> None:
    """Also one that is a refusal."""
    watch = ServiceWatch()
    with pytest.raises(NotYetThere), watch.call():
        raise NotYetThere("ARTIFACT_MISSING", "absent", "wait")
    assert watch.answered_s is not None
    assert watch.failed_s is None


def test_an_outage_is_remembered_with_its_code() -> None:
    """It is no answer."""
    watch = ServiceWatch()
    with pytest.raises(ServiceAway), watch.call():
        raise away()
    assert (watch.answered_s, watch.code) == (None, "STORE_UNAVAILABLE")
    assert watch.failed_s is not None


def test_a_cancelled_call_says_nothing() -> None:
    """The worker ended it, not the service."""
    watch = ServiceWatch()
    with pytest.raises(asyncio.CancelledError), watch.call():
        raise asyncio.CancelledError
    assert watch == ServiceWatch()


CALLS: dict[str, Callable[[ObservedStore, Path], Awaitable[object]]] = {
    "head": lambda store, _: store.head("bucket", "key"),
    "read_range": lambda store, _: store.read_range("bucket", INFO, 0, 1),
    "download": lambda store, path: store.download("bucket", INFO, path),
    "list_objects": lambda store, _: store.list_objects("bucket", ""),
    "upload": lambda store, path: store.upload("bucket", "new", path, sha256="x"),
    "put_new": lambda store, _: store.put_new("bucket", "new", b""),
    "remove": lambda store, _: store.remove("bucket", ["key"]),
    "abort_uploads": lambda store, _: store.abort_uploads("bucket", ""),
    "bucket_exists": lambda store, _: store.bucket_exists("bucket"),
    "create_bucket": lambda store, _: store.create_bucket("bucket"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_every_call_of_the_store_is_watched(name: str, tmp_path: Path) -> None:
    """It goes to the store, and how it ends is noted."""
    fake, watch = FakeStore(), ServiceWatch()
    fake.put("bucket", "key", b"data")
    fake.fault = away()
    with pytest.raises(ServiceAway):
        await CALLS[name](ObservedStore(fake, watch), tmp_path / "file")
    assert [method for method, _ in fake.calls] == [name]
    assert watch.code == "STORE_UNAVAILABLE"
