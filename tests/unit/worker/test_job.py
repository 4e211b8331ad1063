"""The life of a job, with every step that can go wrong going wrong."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.fakes import FakeAnalyst, FakePublisher, away
from support.house import ARTIFACTS, CONTENTS, JOB, KEYS, MEMORY_BYTES, RESULTS, TOPICS, House, record_of

from mistudio_worker.errors import ChildFailed, MistudioError, RefusedInput, ServiceAway
from mistudio_worker.worker.attempts import record_hash
from mistudio_worker.worker.steps import JobState

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.worker.ports import Record


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A worker whose work lies under this test's directory."""
    return House(tmp_path)


def crash(code: str = "CHILD_KILLED") -> ChildFailed:
    """A child that died."""
    return ChildFailed(code, "it died", "look at the log")


def mark_started(house: House, record: Record, times: int) -> None:
    """Leave what workers leave that died in the middle of an attempt."""
    for number in range(1, times + 1):
        house.store.put(RESULTS, f"attempts/{record_hash(record)}/{number:06d}-started", b"")


def attempts(house: House) -> list[str]:
    """What is remembered of attempts, without the record's name."""
    return [key.rsplit("/", 1)[-1] for key in house.store.keys(RESULTS, "attempts/")]


class TestTheUsualWay:
    async def test_order_of_the_steps(self, house: House) -> None:
        """Attempt, artifacts, exports, manifest, event, and only then the attempt is forgotten."""
        house.publisher.calls = house.store.calls
        await house.run()
        steps = [(name, key.rsplit("/", 1)[-1]) for name, key in house.store.calls]
        job = house.manifests()[0].find_job_id
        wanted = [
            ("head", "manifest.json"),
            ("put_new", "000001-started"),
            ("download", "feature_activations.pt"),
            ("upload", f"{job}.json"),
            ("put_new", "manifest.json"),
            ("publish", TOPICS.find_complete),
            ("remove", "000001-started"),
        ]
        assert [steps.index(step) for step in wanted] == sorted(steps.index(step) for step in wanted)
        assert max(steps.index(("upload", f"{job}.{end}")) for end in ("json", "csv")) < steps.index(wanted[4])

    async def test_the_event_names_what_is_there(self, house: House) -> None:
        """Every object of the event is in the store with its size and hash, the manifest too."""
        await house.run()
        [message] = house.completed()
        event = json.loads(message.value or b"")
        objects = house.store.buckets[RESULTS]
        for export in event["exports"]:
            content = objects[export["key"]]
            assert (len(content), hashlib.sha256(content).hexdigest()) == (export["size"], export["sha256"])
        assert hashlib.sha256(objects[event["manifest_key"]]).hexdigest() == event["manifest_sha256"]
        assert event["status"] == "completed"
        assert message.key == JOB.encode()
        headers = dict(message.headers)
        assert headers["ce_id"].decode() == event["find_job_id"]
        assert headers["ce_type"] == b"io.mistudio.find.completed.v1"

    async def test_nothing_is_left(self, house: House) -> None:
        """After a job the disk is empty, the attempts are forgotten, and only the result lies in the store."""
        await house.run()
        assert list(house.work_dir.iterdir()) == []
        assert attempts(house) == []
        assert len(house.store.keys(RESULTS)) == 3
        assert house.letters() == []

    async def test_progress_tells_the_attempt(self, house: House) -> None:
        """Progress names job, find job, step and attempt."""
        await house.run()
        progress = [json.loads(message.value or b"") for message in house.publisher.on(TOPICS.find_progress)]
        assert progress
        assert progress[0]["source_job_id"] == JOB
        assert progress[0]["find_job_id"] == house.manifests()[0].find_job_id
        assert progress[0]["attempt"] == 1

    async def test_progress_that_gets_lost(self, house: House) -> None:
        """A topic for progress that is not there costs no result."""
        house.publisher.missing = {TOPICS.find_progress}
        await house.run()
        assert len(house.completed()) == 1

    async def test_the_traceparent_goes_through(self, house: House) -> None:
        """The trace of the event goes on with its outcome."""
        trace = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
        await house.run(record_of(headers=[("traceparent", trace)]))
        assert dict(house.completed()[0].headers)["traceparent"] == trace


