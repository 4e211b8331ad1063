"""The reader of the crash matrix sees what it is there to see: without that, the matrix proves nothing."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.watchful_reader import WatchfulReader

if TYPE_CHECKING:
    from support.workers import Place

MANIFEST, EXPORT = "find/job/manifest.json", "find/job/data-1/a.json"


class FakePlace:
    """A bucket and a topic in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.events: list[Any] = []
        self.results = "results"
        self.topics = SimpleNamespace(find_complete="find-complete")
        self.store = SimpleNamespace(list_objects=self._list)

    def _list(self, *_: object, **__: object) -> list[Any]:
        found = dict(self.objects)
        return [SimpleNamespace(object_name=key, etag=hashlib.md5(found[key]).hexdigest()) for key in sorted(found)]  # noqa: S324

    def get(self, key: str) -> bytes:
        """An object."""
        return self.objects[key]

    def records(self, _: str) -> list[Any]:
        """All find-complete."""
        return list(self.events)

    def show(self, content: bytes = b"whole") -> None:
        """Make a result visible that promises one export."""
        export = {"key": EXPORT, "sha256": hashlib.sha256(content).hexdigest()}
        self.objects[MANIFEST] = json.dumps({"exports": [export]}).encode()

    def tell(self, sha256: str) -> None:
        """Publish a find-complete."""
        told = {"manifest_key": MANIFEST, "manifest_sha256": sha256, "find_job_id": "job"}
        self.events.append(SimpleNamespace(data=told))


@pytest.fixture
def place() -> FakePlace:
    """Nothing is there yet."""
    return FakePlace()


def problem_of(place: FakePlace) -> str:
    """What a reader says of a place that does not change any more."""
    with WatchfulReader(cast("Place", place)) as reader, pytest.raises(AssertionError) as said:
        reader.check()
    return str(said.value)


def test_a_whole_result_is_no_problem(place: FakePlace) -> None:
    """Nor are objects that no manifest names yet."""
    place.objects |= {EXPORT: b"whole", "find/other/data-2/b.json": b"under way"}
    place.show()
    place.tell(hashlib.sha256(place.objects[MANIFEST]).hexdigest())
    with WatchfulReader(cast("Place", place)) as reader:
        reader.check()


def test_a_manifest_before_its_objects(place: FakePlace) -> None:
    """A visible manifest promises something that is not there: half a result."""
    place.show()
    assert "is not there" in problem_of(place)


def test_an_object_that_is_not_what_the_manifest_says(place: FakePlace) -> None:
    """Right name, other bytes."""
    place.objects[EXPORT] = b"other"
    place.show()
    assert "is not what it says" in problem_of(place)


def test_a_find_complete_without_its_manifest(place: FakePlace) -> None:
    """Whoever hears the event looks in vain."""
    place.tell("0" * 64)
    assert "the reader failed: KeyError" in problem_of(place)


def test_a_find_complete_of_another_manifest(place: FakePlace) -> None:
    """The manifest that is there is not the one that was announced."""
    place.objects[EXPORT] = b"whole"
    place.show()
    place.tell("0" * 64)
    assert "names another manifest" in problem_of(place)


def test_a_manifest_that_vanishes(place: FakePlace) -> None:
    """What was visible stays visible."""
    place.objects[EXPORT] = b"whole"
    place.show()
    with WatchfulReader(cast("Place", place)) as reader:
        reader.check()
        del place.objects[MANIFEST]
        with pytest.raises(AssertionError, match="vanished"):
            reader.check()


def test_what_the_test_itself_removed_is_not_missed(place: FakePlace) -> None:
    """And only for as long as it says so."""
    place.show()
    reader = WatchfulReader(cast("Place", place))
    with reader.blind_to({EXPORT}), reader:
        reader.check()
        place.objects[EXPORT] = b"whole"
        reader.check()
