"""A reader that never looks away: it must not see half a result, at no moment."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from support.workers import OUTCOME_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.workers import Place, Seen

PAUSE_S = 0.1


class WatchfulReader:
    """Lists and verifies on a thread of its own, for as long as a `with` block.

    A manifest that is visible names objects that are there, whole; a find-complete that can be read names such a
    manifest.

    Args:
        place: what is read.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._ended = threading.Event()
        self._turned = threading.Condition()
        self._turns = 0
        self._blind_to: set[str] = set()
        self._known: dict[tuple[str, str], str] = {}
        self._events_read = 0
        self._manifests: dict[str, dict[str, Any]] = {}
        self._problems: list[str] = []

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread = threading.Thread(target=self._read, name="watchful-reader", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    @contextmanager
    def blind_to(self, keys: set[str]) -> Iterator[None]:
        """Do not miss these objects: the test has removed them."""
        self._blind_to |= keys
        yield
        self._blind_to -= keys

    def check(self) -> None:
        """Wait for two more whole turns, and say what was ever wrong."""
        with self._turned:
            wanted = self._turns + 3  # the one that is under way does not count
            seen = self._turned.wait_for(lambda: self._turns >= wanted or bool(self._problems), OUTCOME_WITHIN_S)
        assert seen, "the reader is stuck"
        problems, self._problems = self._problems, []
        assert not problems, "; ".join(problems)

    def _read(self) -> None:
        while not self._ended.wait(PAUSE_S):
            try:
                self._turn()
            except Exception as error:  # a test that looks the other way proves nothing
                self._problems.append(f"the reader failed: {error!r}")
            with self._turned:
                self._turns += 1
                self._turned.notify_all()

    def _turn(self) -> None:
        """Compare the manifests of the last turn with the objects of this one: a list is no picture of one moment."""
        place = self._place
        events = place.records(place.topics.find_complete)
        found = {
            item.object_name or "": (item.etag or "").strip('"')
            for item in place.store.list_objects(place.results, prefix="find/", recursive=True)
        }
        for key, manifest in self._manifests.items():
            self._compare(key, manifest, found)
        for event in events[self._events_read :]:
            self._check_event(event)
        self._events_read = len(events)
        new = [key for key in found if key.endswith("/manifest.json") and key not in self._manifests]
        self._manifests |= {key: json.loads(place.get(key)) for key in new}

    def _compare(self, key: str, manifest: dict[str, Any], found: dict[str, str]) -> None:
        if key not in found:
            self._problems.append(f"{key} vanished")
        for export in manifest["exports"]:
            if export["key"] in self._blind_to:
                continue
            if export["key"] not in found:
                self._problems.append(f"{key} is visible, {export['key']} is not there")
            elif self._sha256(export["key"], found[export["key"]]) != export["sha256"]:
                self._problems.append(f"{key} is visible, {export['key']} is not what it says")

    def _check_event(self, event: Seen) -> None:
        told = event.data
        if hashlib.sha256(self._place.get(told["manifest_key"])).hexdigest() != told["manifest_sha256"]:
            self._problems.append(f"find-complete of {told['find_job_id']} names another manifest")

    def _sha256(self, key: str, etag: str) -> str:
        if (key, etag) not in self._known:
            self._known[key, etag] = hashlib.sha256(self._place.get(key)).hexdigest()
        return self._known[key, etag]
