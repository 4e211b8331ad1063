"""What goes out: its size, its sameness, and progress that is never in the way."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.fakes import FakePublisher, FakeStore
from support.house import JOB, RESULTS, TOPICS, House, record_of

from mistudio_worker.contracts import cloud_event
from mistudio_worker.contracts.events import (
    CountsV1,
    ExportV1,
    FindCompletedV1,
    FindProgressV1,
    GapV1,
    ParametersV1,
    PriorityFeatureV1,
    VersionsV1,
)
from mistudio_worker.contracts.manifest import ManifestV1, to_bytes
from mistudio_worker.errors import RefusedInput, ServiceAway
from mistudio_worker.worker import announcements, result_store
from mistudio_worker.worker.analysis_job import GAP_CHARACTERS, KEYWORD_CHARACTERS, PRIORITY_KEYWORDS, PRIORITY_LIMIT
from mistudio_worker.worker.result_store import StoredManifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mistudio_worker.worker.ports import ObjectInfo

JOB_ID = "find_20260102_030405_0123abcd"


def manifest(**changes: Any) -> ManifestV1:
    """A small manifest."""
    base = ManifestV1(
        find_job_id=JOB_ID,
        source_job_id=JOB,
        identity_sha256="0123abcd" * 8,
        status="completed",
        reasons=[],
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        artifacts_bucket="artifacts",
        inputs=[],
        exports=[ExportV1(format="json", key=f"find/{JOB_ID}/data-0/x.json", size=5, sha256="0" * 64)],
        counts=CountsV1(features=1, texts=1, dead=0, by_tier={"good": 1}),
        priority_features=[],
        priority_total=0,
        parameters=ParametersV1(),
        versions=VersionsV1(worker="0", analysis="1", taxonomy="1", taxonomy_sha256="0" * 64),
        timings={"fetch": 0.1},
        platform={"device": "cpu"},
        attempt=1,
        worker="host",
    )
    return base.model_copy(update=changes)


def stored(content: ManifestV1) -> StoredManifest:
    """A manifest as it lies in the store."""
    return StoredManifest(content, RESULTS, result_store.manifest_key(content.find_job_id), "a" * 64)


class TestFindComplete:
    def test_it_is_the_manifests(self) -> None:
        """From one manifest it is always the same event: its id, its time, its words."""
        first = announcements.find_complete_message(TOPICS, stored(manifest()), None)
        read_back = ManifestV1.model_validate_json(to_bytes(manifest()))
        assert announcements.find_complete_message(TOPICS, stored(read_back), None) == first
        event = cloud_event.decode(first.headers, first.value)
        assert (event.type, event.id) == ("io.mistudio.find.completed.v1", JOB_ID)
        assert dict(first.headers)["ce_time"] == b"2026-01-02T03:04:05.678901Z"
        assert FindCompletedV1.model_validate(event.data).manifest_sha256 == "a" * 64

    @pytest.mark.parametrize("letter", ["x", '"', "字", "\U0001d51e", "\\"])
    def test_the_largest_fits(self, letter: str) -> None:
        """The largest event that a job can make has less than 256 KB, whatever the script of its keywords."""
        feature = PriorityFeatureV1(
            feature_id=999_999,
            coherence_score=0.12345678901234567,
            category="c" * 64,
            keywords=[letter * KEYWORD_CHARACTERS] * PRIORITY_KEYWORDS,
        )
        largest = manifest(
            status="partial",
            source_job_id="j" * 128,
            reasons=[GapV1(code="C" * 40, message=letter * GAP_CHARACTERS, features=10**6, texts=10**7)] * 12,
            exports=[ExportV1(format="pytorch", key="k" * 300, size=10**12, sha256="0" * 64)] * 12,
            priority_features=[feature] * PRIORITY_LIMIT,
            priority_total=10**6,
        )
        trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        message = announcements.find_complete_message(TOPICS, stored(largest), trace)
        headers = sum(len(name) + len(content) for name, content in message.headers)
        assert len(message.value or b"") + len(message.key or b"") + headers < 256_000


class TestDeadLetters:
    def test_a_letter_of_a_letter(self) -> None:
        """What is dead-lettered twice keeps the first reason and tells the second after it."""
        error = RefusedInput("FIRST", "ü \ud800", "hint")
        first = announcements.dead_letter_message(TOPICS, record_of(headers=[("a", b"1")]), error, 2)
        again = record_of(headers=first.headers)
        second = announcements.dead_letter_message(TOPICS, again, RefusedInput("SECOND", "m", "h"), 1)
        codes = [content for name, content in second.headers if name == "error-code"]
        assert codes == [b"FIRST", b"SECOND"]
        assert second.headers[0] == ("a", b"1")

    async def test_a_pointer_is_written_again(self) -> None:
        """A redelivered large letter points at the same object; its bytes are not replaced."""
        publisher, store = FakePublisher(max_bytes=2_000), FakeStore()
        store.buckets[RESULTS] = {}
        record = replace(record_of(b"x" * 5_000), key=b"k" * 3_000)
        message = announcements.dead_letter_message(TOPICS, record, RefusedInput("CODE", "m", "h"), 0)
        for _ in range(2):
            await announcements.publish_dead_letter(publisher, store, RESULTS, message, record)
        first, second = publisher.messages
        assert first == second
        assert first.key == b"k" * 1024
        assert dict(first.headers)["content-type"] == b"application/vnd.mistudio.pointer+json"
        assert dict(first.headers)["error-code"] == b"CODE"
        assert store.keys(RESULTS, "dead-letters/")[0] == json.loads(first.value or b"")["key"]

    async def test_an_outage_is_no_size(self) -> None:
        """A topic that is away does not lead to a pointer."""
        publisher, store = FakePublisher(), FakeStore()
        publisher.missing = {TOPICS.dead_letter}
        message = announcements.dead_letter_message(TOPICS, record_of(), RefusedInput("CODE", "m", "h"), 0)
        with pytest.raises(ServiceAway):
            await announcements.publish_dead_letter(publisher, store, RESULTS, message, record_of())
        assert store.calls == []

    @pytest.mark.parametrize("timestamp_ms", [-1, 0, 1_767_323_045_000])
    def test_a_record_without_a_time(self, timestamp_ms: int) -> None:
        """A record without timestamp fails like any other."""
        message = announcements.find_failed_message(
            TOPICS,
            replace(record_of(), timestamp_ms=timestamp_ms),
            job=JOB,
            find_job_id=None,
            error=RefusedInput("CODE", "m", "h"),
            attempt=0,
            traceparent=None,
        )
        assert cloud_event.decode(message.headers, message.value).data["code"] == "CODE"


class TestProgress:
    async def test_it_is_never_faster_than_asked(self) -> None:
        """Within the interval only a new step is told."""
        publisher = FakePublisher()
        reporter = announcements.ProgressReporter(publisher, TOPICS.find_progress, 60)
        for step, fraction in (("decode", 0.0), ("decode", 0.5), ("analyze", 0.0), ("analyze", 0.9)):
            reporter.report(FindProgressV1(source_job_id=JOB, step=step, fraction=fraction, attempt=1))
            await asyncio.sleep(0.01)
        await reporter.close()
        told = [json.loads(message.value or b"") for message in publisher.messages]
        assert [(event["step"], event["fraction"]) for event in told] == [("decode", 0.0), ("analyze", 0.0)]

    async def test_a_slow_broker_is_not_waited_for(self) -> None:
        """While one event is under way the next ones are dropped, and closing has a limit."""
        entered = []

        class Slow(FakePublisher):
            async def publish(self, message: object) -> None:
                entered.append(message)
                await asyncio.sleep(600)

        reporter = announcements.ProgressReporter(Slow(), TOPICS.find_progress, 0.0)
        for number in range(50):
            reporter.report(FindProgressV1(source_job_id=JOB, step=str(number), fraction=0, attempt=1))
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await reporter.close()
        assert len(entered) == 1

    async def test_whatever_goes_wrong_with_it(self) -> None:
        """A progress event that cannot be published, for whatever reason, takes nothing from the job's outcome."""

        class Broken(FakePublisher):
            async def publish(self, message: object) -> None:
                raise RuntimeError(f"a defect of the adapter at {message!r:.20}")

        reporter = announcements.ProgressReporter(Broken(), TOPICS.find_progress, 0.0)
        reporter.report(FindProgressV1(source_job_id=JOB, step="decode", fraction=0, attempt=1))
        await reporter.close()

    async def test_closing_without_a_report(self) -> None:
        """Nothing to send is nothing to wait for."""
        await announcements.ProgressReporter(FakePublisher(), "t", 1).close()