class TestTheSameAgain:
    async def test_redelivery(self, house: House) -> None:
        """A known job is published again as the very same event, without analysing."""
        await house.run()
        await house.run()
        assert len(house.analyst.requests) == 1
        first, second = house.completed()
        assert first == second
        assert len(house.manifests()) == 1

    async def test_a_replay_is_the_same_job(self, house: House) -> None:
        """The same event as another record names the same job."""
        await house.run(record_of(offset=0))
        await house.run(record_of(offset=7, key=b"other"))
        assert len(house.analyst.requests) == 1
        assert house.completed()[0] == house.completed()[1]

    async def test_other_parameters_are_another_job(self, house: House) -> None:
        """Another top_k is another result beside the first."""
        await house.run()
        await house.run(record_of({"job_id": JOB, "parameters": {"top_k": 7}}))
        assert len({manifest.find_job_id for manifest in house.manifests()}) == 2

    async def test_a_known_answer_sweeps(self, house: House) -> None:
        """What an attempt left that died after the winner's sweep goes when the job is asked for again."""
        await house.run()
        left = f"find/{house.manifests()[0].find_job_id}/data-dead/x.json"
        house.store.put(RESULTS, left, b"orphan")
        await house.run(record_of(offset=1))
        assert left not in house.store.keys(RESULTS)
        assert len(house.completed()) == 2
        assert house.completed()[0].value == house.completed()[1].value

    @pytest.mark.parametrize("damage", ["gone", "shorter"])
    async def test_damaged_exports(self, house: House, damage: str) -> None:
        """An export that is gone or has another size is made again, under the key that the manifest promises."""
        await house.run()
        export = house.manifests()[0].exports[0]
        before = dict(house.store.buckets[RESULTS])
        if damage == "gone":
            del house.store.buckets[RESULTS][export.key]
        else:
            house.store.put(RESULTS, export.key, b"")
        await house.run()
        assert len(house.analyst.requests) == 2
        assert house.store.buckets[RESULTS] == before
        assert house.completed()[0] == house.completed()[1]

    async def test_damage_that_cannot_be_repaired(self, house: House) -> None:
        """Where the analysis makes other bytes than the manifest promises, nothing is overwritten."""
        await house.run()
        manifest = house.manifests()[0]
        del house.store.buckets[RESULTS][manifest.exports[0].key]
        house.analyst.salt = "another platform"
        await house.run()
        assert house.codes() == ["RESULT_DAMAGED"]
        assert house.manifests() == [manifest]
        assert manifest.exports[0].key not in house.store.buckets[RESULTS]

    async def test_a_name_that_another_input_has(self, house: House) -> None:
        """A manifest under our name with another hash is never published as ours."""
        await house.run()
        [key] = [key for key in house.store.keys(RESULTS) if key.endswith("manifest.json")]
        other = house.manifests()[0].model_copy(update={"identity_sha256": "f" * 64})
        house.store.put(RESULTS, key, other.model_dump_json().encode())
        await house.run()
        assert house.codes() == ["JOB_ID_COLLISION"]
        assert len(house.completed()) == 1

    async def test_a_manifest_that_is_none(self, house: House) -> None:
        """Something else in the manifest's place is told, not overwritten and not believed."""
        await house.run()
        [key] = [key for key in house.store.keys(RESULTS) if key.endswith("manifest.json")]
        house.store.put(RESULTS, key, b"{}")
        await house.run()
        assert house.codes() == ["MANIFEST_UNREADABLE"]
        assert house.store.buckets[RESULTS][key] == b"{}"


