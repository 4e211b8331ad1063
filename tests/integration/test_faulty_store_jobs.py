"""Whole jobs on a real store that misbehaves: each ends with one result at its first attempt, told once."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, cast

import pytest
from support.fault_store import FaultyFront, answer_lost, answered, cut_at, header_changed, upload_damaged, without
from support.house import CONFIG, CONTENTS, KEYS, House
from support.services import Services

from mistudio_worker import bootstrap
from mistudio_worker.adapters.minio_store import MinioStore
from mistudio_worker.adapters.store_credentials import StoreCredentials
from mistudio_worker.adapters.store_http import StoreLimits
from mistudio_worker.contracts.manifest import ManifestV1
from mistudio_worker.errors import WrongUsage
from mistudio_worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded.stack import EmbeddedStack
    from support.fakes import FakeStore
    from support.fault_store import Fault

LIMITS = StoreLimits(connect_timeout_s=1.0, read_timeout_s=1.0, call_timeout_s=4.0, min_bytes_per_s=1_000)
MISSING = answered(404, "NoSuchBucket")


@dataclass
class FaultyHouse:
    """A worker in memory whose store is real, and lies behind a front that lets requests go wrong."""

    house: House
    front: FaultyFront
    services: Services
    results: str

    def keys(self, prefix: str) -> list[str]:
        """What really lies in the results bucket."""
        listed = self.services.store.list_objects(self.results, prefix=prefix, recursive=True)
        return [item.object_name or "" for item in listed]

    def manifests(self) -> list[ManifestV1]:
        """All manifests that really lie there."""
        found = []
        for key in (key for key in self.keys("find/") if key.endswith("/manifest.json")):
            with closing(self.services.store.get_object(self.results, key)) as response:
                found.append(ManifestV1.model_validate_json(response.read()))
        return found


@pytest.fixture(scope="module")
def places(stack: EmbeddedStack) -> Iterator[tuple[Services, str, str]]:
    """Buckets of this module on the shared store, the usual run in the first."""
    with closing(Services(stack.environment(), name=f"f{uuid.uuid4().hex[:12]}")) as services:
        artifacts, results = services.create_bucket("artifacts"), services.create_bucket("results")
        for name, key in KEYS.items():
            services.store.put_object(artifacts, key, BytesIO(CONTENTS[name]), len(CONTENTS[name]))
        yield services, artifacts, results


@pytest.fixture
def faulty(places: tuple[Services, str, str], tmp_path: Path) -> Iterator[FaultyHouse]:
    """With an empty bucket for results."""
    services, artifacts, results = places
    key, secret = services.store_settings.credentials()
    with FaultyFront(services.store_settings.address) as front:
        store = MinioStore(
            address=front.address,
            credentials=StoreCredentials(lambda: (key, secret)),
            secure=False,
            region="us-east-1",
            limits=LIMITS,
        )
        config = replace(CONFIG, artifacts_bucket=artifacts, results_bucket=results)
        with closing(store):
            house = House(tmp_path, store=cast("FakeStore", store), config=config).waiting(10.0)
            yield FaultyHouse(house, front, services, results)
    services.empty_bucket(results)


@pytest.mark.parametrize(
    ("fault", "method", "path", "times"),
    [
        pytest.param(answer_lost, "PUT", "-started", 1, id="answer to the claim lost"),
        pytest.param(answer_lost, "PUT", "/data-", 2, id="answer to an upload lost"),
        pytest.param(answer_lost, "PUT", "/manifest.json", 2, id="answer to the manifest lost"),
        pytest.param(answer_lost, "", "", 6, id="answers to all lost"),
        pytest.param(answered(503, "SlowDown", Retry_After="3600"), "", "", 8, id="SlowDown"),
        pytest.param(answered(500, "InternalError"), "PUT", "", 5, id="500"),
        pytest.param(answered(507, "XMinioStorageFull"), "PUT", "", 5, id="storage full"),
        pytest.param(answered(409, "ConditionalRequestConflict"), "PUT", "-started", 2, id="conflict of claims"),
        pytest.param(answered(409, "ConditionalRequestConflict"), "PUT", "/manifest.json", 6, id="conflict"),
        pytest.param(MISSING, "PUT", "/data-", 3, id="bucket gone for a while"),
        pytest.param(MISSING, "GET", "list-type", 3, id="bucket gone at the claim"),
        pytest.param(cut_at(3), "GET", "/models/", 3, id="truncated"),
        pytest.param(header_changed("ETag", '"x"'), "GET", "/models/", 2, id="another ETag"),
        pytest.param(upload_damaged, "PUT", "", 3, id="damaged uploads"),
        pytest.param(without("If-None-Match"), "PUT", "-started", 4, id="condition not honoured for a while"),
    ],
)
async def test_one_result(faulty: FaultyHouse, fault: Fault, method: str, path: str, times: int) -> None:
    """An outage, whatever it looks like, counts nothing, dead-letters nothing, and ends by itself."""
    injected = faulty.front.inject(fault, method=method, path=path, times=times)
    await faulty.house.run()
    assert injected.met == times
    assert faulty.house.codes() == []
    (manifest,) = faulty.manifests()
    assert manifest.attempt == 1
    (told,) = faulty.house.completed()
    assert json.loads(told.value or b"")["find_job_id"] == manifest.find_job_id
    named = {f"find/{manifest.find_job_id}/manifest.json", *(export.key for export in manifest.exports)}
    assert set(faulty.keys("find/")) == named
    assert faulty.keys("attempts/") == []
    assert not faulty.house.patience.away


async def test_a_store_that_ignores_the_condition_is_refused_at_the_start(faulty: FaultyHouse) -> None:
    """Two workers could both write a manifest there: the worker does not begin."""
    settings = Settings(store={"results_bucket": faulty.results})
    await bootstrap._check_store(settings, faulty.house.store, "attempts/probe-test")
    faulty.front.inject(without("If-None-Match"), method="PUT")
    with pytest.raises(WrongUsage) as refused:
        await bootstrap._check_store(settings, faulty.house.store, "attempts/probe-test")
    assert refused.value.code == "STORE_UNSAFE"
    assert faulty.keys("") == []