class TestResultStore:
    async def test_listing_passes_over_what_is_none(self, tmp_path: Path) -> None:
        """The list of results holds every readable manifest, and nothing else that lies about."""
        house = House(tmp_path)
        await house.run()
        await house.run(record_of({"job_id": JOB, "parameters": {"top_k": 3}}))
        made = house.manifests()
        house.store.put(RESULTS, "find/broken/manifest.json", b"{")
        house.store.put(RESULTS, "find/deep/data-1/manifest.json", b"{}")
        found = await result_store.list_manifests(house.store, RESULTS)
        assert [item.manifest for item in found] == made
        assert len(made) == 2

    async def test_prefixes_are_never_shared(self) -> None:
        """Two attempts at one job have prefixes of their own, below the job's."""
        prefixes = {result_store.new_data_prefix(JOB_ID) for _ in range(1_000)}
        assert len(prefixes) == 1_000
        assert all(prefix.startswith(f"find/{JOB_ID}/data-") and prefix.endswith("/") for prefix in prefixes)

    async def test_a_huge_manifest_is_not_read(self) -> None:
        """Something of many bytes in the manifest's place is refused unread."""
        store = FakeStore()
        store.put(RESULTS, result_store.manifest_key(JOB_ID), bytes(result_store.MANIFEST_MAX_BYTES + 1))
        with pytest.raises(RefusedInput, match="MANIFEST_UNREADABLE"):
            await result_store.read_manifest(store, RESULTS, JOB_ID)
        assert store.count("read_range") == 0

    async def test_the_probe_tells_an_unsafe_store(self) -> None:
        """A store that overwrites in spite of the condition is found out, and the probe leaves nothing."""
        for safe in (True, False):
            store = FakeStore()
            store.ignores_condition = not safe
            store.buckets[RESULTS] = {}
            assert await result_store.probe_conditional_put(store, RESULTS, result_store.new_probe_key()) is safe
            assert store.keys(RESULTS) == []

    async def test_a_probe_that_is_tried_again_leaves_nothing(self) -> None:
        """With lost answers it is repeated under its own key: the store is no less safe, and nothing stays."""
        store = FakeStore()
        store.buckets[RESULTS] = {}
        store.lose_answer("probe-1")
        with pytest.raises(ServiceAway):
            await result_store.probe_conditional_put(store, RESULTS, f"{result_store.PROBES}1")
        assert store.keys(RESULTS) == [f"{result_store.PROBES}1"]
        assert await result_store.probe_conditional_put(store, RESULTS, f"{result_store.PROBES}1")
        assert store.keys(RESULTS) == []

    async def test_probes_of_the_dead_are_removed(self) -> None:
        """One that is older than an hour by the store's clock was left by a worker that died; others may be in use."""
        young, old = (f"{result_store.PROBES}{name}" for name in ("young", "old"))
        ages = {young: timedelta(minutes=59), old: timedelta(minutes=61)}

        class Aged(FakeStore):
            async def list_objects(self, bucket: str, prefix: str) -> Sequence[ObjectInfo]:
                now = datetime(2026, 1, 2, tzinfo=UTC)
                found = await super().list_objects(bucket, prefix)
                return [replace(info, modified=now - ages.get(info.key, timedelta())) for info in found]

        store = Aged()
        for key in (young, old, "attempts/0123/000001-started"):
            store.put(RESULTS, key, b"1")
        assert await result_store.probe_conditional_put(store, RESULTS, result_store.new_probe_key())
        assert store.keys(RESULTS) == ["attempts/0123/000001-started", young]

    async def test_a_failed_upload_waits_for_the_others(self, tmp_path: Path) -> None:
        """When one upload fails, the error comes only after the others have ended: none writes on."""
        house = House(tmp_path)
        house.store.go_away(1, "upload")
        await house.run()
        assert house.store.count("upload") == 4
        assert len(house.completed()) == 1
