"""Finding artifacts, naming their content, fetching them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from support.house import ARTIFACTS, CONTENTS, JOB, KEYS, record_of, store_with_run

from mistudio_worker.domain.identity import FINGERPRINT_TAIL_BYTES, fingerprint
from mistudio_worker.errors import NotYetThere, RefusedInput, ServiceAway
from mistudio_worker.worker.incoming import TrainingRequest, read_request
from mistudio_worker.worker.inputs import InputLimits, Inputs, fetch, locate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fakes import FakeStore

LIMITS = InputLimits(total_bytes=1 << 30, metadata_bytes=4 << 20)


def request(**artifacts: dict[str, Any]) -> TrainingRequest:
    """A request for the usual run, with what the event says of its files."""
    given = {name: {"key": KEYS[name], **said} for name, said in artifacts.items()}
    return read_request(record_of({"job_id": JOB, "artifacts": given}), artifacts_bucket=ARTIFACTS)


@pytest.fixture
def store() -> FakeStore:
    """The usual run."""
    return store_with_run()


async def located(store: FakeStore) -> Inputs:
    """Look at the usual run."""
    return await locate(store, request(), LIMITS)


@pytest.mark.parametrize("name", sorted(KEYS))
@pytest.mark.parametrize("said", [{"size": 3}, {"etag": "other"}], ids=["size", "etag"])
async def test_not_what_the_event_says(store: FakeStore, name: str, said: dict[str, Any]) -> None:
    """A file of another size or etag than the event's is refused, with both figures."""
    with pytest.raises(RefusedInput) as refused:
        await locate(store, request(**{name: said}), LIMITS)
    assert refused.value.code == "ARTIFACT_CHECKSUM"
    assert name in refused.value.message
    assert str(next(iter(said.values()))) in refused.value.message


async def test_what_the_event_says_is_right(store: FakeStore, tmp_path: Path) -> None:
    """Size, quoted etag and hash that fit are no obstacle."""
    info = await store.head(ARTIFACTS, KEYS["metadata"])
    assert info is not None
    said = {"size": info.size, "etag": f'"{info.etag}"', "sha256": hashlib.sha256(CONTENTS["metadata"]).hexdigest()}
    asked = request(metadata=said)
    fetched = await fetch(store, await locate(store, asked, LIMITS), asked, tmp_path)
    assert {name: file.path.read_bytes() for name, file in fetched.items()} == CONTENTS
    assert {file.path.name for file in fetched.values()} == {
        "metadata.json",
        "sae_model.pt",
        "feature_activations.pt",
    }


@pytest.mark.parametrize("name", sorted(KEYS))
async def test_a_wrong_hash(store: FakeStore, name: str, tmp_path: Path) -> None:
    """Each file is held against the event's SHA-256."""
    asked = request(**{name: {"sha256": "0" * 64}})
    with pytest.raises(RefusedInput) as refused:
        await fetch(store, await locate(store, asked, LIMITS), asked, tmp_path)
    assert refused.value.code == "ARTIFACT_CHECKSUM"


@pytest.mark.parametrize(("value", "ready"), [(False, False), (None, False), (0, False), (True, True)])
async def test_ready(store: FakeStore, *, value: object, ready: bool) -> None:
    """A run that says it is not ready is not there yet."""
    store.put(ARTIFACTS, KEYS["metadata"], json.dumps({"ready_for_find_service": value}).encode())
    if ready:
        await located(store)
    else:
        with pytest.raises(NotYetThere) as refused:
            await located(store)
        assert refused.value.code == "ARTIFACT_NOT_READY"


@pytest.mark.parametrize("content", [b"", b"{}", b"no JSON", b"[1]", b"[" * 100_000, b"\xff"])
async def test_metadata_that_says_nothing(store: FakeStore, content: bytes) -> None:
    """Absent or unreadable words count as ready, and the time is not known."""
    store.put(ARTIFACTS, KEYS["metadata"], content)
    assert (await located(store)).timestamp is None


async def test_the_names_follow_the_content(store: FakeStore) -> None:
    """A change of any file changes its name, and no other one."""
    before = (await located(store)).fingerprints
    for name, key in KEYS.items():
        changed = store_with_run()
        changed.put(ARTIFACTS, key, CONTENTS[name] + b" ")
        after = (await located(changed)).fingerprints
        assert {other for other in KEYS if before[other] != after[other]} == {name}


async def test_all_of_the_metadata_counts(store: FakeStore) -> None:
    """Of a metadata.json over a MiB the first byte counts as well as the last."""
    filler = " " * (2 << 20)
    names = []
    for first, last in ((1, 1), (2, 1), (1, 2)):
        store.put(ARTIFACTS, KEYS["metadata"], f'{{"first": {first},{filler}"last": {last}}}'.encode())
        names.append((await located(store)).fingerprints["metadata"])
    assert len(set(names)) == 3


