"""A worker that doubts itself, on its way through jobs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.house import ARTIFACTS, CONTENTS, JOB, KEYS, House, record_of

from mistudio_worker.errors import ChildFailed, RefusedInput
from mistudio_worker.worker.dead_letter_rate import DeadLetterLimits
from mistudio_worker.worker.retry import AttemptLimits
from mistudio_worker.worker.steps import JobState

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.worker.job import JobRunner
    from mistudio_worker.worker.ports import Record

HOLD_S = 0.05
LIMITS = DeadLetterLimits(per_minute=1000, suspect_after=2, hold_s=HOLD_S, hold_max_s=HOLD_S)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A worker that believes two failed jobs, each after one attempt."""
    house = House(tmp_path)
    house.config = replace(house.config, attempt_limits=AttemptLimits(1, 10), dead_letter_limits=LIMITS)
    return house


def put_jobs(house: House, count: int) -> list[Record]:
    """As many runs, each with its record."""
    records = []
    for number in range(count):
        job = f"train_{number}"
        for name, key in KEYS.items():
            house.store.put(ARTIFACTS, key.replace(JOB, job), CONTENTS[name])
        records.append(record_of({"job_id": job}, offset=number, key=job.encode()))
    return records


async def run_all(runner: JobRunner, records: list[Record]) -> list[str]:
    """Carry records to their outcomes, one after another, and return these."""
    outcomes = []
    for record in records:
        state = JobState(record)
        async with asyncio.timeout(20):
            await runner.run(state)
        outcomes.append(state.outcome)
    return outcomes


async def until_away(house: House) -> None:
    """Wait until the worker takes no records."""
    async with asyncio.timeout(20):
        while not house.patience.away:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


def killed() -> ChildFailed:
    """A child that died."""
    return ChildFailed("CHILD_KILLED", "it died", "look at the log")


async def test_a_worker_in_doubt_tries_once_more(house: House) -> None:
    """The third of three failing jobs is held and gets an attempt more; when that works, the doubt is over."""
    house.analyst.script.extend([killed(), killed(), killed(), None, killed()])
    records = put_jobs(house, 4)
    outcomes = await run_all(house.runner, records)
    assert outcomes == ["dead-lettered", "dead-lettered", "completed", "dead-lettered"]
    assert [(request.files.training_job_id) for request in house.analyst.requests][2:4] == ["train_2", "train_2"]
    assert house.codes() == ["ATTEMPTS_EXHAUSTED"] * 3


async def test_what_fails_again_is_given_up(house: House) -> None:
    """The partition moves on all the same: after the pause and one more attempt comes the dead letter."""
    house.analyst.script.extend(killed() for _ in range(6))
    assert await run_all(house.runner, put_jobs(house, 4)) == ["dead-lettered"] * 4
    assert len(house.analyst.requests) == 1 + 1 + 2 + 2
    assert [dict(letter.headers)["attempt"] for letter in house.letters()] == [b"1", b"1", b"2", b"2"]


async def test_no_record_is_taken_meanwhile(house: House) -> None:
    """While it doubts itself the worker counts as away, and the job may be given back without a loss."""
    house.config = replace(house.config, dead_letter_limits=replace(LIMITS, hold_s=600, hold_max_s=600))
    house.analyst.script.extend(killed() for _ in range(3))
    *first, last = put_jobs(house, 3)
    runner, state = house.runner, JobState(last)
    await run_all(runner, first)
    job = asyncio.create_task(runner.run(state))
    await until_away(house)
    assert list(house.patience.away) == ["WORKER_SUSPECT"]
    assert "CHILD_KILLED" in house.patience.away["WORKER_SUSPECT"]
    assert state.is_waiting
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    assert (house.patience.away, state.is_waiting, len(house.letters())) == ({}, False, 2)


async def test_who_waits_behind_a_doubt_waits_too(house: House) -> None:
    """While one job is held, another one that fails may be given back at once, and so may one that was refused."""
    house.config = replace(house.config, dead_letter_limits=replace(LIMITS, hold_s=600, hold_max_s=600))
    house.analyst.script.extend(killed() for _ in range(4))
    *first, held, behind = put_jobs(house, 4)
    runner = house.runner
    await run_all(runner, first)
    holding = asyncio.create_task(runner.run(JobState(held)))
    await until_away(house)
    states = [JobState(behind), JobState(record_of(b"{", offset=9))]
    jobs = [asyncio.create_task(runner.run(state)) for state in states]
    async with asyncio.timeout(20):
        while not all(state.is_waiting and not house.slots.locked() for state in states):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.001)
    for job in (holding, *jobs):
        job.cancel()
    await asyncio.gather(holding, *jobs, return_exceptions=True)
    assert len(house.letters()) == 2


async def test_refused_input_is_believed_at_once(house: House) -> None:
    """Any number of bad runs in a row end without a pause, and are no reason for doubt."""
    house.config = replace(house.config, dead_letter_limits=replace(LIMITS, hold_s=600, hold_max_s=600))
    house.analyst.script.extend([RefusedInput("ARTIFACT_CORRUPT", "bad", "upload again")] * 6)
    assert await run_all(house.runner, put_jobs(house, 6)) == ["dead-lettered"] * 6


async def test_a_flood_waits_for_its_turn(house: House) -> None:
    """Beyond so many dead letters a minute the next one waits, and the worker takes nothing new."""
    house.config = replace(house.config, dead_letter_limits=replace(LIMITS, per_minute=2))
    runner = house.runner
    bad = [record_of(b"{", offset=number) for number in range(3)]
    await run_all(runner, bad[:2])
    job = asyncio.create_task(runner.run(JobState(bad[2])))
    await until_away(house)
    assert list(house.patience.away) == ["DEAD_LETTER_FLOOD"]
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    assert [letter.value for letter in house.letters()] == [b"{", b"{"]
