"""A busy worker keeps its place whatever the others do; one that lost it does no harm. Nothing is computed here."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from support.gated_crew import SESSION_S, GatedCrew, freeze, thaw, wait_until_frozen
from support.services import Services
from support.workers import Place, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from embedded.stack import EmbeddedStack
    from support.background import BackgroundLoop
    from support.workers import Worker

PARTITIONS = 6
LONG_S = 10 * SESSION_S


@pytest.fixture
def crew(stack: EmbeddedStack, background: BackgroundLoop, tmp_path: Path) -> Iterator[GatedCrew]:
    """A group of this test alone; nobody works yet."""
    with (
        contextlib.closing(Services(stack.environment(), name=f"m{uuid.uuid4().hex[:12]}")) as services,
        contextlib.closing(Place(services, background, partitions=PARTITIONS)) as place,
        GatedCrew(place, stack.running_keeper(), tmp_path) as made,
    ):
        yield made


def storm(crew: GatedCrew, keeps: Worker) -> Iterator[str]:
    """Members join, leave, are killed, and are stopped past their session, over and over; never one of them."""

    def victim() -> Worker:
        others = [worker for worker in crew.workers if worker.running and worker is not keeps]
        return others[0]

    def stand_still() -> None:
        worker = victim()
        freeze(worker)
        time.sleep(SESSION_S * 1.5)
        thaw(worker)

    kinds: dict[str, Callable[[], object]] = {
        "joins": crew.ready,
        "joins again": crew.ready,
        "stands still": stand_still,
        "leaves": lambda: victim().stop(),
        "joins once more": crew.ready,
        "is killed": lambda: victim().kill(),
    }
    for kind in itertools.cycle(kinds):
        kinds[kind]()
        yield kind


def test_a_long_job_outlasts_a_storm(crew: GatedCrew) -> None:
    """Ten times as long as session and poll watchdog: it stays where it is, begun once, whatever the group does."""
    place, owner = crew.place, crew.ready()
    long = crew.put_job(is_held=True)
    place.announce(long, partition=0)
    wait_for(lambda: owner.busy or None, "the long job to begin")
    begun_s, short, seen = time.monotonic(), list[str](), list[str]()
    for kind in storm(crew, owner):
        seen.append(kind)
        for partition in range(1, PARTITIONS):
            short.append(crew.put_job())
            place.announce(short[-1], partition=partition)
        if time.monotonic() - begun_s > LONG_S:
            break
    assert len(set(seen)) == len(seen) or len(seen) > 6
    crew.release(long)
    for job in (long, *short):
        place.wait_for_result(job)
    crew.check_one_result_each([long, *short])
    [line] = crew.lines(long)
    assert (line["outcome"], line["attempt"]) == ("completed", 1)
    assert line["duration_s"] >= LONG_S
    [line] = [line for line in owner.said("job") if line["job"] == long]
    settled = owner.said("partitions assigned")
    assert len(settled) > len(seen)
    assert all(0 in line["partitions"] for line in settled)
    assert not owner.said("partition lost, job given back")


@pytest.mark.parametrize("step", ["finished", "commit"])
def test_a_zombie_rewinds_nothing(crew: GatedCrew, step: str) -> None:
    """Stopped when its job is done, it wakes in an empty group that went on, whose broker would take any commit."""
    place, zombie = crew.place, crew.ready()
    crew.stop_at(step)
    jobs = [crew.put_job() for _ in range(3)]
    for job in jobs:
        place.announce(job, partition=0)
    wait_until_frozen(zombie)
    other = crew.ready()
    for job in jobs:
        place.wait_for_result(job)
    place.wait_until_committed()
    assert other.stop() == 0
    assert crew.committed()[0] == 3
    settled = len(zombie.said("partitions assigned"))
    thaw(zombie)
    wait_for(lambda: crew.committed()[0] != 3 or len(zombie.said("partitions assigned")) > settled, "a new assignment")
    place.announce(last := crew.put_job(), partition=0)
    place.wait_for_result(last)
    place.wait_until_committed()
    crew.check_one_result_each([*jobs, last])
    assert len([line for line in zombie.said("job") if line["job"] in jobs]) == 1


def test_a_zombie_overwrites_no_result(crew: GatedCrew) -> None:
    """Stopped in the middle of the analysis, it wakes when another one has made the result: its own is thrown away."""
    place, zombie = crew.place, crew.ready()
    job = crew.put_job(is_held=True)
    place.announce(job, partition=0)
    wait_for(lambda: zombie.busy or None, "the job to begin")
    freeze(zombie)
    crew.ready()
    crew.release(job)
    event = place.wait_for_result(job).data
    manifest = place.get(f"find/{event['find_job_id']}/manifest.json")
    thaw(zombie)
    wait_for(lambda: zombie.said("job") or None, "the zombie to end its job")
    crew.check_one_result_each([job])
    assert place.get(f"find/{event['find_job_id']}/manifest.json") == manifest
    assert place.manifest(event["find_job_id"])["attempt"] == 2


def test_attempts_survive_deaths_and_rebalances(crew: GatedCrew) -> None:
    """Three failures on three workers, one of which was killed and one drained in between: counted as three."""
    place = crew.place
    job = crew.put_job(is_held=True)
    record = place.announce(job, partition=0)
    first = crew.ready()
    crew.wait_for_attempt(job, 1)
    crew.fail(job)
    crew.wait_for_attempt(job, 2)
    first.kill()
    second = crew.ready(JOB__GRACE_S=0)
    crew.wait_for_attempt(job, 3)
    crew.fail(job)
    crew.wait_for_attempt(job, 4)
    assert second.stop() == 0
    third = crew.ready()
    crew.wait_for_attempt(job, 5)
    crew.fail(job)
    letter = place.wait_for_letter(record)
    assert (letter.header("error-code"), letter.header("attempt")) == ("ATTEMPTS_EXHAUSTED", "5")
    assert "3 of 3 failures and 1 of 10 silent deaths" in (letter.header("error-message") or "")
    place.wait_until_committed()
    good = crew.put_job()
    place.announce(good, partition=0)
    place.wait_for_result(good)
    failed = [line for worker in (first, second, third) for line in worker.said("attempt failed")]
    budgets = [line["memory_bytes"] for line in failed]
    assert budgets == sorted(set(budgets), reverse=True), "each attempt has a smaller budget"


def test_few_partitions_move(crew: GatedCrew) -> None:
    """When a third worker joins two, what the two keep is what they had: only its own share moves."""
    first, second = crew.ready(), crew.ready()
    had = wait_for(lambda: shares(first, second), "two shares of all partitions")
    third = crew.ready()
    has = wait_for(lambda: shares(first, second, third), "three shares of all partitions")
    assert [len(share) for share in has] == [2, 2, 2]
    assert has[0] < had[0]
    assert has[1] < had[1]


def shares(*workers: Worker) -> list[set[int]] | None:
    """The partitions of each, when all are given out and none twice."""
    last = [worker.said("partitions assigned")[-1]["partitions"] for worker in workers]
    return [set(share) for share in last] if sorted(itertools.chain(*last)) == list(range(PARTITIONS)) else None


def test_a_topic_that_comes_and_grows(crew: GatedCrew) -> None:
    """A worker waits for its topic and says so; once made, and when it gains partitions, it goes on by itself."""
    place, topic = crew.place, f"late-{uuid.uuid4().hex[:12]}"
    worker = crew.start(KAFKA__TRAINING_COMPLETE_TOPIC=topic)
    [away] = wait_for(lambda: worker.said("service away") or None, "the worker to miss its topic")
    assert f"no topic '{topic}'" in away["message"]
    assert "kafka-topics.sh --create" in away["hint"]
    place.make_topic(topic, partitions=1)
    worker.wait_ready()
    for partitions in (1, 3):
        if partitions > 1:
            place.add_partitions(topic, partitions)
        job = crew.put_job()
        place.announce(job, topic=topic, partition=partitions - 1)
        place.wait_for_result(job)
