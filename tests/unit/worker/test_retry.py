"""The retry decision as a table, the ledger of attempts, and the patience with services."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
import structlog
from support.fakes import FakeStore, away
from support.house import record_of

from mistudio_worker.errors import AttemptsExhausted, ChildFailed, RefusedInput, ServiceAway
from mistudio_worker.worker.attempts import AttemptLedger, record_hash, sweep_passed
from mistudio_worker.worker.patience import Patience
from mistudio_worker.worker.ports import Partition, Record
from mistudio_worker.worker.retry import AttemptCounts, AttemptLimits, Budget, check_attempts, smaller_budget

GIB = 1 << 30


class TestDecision:
    @pytest.mark.parametrize(
        ("started", "failed", "released", "passes"),
        [
            (0, 0, 0, True),
            (2, 2, 0, True),
            (3, 3, 0, False),
            (9, 0, 0, True),
            (10, 0, 0, False),
            (100, 0, 100, True),
            (11, 2, 0, True),
            (12, 2, 0, False),
            (30, 2, 19, True),
            (4, 3, 1, False),
        ],
    )
    def test_when_it_ends(self, *, started: int, failed: int, released: int, passes: bool) -> None:
        """Three observed failures or ten silent deaths are the end; what was given back never counts."""
        counts = AttemptCounts(started, failed, released)
        if passes:
            check_attempts(counts, AttemptLimits())
        else:
            with pytest.raises(AttemptsExhausted) as ended:
                check_attempts(counts, AttemptLimits())
            assert ended.value.code == "ATTEMPTS_EXHAUSTED"

    def test_the_end_tells_the_last_cause(self) -> None:
        """The dead letter says what failed last and what to do about it."""
        last = ChildFailed("CHILD_TIMEOUT", "not done after 5 s", "raise the deadline")
        with pytest.raises(AttemptsExhausted, match="CHILD_TIMEOUT: not done after 5 s") as ended:
            check_attempts(AttemptCounts(3, 3), AttemptLimits(), last)
        assert ended.value.hint == "raise the deadline; then replay the dead letter"

    @pytest.mark.parametrize(
        ("counts", "code", "expected"),
        [
            (AttemptCounts(), None, (GIB, "auto")),
            (AttemptCounts(1, 1), "CHILD_KILLED", (GIB // 2, "auto")),
            (AttemptCounts(2, 2), "CHILD_KILLED", (GIB // 4, "cpu")),
            (AttemptCounts(1, 1), "DEVICE_FAILED", (GIB // 2, "cpu")),
            (AttemptCounts(1, 0), None, (GIB // 2, "auto")),
            (AttemptCounts(1, 0, 1), None, (GIB, "auto")),
            (AttemptCounts(9, 0), None, (GIB // 16, "auto")),
        ],
    )
    def test_the_next_budget(self, counts: AttemptCounts, code: str | None, expected: tuple[int, str]) -> None:
        """Each failure halves the memory, at most four times; a failed device and the last try mean the CPU."""
        last = ChildFailed(code, "", "") if code else None
        budget = smaller_budget(Budget(GIB, "auto"), counts, last)
        assert (budget.memory_bytes, budget.device) == expected

    def test_a_budget_never_vanishes(self) -> None:
        """There is a smallest budget, with which every analysis can still work."""
        assert smaller_budget(Budget(100 << 20, "cpu"), AttemptCounts(4, 2)).memory_bytes == 64 << 20

    def test_marks_that_do_not_add_up(self) -> None:
        """More ends than beginnings are no negative number of deaths."""
        assert AttemptCounts(1, 2, 3).silent == 0


@pytest.fixture
def ledger() -> AttemptLedger:
    """The ledger of one record in an empty store."""
    store = FakeStore()
    store.buckets["results"] = {}
    return AttemptLedger(store, "results", record_of())


class TestLedger:
    async def test_numbers_grow(self, ledger: AttemptLedger) -> None:
        """Attempts are numbered from 1, and each end is remembered."""
        assert [await ledger.claim(token) for token in "abc"] == [1, 2, 3]
        await ledger.failed(1, ChildFailed("CHILD_KILLED", "first", "h"))
        await ledger.released(2)
        assert await ledger.counts() == AttemptCounts(started=3, failed=1, released=1)

    async def test_two_workers_never_claim_one_number(self, ledger: AttemptLedger) -> None:
        """Claims that race have numbers of their own."""
        numbers = await asyncio.gather(*(ledger.claim(str(worker)) for worker in range(12)))
        assert sorted(numbers) == list(range(1, 13))

    async def test_a_claim_whose_answer_was_lost_is_counted_once(self, ledger: AttemptLedger) -> None:
        """Tried again with its token it is known, whether it was the first or came after others."""
        store = cast("FakeStore", ledger.store)
        for number, token in enumerate("abc", start=1):
            store.lose_answer(f"{number:06d}-started")
            with pytest.raises(ServiceAway):
                await ledger.claim(token)
            assert await ledger.claim(token) == number
        assert (await ledger.counts()).started == 3

    async def test_a_release_without_its_start_hides_no_death(self, ledger: AttemptLedger) -> None:
        """A number is used once, and what was given back before it began is no attempt."""
        await ledger.claim("a")
        await ledger._mark(2, "released")
        assert await ledger.counts() == AttemptCounts(started=1)
        assert await ledger.claim("b") == 3

    async def test_a_release_after_all_is_done_leaves_nothing(self, ledger: AttemptLedger) -> None:
        """A worker that stood still gives its attempt back when others have finished the record: no marker stays."""
        await ledger.claim("a")
        await ledger.clear()
        await ledger.released(1)
        assert cast("FakeStore", ledger.store).keys("results", "attempts/") == []

    async def test_a_store_that_stops_to_honour_the_condition(self, ledger: AttemptLedger) -> None:
        """No attempt begins where two workers could both have the same one; with the condition back it does."""
        store = cast("FakeStore", ledger.store)
        store.ignores_condition = True
        with pytest.raises(ServiceAway) as refused:
            await ledger.claim("a")
        assert refused.value.code == "STORE_UNSAFE"
        store.ignores_condition = False
        assert await ledger.claim("a") == 1

    async def test_the_latest_failure(self, ledger: AttemptLedger) -> None:
        """The failure with the highest number is the last one, beyond nine too."""
        assert await ledger.last_failure() is None
        for number in (2, 11, 10):
            await ledger.failed(number, ChildFailed("CHILD_KILLED", f"attempt {number} ü", "h"))
        last = await ledger.last_failure()
        assert last is not None
        assert (last.code, last.message, last.hint) == ("CHILD_KILLED", "attempt 11 ü", "h")

    async def test_clearing(self, ledger: AttemptLedger) -> None:
        """Only this record's attempts are forgotten."""
        other = AttemptLedger(ledger.store, ledger.bucket, record_of(offset=1))
        await ledger.claim("a")
        await other.claim("a")
        await ledger.clear()
        await ledger.clear()
        assert (await ledger.counts()).started == 0
        assert (await other.counts()).started == 1

    async def test_what_the_group_has_gone_past_is_swept(self, ledger: AttemptLedger) -> None:
        """Of the partitions that are asked for, markers below the committed offset go; the others stay."""
        store, bucket = ledger.store, ledger.bucket
        passed, running, elsewhere = (
            AttemptLedger(store, bucket, record)
            for record in (record_of(offset=6), record_of(offset=7), record_of(offset=6, partition=1))
        )
        for one in (passed, running, elsewhere):
            await one.claim("token")
        await passed.failed(1, ChildFailed("CHILD_KILLED", "m", "h"))
        await passed._mark(2, "released")
        keys = await sweep_passed(store, bucket, {Partition("training-complete", 0): 7})
        assert [key.rsplit("/", 1)[-1] for key in keys] == ["000001-failed", "000001-started", "000002-released"]
        assert [(await one.counts()).started for one in (passed, running, elsewhere)] == [0, 1, 1]
        assert await passed.counts() == AttemptCounts()

    @pytest.mark.parametrize("content", [b"", b"{", b"7", b"[]", b'["topic", "0", 1]', b'["CHILD_KILLED", "m", "h"]'])
    async def test_a_marker_that_does_not_tell_its_record_stays(self, ledger: AttemptLedger, content: bytes) -> None:
        """What another version or somebody else wrote is not ours to judge; nor is a probe."""
        keys = [f"attempts/{'0' * 32}/000001-started", "attempts/probe-0123456789abcdef"]
        for key in keys:
            await ledger.store.put_new(ledger.bucket, key, content)
        assert await sweep_passed(ledger.store, ledger.bucket, {Partition("topic", 0): 9, Partition("", 0): 9}) == []
        assert [info.key for info in await ledger.store.list_objects(ledger.bucket, "")] == keys

    async def test_a_failure_that_cannot_be_read_is_no_failure(self, ledger: AttemptLedger) -> None:
        """A damaged marker does not stop the job."""
        await ledger.store.put_new(ledger.bucket, f"attempts/{record_hash(record_of())}/000001-failed", b"{")
        assert await ledger.last_failure() is None

    def test_every_part_of_the_place_counts(self) -> None:
        """Records that differ in topic, partition, offset or time have ledgers of their own."""
        base = ("topic", 1, 2, 3)
        others = [("topi", 1, 2, 3), ("topic", 0, 2, 3), ("topic", 1, 22, 3), ("topic", 1, 2, -1), ("topic", 12, 2, 3)]
        hashes = {record_hash(Record(*place, None, None, [])) for place in [base, *others]}
        assert len(hashes) == 6