class TestRaces:
    async def test_the_loser_publishes_the_winner(self, tmp_path: Path) -> None:
        """Of two workers with one job both publish one manifest, and the loser's objects are gone."""
        slow, fast = House(tmp_path / "a", name="slow"), House(tmp_path / "b", name="fast")
        fast.store = slow.store
        slow.analyst.script.append("hang")
        losing = asyncio.create_task(slow.run())
        await slow.analyst.hanging.wait()
        await fast.run()
        slow.analyst.go_on.set()
        await losing
        [manifest] = slow.manifests()
        assert manifest.worker == "fast"
        assert slow.completed() == fast.completed()
        promised = {export.key for export in manifest.exports}
        assert {key for key in slow.store.keys(RESULTS) if not key.endswith("manifest.json")} == promised

    async def test_eight_at_a_time(self, tmp_path: Path) -> None:
        """Of eight racing workers all publish the same event, and nothing but the result is left."""
        houses = [House(tmp_path / str(number), name=str(number)) for number in range(8)]
        for house in houses[1:]:
            house.store = houses[0].store
        await asyncio.gather(*(house.run() for house in houses))
        assert {repr(house.completed()) for house in houses} == {repr(houses[0].completed())}
        assert len(houses[0].completed()) == 1
        assert len(houses[0].store.keys(RESULTS)) == 3

    async def test_a_lost_answer_of_the_manifest(self, house: House) -> None:
        """A manifest that was written though its answer got lost is ours, with its objects."""
        house.store.lose_answer("manifest.json")
        await house.run()
        [manifest] = house.manifests()
        assert {export.key for export in manifest.exports} < set(house.store.keys(RESULTS))
        assert len(house.completed()) == 1
        assert house.letters() == []

    async def test_a_manifest_that_vanishes(self, house: House) -> None:
        """A manifest that is deleted between the refused PUT and the look at it is written after all."""
        seen: list[str] = []

        def come_and_go(method: str, key: str) -> None:
            if key.endswith("manifest.json"):
                if method == "put_new" and not seen:
                    house.store.put(RESULTS, key, b"of another")
                    seen.append(key)
                elif method == "head" and seen:
                    house.store.buckets[RESULTS].pop(seen[0], None)

        house.store.before.append(come_and_go)
        await house.run()
        assert len(house.manifests()) == len(house.completed()) == 1


class TestArtifacts:
    async def test_activations_that_come_later(self, house: House) -> None:
        """An upload that lags behind its event is waited for."""
        del house.store.buckets[ARTIFACTS][KEYS["feature_activations"]]
        looks: list[str] = []

        def arrive(method: str, key: str) -> None:
            if method == "head" and key == KEYS["feature_activations"]:
                looks.append(key)
                if len(looks) == 2:
                    house.store.put(ARTIFACTS, key, CONTENTS["feature_activations"])

        house.store.before.append(arrive)
        await house.waiting(20).run()
        assert house.manifests()[0].status == "completed"
        assert len(house.completed()) == 1

    async def test_activations_that_never_come(self, house: House) -> None:
        """After the wait the event is a dead letter that names the key, and may be tried again."""
        del house.store.buckets[ARTIFACTS][KEYS["feature_activations"]]
        await house.waiting(0.05).run()
        assert house.codes() == ["ARTIFACT_MISSING"]
        [failed] = house.failed()
        assert (failed["code"], failed["retriable"], failed["attempt"]) == ("ARTIFACT_MISSING", True, 0)
        assert KEYS["feature_activations"] in failed["message"]
        assert house.analyst.requests == []

    @pytest.mark.parametrize("name", ["sae_model", "metadata"])
    async def test_other_files_that_never_come(self, house: House, name: str) -> None:
        """Without the autoencoder or the metadata the rest is analysed after the wait."""
        del house.store.buckets[ARTIFACTS][KEYS[name]]
        begun_s = asyncio.get_running_loop().time()
        await house.waiting(0.3).run()
        assert asyncio.get_running_loop().time() - begun_s >= 0.3
        [request] = house.analyst.requests
        assert getattr(request.files, name) is None
        assert [item.name for item in house.manifests()[0].inputs] == sorted(KEYS.keys() - {name})
        assert house.manifests()[0].status == ("partial" if name == "sae_model" else "completed")

    async def test_a_run_that_is_not_ready(self, house: House) -> None:
        """A run whose metadata says that it is not ready ends as such."""
        house.store.put(ARTIFACTS, KEYS["metadata"], b'{"ready_for_find_service": false}')
        await house.waiting(0.05).run()
        assert house.codes() == ["ARTIFACT_NOT_READY"]

    async def test_an_artifact_replaced_in_the_middle(self, house: House) -> None:
        """A file replaced between look and download is looked at again: the result is of the new one."""
        house.store.replace_before("download", ARTIFACTS, KEYS["feature_activations"], b"newer activations")
        await house.waiting(20).run()
        [manifest] = house.manifests()
        hashes = {item.name: item.sha256 for item in manifest.inputs}
        assert hashes["feature_activations"] == hashlib.sha256(b"newer activations").hexdigest()
        assert len(house.analyst.requests) == 1
        assert len(house.completed()) == 1

    async def test_a_wrong_checksum(self, house: House) -> None:
        """A file that is not the one of the event is refused before anything is analysed."""
        artifacts = {"feature_activations": {"key": KEYS["feature_activations"], "sha256": "0" * 64}}
        await house.run(record_of({"job_id": JOB, "artifacts": artifacts}))
        assert house.codes() == ["ARTIFACT_CHECKSUM"]
        assert house.analyst.requests == []
        assert list(house.work_dir.iterdir()) == []


