"""What broker and store hold when all is over: read from them alone, by nobody who took part."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.workers import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from support.workers import Place, Seen

SWEPT_WITHIN_S = 30.0


@dataclass(frozen=True)
class Announced:
    """A record that was written into training-complete.

    Attributes:
        record: as it was written.
        job: training job id.
        refused: whether it has to end in the dead-letter topic.
        trace: its trace id, which only its own outcome carries.
    """

    record: Seen
    job: str
    refused: bool
    trace: str

    def answers(self, found: Iterable[Seen]) -> list[Seen]:
        """Those that answer this record."""
        return [seen for seen in found if self.trace in (seen.header("traceparent") or "")]

    def has_outcome(self, place: Place) -> bool:
        """Whether its outcome can be read."""
        if self.refused:
            failed = self.answers(place.records(place.topics.find_failed, self.job))
            return bool(failed) and place.letter_of(self.record) is not None
        return bool(self.answers(place.records(place.topics.find_complete, self.job)))


def check(place: Place, announced: Sequence[Announced]) -> None:
    """Check that every record has its outcome, no other one, and that nothing else is left.

    Raises:
        AssertionError: it is not so.
    """
    place.wait_until_committed()
    for one in announced:
        assert one.has_outcome(place), f"{one.job}: the offset is committed, the outcome is not there"
        (_check_refused if one.refused else _check_completed)(place, one)
    wait_for(lambda: place.keys("attempts/") == [] or None, f"no attempts: {place.keys('attempts/')}", SWEPT_WITHIN_S)
    assert list(place.store._list_multipart_uploads(place.results).uploads) == []


def _check_completed(place: Place, one: Announced) -> None:
    events = place.records(place.topics.find_complete, one.job)
    assert len({(seen.header("ce_id"), seen.value) for seen in events}) == 1, f"{one.job}: several find-complete"
    assert place.records(place.topics.find_failed, one.job) == []
    assert place.letter_of(one.record) is None
    told = events[0].data
    prefix, manifest = f"find/{told['find_job_id']}/", place.manifest(told["find_job_id"])
    assert events[0].header("ce_id") == told["find_job_id"] == manifest["find_job_id"]
    assert hashlib.sha256(place.get(told["manifest_key"])).hexdigest() == told["manifest_sha256"]
    assert manifest["source_job_id"] == one.job
    promised = {export["key"]: (export["size"], export["sha256"]) for export in manifest["exports"]}
    assert promised == {export["key"]: (export["size"], export["sha256"]) for export in told["exports"]}
    expected = sorted([*promised, told["manifest_key"]])
    wait_for(
        lambda: sorted(place.keys(prefix)) == expected or None, f"{one.job}: nothing but {expected}", SWEPT_WITHIN_S
    )
    stored = {key: place.get(key) for key in promised}
    assert {key: (len(raw), hashlib.sha256(raw).hexdigest()) for key, raw in stored.items()} == promised


def _check_refused(place: Place, one: Announced) -> None:
    record = one.record
    where = (str(record.partition), str(record.offset))
    letters = [
        seen
        for seen in place.records(place.topics.dead_letter)
        if (seen.header("original-partition"), seen.header("original-offset")) == where
    ]
    for letter in letters:
        assert (letter.key, letter.value) == (record.key, record.value)
        assert letter.headers[: len(record.headers)] == record.headers
    failed = place.records(place.topics.find_failed, one.job)
    # the number of the attempt is all that may differ between two tellings of one failure
    tellings = {(seen.header("ce_id"), json.dumps({**seen.data, "attempt": 0}, sort_keys=True)) for seen in failed}
    assert len(tellings) == 1
    assert {letter.header("error-code") for letter in letters} == {failed[0].data["code"]}
    assert place.records(place.topics.find_complete, one.job) == []


def check_store(place: Place, announced: Sequence[Announced]) -> None:
    """Check that the results bucket holds nothing but the results of what was announced."""
    completed = {
        seen.data["find_job_id"]
        for one in announced
        if not one.refused
        for seen in place.records(place.topics.find_complete, one.job)
    }
    assert {key.split("/")[1] for key in place.keys("find/")} == completed
    assert {key.split("/")[0] for key in place.keys("")} == {"find"}