class TestPatience:
    async def test_it_outlasts(self) -> None:
        """A call is repeated until the service answers, with the same arguments."""
        patience, calls = Patience(0.001), []

        async def call(a: int, *, b: int) -> int:
            calls.append((a, b, dict(patience.away)))
            if len(calls) < 4:
                raise away()
            await asyncio.sleep(0)
            return a + b

        assert await patience.outlast(call, 1, b=2) == 3
        assert [(a, b) for a, b, _ in calls] == [(1, 2)] * 4
        assert [bool(told) for *_, told in calls] == [False, True, True, True]
        assert patience.away == {}

    async def test_other_errors_pass(self) -> None:
        """An error that is no outage passes through at once."""
        calls = []

        async def call() -> None:
            await asyncio.sleep(0)
            calls.append(1)
            raise RefusedInput("CODE", "m", "h")

        with pytest.raises(RefusedInput):
            await Patience(0.001).outlast(call)
        assert len(calls) == 1

    async def test_an_outage_that_ends_in_another_error(self) -> None:
        """A service that answers with a refusal is not away any more."""
        patience, errors = Patience(0.001), [away(), RefusedInput("CODE", "m", "h")]

        async def call() -> None:
            await asyncio.sleep(0)
            raise errors.pop(0)

        with pytest.raises(RefusedInput):
            await patience.outlast(call)
        assert patience.away == {}

    async def test_cancelling_ends_the_wait(self) -> None:
        """A wait of any length can be cancelled, and is over for the others too."""
        patience = Patience(60)

        async def call() -> None:
            await asyncio.sleep(0)
            raise away()

        waiting = asyncio.create_task(patience.outlast(call))
        while not patience.away:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert patience.away == {}

    async def test_who_still_waits_keeps_the_service_away(self) -> None:
        """One of several calls that ends says nothing of the others; the last one that is answered does."""
        patience, gates = Patience(0.001), [asyncio.Event(), asyncio.Event(), asyncio.Event()]

        async def call(gate: asyncio.Event) -> None:
            await asyncio.sleep(0)
            if not gate.is_set():
                tried[gate] = tried.get(gate, 0) + 1
                raise away()

        tried: dict[asyncio.Event, int] = {}
        with structlog.testing.capture_logs() as lines:
            calls = [asyncio.create_task(patience.outlast(call, gate)) for gate in gates]
            while [tried.get(gate, 0) > 1 for gate in gates] != [True] * 3:  # noqa: ASYNC110 - counted, no event
                await asyncio.sleep(0)
            gates[0].set()
            await calls[0]
            calls[1].cancel()
            await asyncio.gather(calls[1], return_exceptions=True)
            assert set(patience.away) == {away().code}
            assert [line["event"] for line in lines] == ["service away"]
            gates[2].set()
            await calls[2]
        assert patience.away == {}
        assert [line["event"] for line in lines] == ["service away", "service answers again"]

    async def test_a_cancelled_wait_is_no_answer(self) -> None:
        """Who gives up waiting does not say that the service is back."""
        patience = Patience(60)

        async def call() -> None:
            await asyncio.sleep(0)
            raise away()

        with structlog.testing.capture_logs() as lines:
            waiting = asyncio.create_task(patience.outlast(call))
            while not patience.away:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert [line["event"] for line in lines] == ["service away"]