class TestAttempts:
    async def test_each_failure_has_a_smaller_budget(self, house: House) -> None:
        """After a failure the memory is halved; the last try is on the CPU."""
        house.analyst.script.extend([crash("CHILD_OUT_OF_MEMORY"), crash(), None])
        await house.run()
        budgets = [(request.memory_bytes, request.device) for request in house.analyst.requests]
        assert budgets == [(MEMORY_BYTES, "auto"), (MEMORY_BYTES // 2, "auto"), (MEMORY_BYTES // 4, "cpu")]
        assert house.manifests()[0].attempt == 3
        assert attempts(house) == []

    async def test_a_failed_device(self, house: House) -> None:
        """After a failure of the device the next try is on the CPU."""
        house.analyst.script.append(crash("DEVICE_FAILED"))
        await house.run()
        assert [request.device for request in house.analyst.requests] == ["auto", "cpu"]

    async def test_three_failures_are_the_end(self, house: House) -> None:
        """After the third failure the event is a dead letter that tells the last cause."""
        house.analyst.script.extend([crash("CHILD_TIMEOUT"), crash("CHILD_TIMEOUT"), crash("CHILD_OUT_OF_MEMORY")])
        await house.run()
        assert house.codes() == ["ATTEMPTS_EXHAUSTED"]
        assert "CHILD_OUT_OF_MEMORY" in house.failed()[0]["message"]
        assert dict(house.letters()[0].headers)["attempt"] == b"3"
        assert len(house.analyst.requests) == 3
        assert attempts(house) == []

    async def test_delivered_again_before_the_commit(self, house: House) -> None:
        """A record whose dead letter is out but whose offset is not committed gets no attempts anew."""
        house.analyst.script.extend([crash(), crash(), crash()])
        record = record_of()
        for _ in range(2):
            async with asyncio.timeout(20):
                await house.runner.run(JobState(record))
        assert house.codes() == ["ATTEMPTS_EXHAUSTED", "ATTEMPTS_EXHAUSTED"]
        assert len(house.analyst.requests) == 3

    async def test_failures_are_remembered_over_a_death(self, house: House) -> None:
        """Failures that another worker saw count: the store remembers them."""
        house.analyst.script.extend([crash(), crash(), "hang"])
        dying = asyncio.create_task(house.run())
        await house.analyst.hanging.wait()
        after = House(house.work_dir, store=house.store)
        after.analyst.script.append(crash())
        await after.run()
        assert after.codes() == ["ATTEMPTS_EXHAUSTED"]
        assert len(after.analyst.requests) == 1
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)

    async def test_ten_silent_deaths_are_the_end(self, house: House) -> None:
        """A record that ten workers died of is not tried by an eleventh."""
        mark_started(house, record_of(), 10)
        await house.run()
        assert house.codes() == ["ATTEMPTS_EXHAUSTED"]
        assert house.analyst.requests == []

    async def test_nine_silent_deaths_are_not(self, house: House) -> None:
        """Deaths are no proof against the job: it is tried again, with the smallest budget."""
        mark_started(house, record_of(), 9)
        await house.run()
        assert house.manifests()[0].attempt == 10
        assert house.analyst.requests[0].memory_bytes == MEMORY_BYTES // 16

    async def test_deaths_of_another_record(self, house: House) -> None:
        """A replay is a new record, and starts anew."""
        mark_started(house, record_of(offset=1), 10)
        await house.run(record_of(offset=2))
        assert len(house.completed()) == 1

    async def test_a_refusal_of_the_child_is_final(self, house: House) -> None:
        """An artifact that the child refuses is not tried again."""
        house.analyst.script.append(RefusedInput("ARTIFACT_MISALIGNED", "3 rows, 4 texts", "train again"))
        await house.run()
        assert house.codes() == ["ARTIFACT_MISALIGNED"]
        assert len(house.analyst.requests) == 1

    async def test_a_budget_too_small_for_the_run(self, house: House) -> None:
        """A refusal for memory is final with the whole budget, and a failed attempt with a smaller one."""
        refusal = RefusedInput("MEMORY_BUDGET_EXCEEDED", "needs 2 GiB", "give it more")
        house.analyst.script.append(refusal)
        await house.run()
        assert house.codes() == ["MEMORY_BUDGET_EXCEEDED"]
        house.analyst.script.extend([crash(), refusal, None])
        await house.run(record_of(offset=1))
        assert house.manifests()[0].attempt == 3

    @pytest.mark.parametrize("code", ["DISK_FULL", "DEVICE_MISSING"])
    async def test_a_fault_of_the_surroundings(self, house: House, code: str) -> None:
        """A full disk or an absent device is waited for, and weighs on no attempt."""
        house.analyst.script.extend([ServiceAway(code, "m", "h")] * 5)
        await house.run()
        assert len(house.completed()) == 1
        assert house.letters() == []
        assert {request.memory_bytes for request in house.analyst.requests} == {MEMORY_BYTES}
        assert attempts(house) == []

    async def test_cancelling_gives_the_attempt_back(self, house: House) -> None:
        """A job that is cancelled publishes nothing, and does not count as tried."""
        house.analyst.script.append("hang")
        running = asyncio.create_task(house.run())
        await house.analyst.hanging.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert attempts(house) == ["000001-released", "000001-started"]
        assert house.completed() == house.letters() == []
        assert list(house.work_dir.iterdir()) == []
        assert not house.slots.locked()
        house.analyst.go_on.set()
        await house.run()
        assert house.manifests()[0].attempt == 2
        assert house.analyst.requests[1].memory_bytes == MEMORY_BYTES


class TestOutages:
    async def test_a_store_that_is_away_for_a_while(self, house: House) -> None:
        """An outage of the store costs no attempt and ends in the usual result."""
        house.store.go_away(12)
        await house.run()
        assert house.manifests()[0].attempt == 1
        assert len(house.completed()) == 1
        assert house.patience.away == {}

    @pytest.mark.parametrize(
        "method", ["head", "read_range", "download", "upload", "put_new", "list_objects", "remove"]
    )
    async def test_an_outage_at_each_call(self, house: House, method: str) -> None:
        """Whichever call finds the store away, the outcome is the same."""
        house.store.go_away(3, method)
        await house.run()
        assert len(house.manifests()) == len(house.completed()) == 1
        assert house.letters() == []
        assert len(house.store.keys(RESULTS)) == 3

    async def test_an_outage_takes_nothing_from_the_wait(self, house: House) -> None:
        """Activations that come a moment after an outage longer than the wait are still awaited in full."""
        key = KEYS["feature_activations"]
        content = house.store.buckets[ARTIFACTS].pop(key)
        clock = asyncio.get_running_loop().time
        back_s, looks = clock() + 1.0, [0]

        def serve(method: str, asked: str) -> None:
            if clock() < back_s:
                raise away()
            looks[0] += (method, asked) == ("head", key)
            if looks[0] == 3:
                house.store.put(ARTIFACTS, key, content)

        house.store.before.append(serve)
        await house.waiting(0.9).run()
        assert house.codes() == []
        assert house.manifests()[0].status == "completed"

    async def test_a_wait_for_a_slot_takes_nothing_from_the_wait(self, house: House) -> None:
        """A run that is replaced while its job waits for its turn is looked at anew, however long that took."""
        await house.slots.acquire()
        running = asyncio.create_task(house.waiting(0.01).run())
        while not house.store.count("read_range"):  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        house.store.put(ARTIFACTS, KEYS["feature_activations"], b"newer activations")
        house.slots.release()
        await running
        assert house.codes() == []
        assert house.manifests()[0].inputs[0].sha256 == hashlib.sha256(b"newer activations").hexdigest()

    async def test_a_broker_that_is_away(self, house: House) -> None:
        """The event goes out when the broker is back, and the job is made once."""
        house.publisher.away_times[TOPICS.find_complete] = 4
        await house.run()
        assert house.publisher.tries[TOPICS.find_complete] == 5
        assert len(house.completed()) == len(house.analyst.requests) == 1

    async def test_an_outage_is_said(self, house: House) -> None:
        """While a service is away, the loop can see which, and the job can still be cancelled."""
        house.store.go_away(1_000_000)
        running = asyncio.create_task(house.run())
        while not house.patience.away:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)
        assert set(house.patience.away) == {"STORE_UNAVAILABLE"}
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert house.patience.away == {}

    async def test_a_dead_letter_topic_that_refuses(self, house: House) -> None:
        """A dead letter waits for its topic, as long as it takes; find-failed comes after it."""
        house.publisher.away_times[TOPICS.dead_letter] = 6
        await house.run(record_of(b"no JSON"))
        assert house.publisher.tries[TOPICS.dead_letter] == 7
        assert house.codes() == ["EVENT_MALFORMED"]


