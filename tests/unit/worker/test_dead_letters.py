"""What stands in a dead letter, which letters are meant, and how one becomes its event again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from support.fakes import FakePublisher, FakeStore
from support.house import JOB, RESULTS, TOPICS, record_of

from mistudio_worker.commands.dead_letters import parse_time
from mistudio_worker.errors import RefusedInput, WrongUsage
from mistudio_worker.worker.announcements import dead_letter_message, publish_dead_letter
from mistudio_worker.worker.dead_letters import (
    REPLAY_OF,
    DeadLetter,
    Selection,
    is_replayed,
    mark_replayed,
    original_event,
    read_letter,
    without_texts,
)
from mistudio_worker.worker.ports import Message, Record

HEADERS = [("ce_id", b"1"), ("again", b"\xff"), ("again", b"2")]
REFUSED = RefusedInput("ARTIFACT_MISSING", "what was found", "what to do")
DIED_MS = 1_767_323_045_000


@pytest.fixture
def store() -> FakeStore:
    """An empty results bucket."""
    made = FakeStore()
    made.buckets[RESULTS] = {}
    return made


def as_record(message: Message, offset: int = 7) -> Record:
    """A message as it lies in the dead-letter topic."""
    return Record("dead", 2, offset, DIED_MS, message.key, message.value, message.headers)


def letter_of(record: Record, attempt: int = 0) -> DeadLetter:
    """The letter that the worker writes of a record."""
    return read_letter(as_record(dead_letter_message(TOPICS, record, REFUSED, attempt)))


async def test_an_event_comes_back_as_it_was(store: FakeStore) -> None:
    """Topic, key and value are the original's, its headers come first, and the history after them."""
    record = record_of(offset=5, partition=3, headers=HEADERS)
    message = await original_event(store, RESULTS, letter_of(record))
    assert (message.topic, message.key, message.value) == (record.topic, record.key, record.value)
    assert list(message.headers[:3]) == HEADERS
    assert message.headers[-1] == (REPLAY_OF, b"dead/2/7")


async def test_a_letter_of_a_replay_tells_both_deaths(store: FakeStore) -> None:
    """The newest death is the letter's own, the earlier ones stand before it."""
    replay = await original_event(store, RESULTS, letter_of(record_of(headers=HEADERS)))
    record = Record(replay.topic, 0, 9, DIED_MS, replay.key, replay.value, replay.headers)
    later = dead_letter_message(TOPICS, record, RefusedInput("ARTIFACT_CORRUPT", "m", "h"), 1)
    letter = read_letter(as_record(later, offset=8))
    assert letter.codes == ("ARTIFACT_MISSING", "ARTIFACT_CORRUPT")
    assert (letter.code, letter.origin, letter.attempt) == ("ARTIFACT_CORRUPT", "training-complete/0/9", "1")


async def test_a_replay_without_texts(store: FakeStore) -> None:
    """Codes and places stay, so that its deaths can still be told; the long texts go."""
    message = await original_event(store, RESULTS, letter_of(record_of(headers=[("x-mine", b"1")])))
    names = [name for name, _ in without_texts(message).headers]
    assert {"x-mine", "error-code", "original-offset", "replay-of"} <= set(names)
    assert not {"error-message", "error-hint"} & set(names)
    assert without_texts(message).value == message.value


async def test_an_event_that_was_too_large_for_the_topic(store: FakeStore) -> None:
    """A pointer is followed: value and headers come back from the store, checked by their hash."""
    record = record_of({"job_id": JOB, "filling": "x" * 50_000}, headers=HEADERS)
    publisher = FakePublisher(max_bytes=2_000)
    await publish_dead_letter(publisher, store, RESULTS, dead_letter_message(TOPICS, record, REFUSED, 0), record)
    letter = read_letter(as_record(publisher.messages[0]))
    assert letter.is_pointer
    message = await original_event(store, RESULTS, letter)
    assert message.value == record.value
    assert list(message.headers[:3]) == HEADERS
    assert dict(message.headers)["error-code"] == b"ARTIFACT_MISSING"
    key = json.loads(publisher.messages[0].value or b"")["key"]
    store.put(RESULTS, key, b"something else")
    with pytest.raises(RefusedInput, match="not the object") as refused:
        await original_event(store, RESULTS, letter)
    assert refused.value.code == "DEAD_LETTER_UNREADABLE"
    await store.remove(RESULTS, [key])
    with pytest.raises(RefusedInput, match="is gone"):
        await original_event(store, RESULTS, letter)


async def test_a_pointer_leads_nowhere_else(store: FakeStore) -> None:
    """A forged pointer reads nothing but what lies under dead-letters/."""
    store.put(RESULTS, "find/secret", b"s")
    value = json.dumps({"key": "find/secret", "sha256": "0" * 64}).encode()
    headers = [("content-type", b"application/vnd.mistudio.pointer+json"), ("original-topic", b"t")]
    for body in (value, b"no JSON", b"[]"):
        with pytest.raises(RefusedInput):
            await original_event(store, RESULTS, read_letter(as_record(Message("dead", None, body, headers))))
    assert store.count("read_range") == 0


async def test_a_record_that_is_no_letter(store: FakeStore) -> None:
    """What somebody else wrote into the topic can be listed, and is not sent anywhere."""
    letter = read_letter(as_record(Message("dead", b"\xff", None, [])))
    assert (letter.code, letter.job, letter.codes) == ("", None, ())
    with pytest.raises(RefusedInput, match="original-topic"):
        await original_event(store, RESULTS, letter)


async def test_the_mark(store: FakeStore) -> None:
    """A letter that was sent again is known by it, and no other."""
    one, other = letter_of(record_of()), read_letter(as_record(Message("dead", None, None, []), offset=8))
    await mark_replayed(store, RESULTS, one)
    assert await is_replayed(store, RESULTS, one)
    assert not await is_replayed(store, RESULTS, other)


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(), True),
        (Selection(codes=frozenset({"ARTIFACT_MISSING"})), True),
        (Selection(codes=frozenset({"OTHER"})), False),
        (Selection(jobs=frozenset({JOB, "other"})), True),
        (Selection(jobs=frozenset({"other"})), False),
        (Selection(places=frozenset({"2:7"})), True),
        (Selection(places=frozenset({"7:2"})), False),
        (Selection(since=datetime.fromtimestamp(DIED_MS / 1000, UTC)), True),
        (Selection(until=datetime.fromtimestamp(DIED_MS / 1000, UTC)), False),
        (Selection(codes=frozenset({"ARTIFACT_MISSING"}), jobs=frozenset({"other"})), False),
    ],
)
def test_which_are_meant(selection: Selection, *, meant: bool) -> None:
    """Each part that is given must hold; the start of a time counts, its end does not."""
    assert selection.has(letter_of(record_of())) is meant


def test_times() -> None:
    """Ages count back from now, times without a zone are UTC."""
    now = datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert parse_time("90m", now=now) == now - timedelta(minutes=90)
    assert parse_time("7d", now=now) == now - timedelta(days=7)
    assert parse_time("2026-01-02T12:00:00") == now
    assert parse_time("2026-01-02T13:00:00+01:00") == now
    assert parse_time(None) is None


@pytest.mark.parametrize("text", ["soon", "h", "", "1e400d", "nand"])
def test_times_that_are_none(text: str) -> None:
    """What is no time is wrong usage."""
    with pytest.raises(WrongUsage) as error:
        parse_time(text)
    assert error.value.code == "INVALID_TIME"
