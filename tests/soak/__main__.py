"""Run a soak: `make soak SOAK_SECONDS=600 SEED=1`. The last line says what was counted; exit code 1 on any breach."""

from __future__ import annotations

import argparse
import contextlib
import logging
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedded.stack import EmbeddedStack
from support.background import BackgroundLoop
from support.services import Services
from support.workers import Place

from soak.answers import HealthAnswers, known_answers
from soak.crew import Crew
from soak.disturbances import Disturbances
from soak.meters import Meters, Pace
from soak.plan import announce, plan, write_runs
from soak.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.workers import Seen

    from soak.plan import Planned

PARTITIONS = 12
JOBS_A_SECOND = 500 / 600
SETTLED_WITHIN_S = 300.0
BETWEEN_S = (1.0, 4.0)
SAID_EVERY_S = 30.0


@dataclass(frozen=True)
class Field:
    """Where a soak happens."""

    place: Place
    crew: Crew
    disturbances: Disturbances
    dice: random.Random


def main() -> int:
    """Read the arguments, run, and say what was counted."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long things go wrong (default: 600)")
    parser.add_argument("--seed", type=int, default=None, help="the same things go wrong again (default: by chance)")
    parser.add_argument("--jobs", type=int, default=None, help="default: 500 in 600 seconds")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1_000_000)
    jobs = chosen.jobs or max(1, round(chosen.seconds * JOBS_A_SECOND))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # its broker is killed on purpose
    print(f"soak: {jobs} jobs in {chosen.seconds:.0f} s, seed {seed}", flush=True)
    breaches, line = soak(chosen.seconds, jobs, seed)
    for breach in breaches:
        print(f"BREACH {breach}")
    print(
        f"soak {'FAILED' if breaches else 'passed'}: {line}; again with SOAK_SECONDS={chosen.seconds:.0f} SEED={seed}"
    )
    return 1 if breaches else 0


def soak(seconds: float, jobs: int, seed: int) -> tuple[list[str], str]:
    """Return what was breached, and the counts."""
    with tempfile.TemporaryDirectory(prefix="mistudio-soak-") as directory, field(Path(directory), seed) as ground:
        planned, runs = plan(jobs, ground.dice), write_runs(Path(directory) / "runs")
        survivor = ground.crew.posts[0]
        survivor.worker.wait_ready()
        meters, answers = Meters(survivor.worker, ground.crew.work_dir(survivor)), HealthAnswers(survivor.worker)
        with meters, answers:
            records = disturb(ground, planned, runs, seconds)
            settled = settle(ground.place)
        verdict = judge(ground.place, planned, records)
        breaches = [
            *verdict.breaches(),
            *meters.breaches(),
            *ground.disturbances.breaches,
            *([] if settled else ["the group did not come to its end"]),
        ]
        counts = ", ".join(f"{count} x {what}" for what, count in sorted(ground.disturbances.counts.items()))
        used = ", ".join(f"{name} {meter}" for name, meter in meters.meters.items())
        line = (
            f"{verdict.jobs} jobs completed, {verdict.refused} records refused, {len(verdict.lost)} lost, "
            f"{len(verdict.double)} double, {len(verdict.half)} half, {len(verdict.strays)} stray objects, "
            f"{verdict.repeated} announced again, {verdict.attempts_left} counts of attempts left; {counts}; {used}; "
            f"{answers}; {known_answers(ground.crew.all_workers())}"
        )
        return breaches, line


@contextlib.contextmanager
def field(directory: Path, seed: int) -> Iterator[Field]:
    """Start everything: broker, MinIO, proxies before both, topics and buckets, three workers."""
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    with contextlib.ExitStack() as exits:
        stack = exits.enter_context(EmbeddedStack(store="minio", variables={}))
        proxies = exits.enter_context(stack.proxies())
        loop = exits.enter_context(BackgroundLoop())
        services = exits.enter_context(contextlib.closing(Services(stack.environment(), name="soak")))
        place = exits.enter_context(contextlib.closing(Place(services, loop, partitions=PARTITIONS)))
        environment = {**place.environment, **proxies.environment()}
        crew = exits.enter_context(Crew(environment, directory, stack.running_keeper()))
        yield Field(place, crew, Disturbances(stack, proxies, crew, dice), dice)


def disturb(ground: Field, planned: Sequence[Planned], runs: dict[str, Path], seconds: float) -> list[Seen]:
    """Announce all jobs evenly over the time, and let things go wrong all the while."""
    records: list[Seen] = []
    pace, ends_s = Pace(len(planned), seconds * 0.95), time.monotonic() + seconds
    said_s = time.monotonic()
    while time.monotonic() < ends_s or len(records) < len(planned):
        for _ in range(pace.due() - len(records)):
            number = len(records)
            records.append(announce(ground.place, planned[number], runs, number % PARTITIONS))
        if time.monotonic() < ends_s:
            ground.disturbances.next()
            time.sleep(ground.dice.uniform(*BETWEEN_S))
        if time.monotonic() - said_s > SAID_EVERY_S:
            said_s = time.monotonic()
            wrong = ground.disturbances.counts.total()
            print(
                f"  {len(records)} of {len(planned)} announced, {_done(ground.place)} done, {wrong} times disturbed",
                flush=True,
            )
    return records


def _done(place: Place) -> int:
    return len({seen.key for seen in place.records(place.topics.find_complete)})


def settle(place: Place) -> bool:
    """Wait until every offset is committed, and what comes after the commit is over."""
    ends_s = time.monotonic() + SETTLED_WITHIN_S
    while place.lag():
        if time.monotonic() > ends_s:
            return False
        time.sleep(0.5)
    time.sleep(2.0)  # the counts of attempts go after the commit
    return True


if __name__ == "__main__":
    sys.exit(main())