class TestDeadLetters:
    async def test_the_original_is_kept(self, house: House) -> None:
        """Key, value and headers stand in the dead letter as they came, and where they came from."""
        record = record_of(b"\xff\x00 no JSON", offset=5, partition=3, headers=[("a", b"\xfe"), ("a", b"2")])
        await house.run(record)
        [letter] = house.letters()
        assert (letter.key, letter.value) == (record.key, record.value)
        assert list(letter.headers[:2]) == [("a", b"\xfe"), ("a", b"2")]
        told = dict(letter.headers[2:])
        place = [told[f"original-{name}"] for name in ("topic", "partition", "offset", "timestamp")]
        assert place == [b"training-complete", b"3", b"5", b"1767323045000"]
        assert house.failed() == []

    async def test_a_defect_of_ours(self, house: House) -> None:
        """An error that nobody foresaw ends as a dead letter too, without the error's own words."""
        house.analyst.script.append(ZeroDivisionError("secret words of the input"))
        await house.run()
        assert house.codes() == ["WORKER_DEFECT"]
        assert house.letters()[0].value == record_of().value
        assert "secret" not in repr(house.publisher.messages)
        assert attempts(house) == []

    async def test_find_failed_where_the_job_can_be_read(self, house: House) -> None:
        """An event with a bad field and a good job id is told to who waits for that job."""
        await house.run(record_of({"job_id": JOB, "parameters": {"top_k": 1000}}))
        assert house.codes() == ["INVALID_PARAMETER"]
        assert [failed["source_job_id"] for failed in house.failed()] == [JOB]

    async def test_find_failed_is_the_same_twice(self, house: House) -> None:
        """A record that fails twice has one find-failed identity."""
        for _ in range(2):
            await house.run(record_of({"job_id": JOB, "bucket": "BAD"}))
        first, second = house.publisher.on(TOPICS.find_failed)
        assert first == second

    async def test_one_too_large_for_its_topic(self, house: House) -> None:
        """A dead letter over the topic's limit lies in the store, whole, and leaves a pointer."""
        house.publisher.max_bytes = 20_000
        record = record_of(b"x" * 50_000, headers=[("big", b"\xff" * 50_000)])
        await house.run(record)
        [letter] = house.letters()
        pointer = json.loads(letter.value or b"")
        assert house.store.buckets[pointer["bucket"]][pointer["key"]] == record.value
        assert pointer["sha256"] == hashlib.sha256(record.value or b"").hexdigest()
        assert house.codes() == ["EVENT_MALFORMED"]
        [[name, content]] = json.loads(house.store.buckets[RESULTS][f"{pointer['key']}.headers.json"])
        assert (name, content.encode("latin-1")) == ("big", b"\xff" * 50_000)

    @pytest.mark.parametrize(
        "traceparent",
        ["\ud800", "x" * 900_000, "line\nbreak", "00-xyz", "ü"],
        ids=["surrogate", "long", "nl", "no", "ü"],
    )
    @pytest.mark.parametrize("works", [True, False])
    async def test_a_hostile_traceparent(self, house: House, traceparent: str, *, works: bool) -> None:
        """No trace of an event can keep its outcome from being published."""
        event = {
            "specversion": "1.0",
            "type": "io.mistudio.training.completed.v1",
            "source": "/trainer",
            "id": "1",
            "traceparent": traceparent,
            "data": {"job_id": JOB} if works else {"job_id": JOB, "bucket": "BAD"},
        }
        await house.run(record_of(event))
        assert len(house.completed() if works else house.failed()) == 1

    async def test_an_announcement_that_is_too_large(self, house: House) -> None:
        """Where even find-complete does not fit its topic, the job ends as a dead letter instead of a loop."""
        await house.run()
        small = House(house.work_dir, store=house.store, publisher=FakePublisher(max_bytes=900))
        await small.run()
        assert small.codes() == ["MESSAGE_TOO_LARGE"]

    async def test_a_topic_that_takes_nothing(self, house: House) -> None:
        """Where not even the pointer fits, no outcome is claimed: the record stays."""
        house.publisher.max_bytes = 10
        with pytest.raises(MistudioError, match="MESSAGE_TOO_LARGE"):
            await house.run(record_of(b"no JSON"))


async def test_slots_bound_the_analyses(tmp_path: Path) -> None:
    """As many jobs compute at a time as there are slots, while others wait."""
    house = House(tmp_path, analyst=FakeAnalyst())
    house.analyst.script.extend(["hang", None])
    runner = house.runner
    first = asyncio.create_task(runner.run(JobState(record_of())))
    await house.analyst.hanging.wait()
    second = asyncio.create_task(runner.run(JobState(record_of({"job_id": JOB, "parameters": {"top_k": 3}}, offset=1))))
    await asyncio.sleep(0.05)
    assert len(house.analyst.requests) == 1
    house.analyst.go_on.set()
    await asyncio.gather(first, second)
    assert len(house.analyst.requests) == len(house.manifests()) == 2


async def test_a_limit_of_attempts_is_a_setting(tmp_path: Path) -> None:
    """One failure is the end where the setting says so."""
    house = House(tmp_path)
    house.config = replace(house.config, attempt_limits=replace(house.config.attempt_limits, max_failed=1))
    house.analyst.script.append(crash())
    await house.run()
    assert house.codes() == ["ATTEMPTS_EXHAUSTED"]