async def test_a_checkpoint_is_named_by_its_end(store: FakeStore) -> None:
    """Only the last MiB of a large checkpoint is read, and its size."""
    content = bytes(3 << 20) + b"the zip directory"
    store.put(ARTIFACTS, KEYS["sae_model"], content)
    expected = fingerprint(len(content), content[-FINGERPRINT_TAIL_BYTES:])
    assert (await located(store)).fingerprints["sae_model"] == expected
    assert store.count("download") == 0


async def test_what_is_absent(store: FakeStore, tmp_path: Path) -> None:
    """Absent files are named, have no fingerprint, and are not fetched."""
    for name in ("sae_model", "metadata"):
        del store.buckets[ARTIFACTS][KEYS[name]]
    inputs = await located(store)
    assert set(inputs.absent) == {"sae_model", "metadata"}
    assert (inputs.fingerprints["sae_model"], inputs.fingerprints["metadata"]) == (None, None)
    assert set(await fetch(store, inputs, request(), tmp_path)) == {"feature_activations"}


async def test_no_activations(store: FakeStore) -> None:
    """Without activations there is no run."""
    del store.buckets[ARTIFACTS][KEYS["feature_activations"]]
    with pytest.raises(NotYetThere) as refused:
        await located(store)
    assert refused.value.code == "ARTIFACT_MISSING"


def denied_at(bucket: str, code: str) -> Callable[[str, str], None]:
    """A store that serves no object, and lets the worker into its own bucket all the same."""

    def refuse(method: str, _key: str) -> None:
        if method != "bucket_exists":
            raise ServiceAway(code, f"bucket {bucket}", "h")

    return refuse


@pytest.mark.parametrize(("bucket", "code"), [("of-others", "BUCKET_DENIED"), (ARTIFACTS, "STORE_DENIED")])
async def test_a_closed_bucket(store: FakeStore, bucket: str, code: str) -> None:
    """A closed bucket that only the event names is the event's fault; our own is an outage, and waited for."""
    store.before.append(denied_at(bucket, "STORE_DENIED"))
    asked = read_request(record_of({"job_id": JOB, "bucket": bucket}), artifacts_bucket=ARTIFACTS)
    with pytest.raises(RefusedInput if code == "BUCKET_DENIED" else ServiceAway) as refused:
        await locate(store, asked, LIMITS)
    assert refused.value.code == code


async def test_a_closed_key(store: FakeStore) -> None:
    """A key that only the event names, in our own bucket, closed to us: the event's fault too."""
    store.before.append(denied_at(ARTIFACTS, "STORE_DENIED"))
    asked = read_request(
        record_of({"job_id": JOB, "artifacts": {"metadata": {"key": "private/x"}}}), artifacts_bucket=ARTIFACTS
    )
    with pytest.raises(RefusedInput) as refused:
        await locate(store, asked, LIMITS)
    assert refused.value.code == "BUCKET_DENIED"


async def test_an_object_that_is_not_served(store: FakeStore, tmp_path: Path) -> None:
    """An object that the store will never serve is refused at the look and at the download, not waited for."""
    inputs = await located(store)
    store.before.append(denied_at(ARTIFACTS, "STORE_REFUSED"))
    for call in (locate(store, request(), LIMITS), fetch(store, inputs, request(), tmp_path)):
        with pytest.raises(RefusedInput) as refused:
            await call
        assert refused.value.code == "ARTIFACT_UNREADABLE"


async def test_credentials_that_are_refused_everywhere(store: FakeStore) -> None:
    """Where our own bucket is closed too, the event that names another one is not to blame."""
    store.fault = ServiceAway("STORE_DENIED", "m", "h")
    asked = read_request(record_of({"job_id": JOB, "bucket": "of-others"}), artifacts_bucket=ARTIFACTS)
    with pytest.raises(ServiceAway):
        await locate(store, asked, LIMITS)


@pytest.mark.parametrize(
    ("limits", "setting"),
    [
        (InputLimits(total_bytes=50, metadata_bytes=1000), "MISTUDIO_JOB__DISK_BYTES"),
        (InputLimits(total_bytes=1000, metadata_bytes=50), "MISTUDIO_ANALYSIS__MAX_METADATA_BYTES"),
    ],
)
async def test_too_large(store: FakeStore, limits: InputLimits, setting: str) -> None:
    """What would not fit is refused before a byte is read, naming the setting."""
    with pytest.raises(RefusedInput) as refused:
        await locate(store, request(), limits)
    assert refused.value.code == "ARTIFACT_TOO_LARGE"
    assert setting in refused.value.hint
    assert store.count("read_range") == store.count("download") == 0
