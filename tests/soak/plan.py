"""What is announced in a soak, and what must come of it: all from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from support.broken_runs import BROKEN_RUNS
from support.runs import write_run

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

    from support.workers import Place, Seen


class Expected(Enum):
    """What must come of a record."""

    COMPLETED = "completed"
    REFUSED = "refused"


@dataclass(frozen=True)
class Planned:
    """One record to be written.

    Attributes:
        job: training job id; None for a record that is no event.
        run: name of the run to upload, of those that `write_runs` writes; None where it lies there already.
        expected: what must come of it.
    """

    job: str | None
    run: str | None
    expected: Expected


GOOD_RUNS = ("narrow", "wide")
REFUSED_RUN = "rows_lt_texts"
REFUSED_SHARE, MALFORMED_SHARE, TWICE_SHARE = 0.04, 0.03, 0.05


def plan(jobs: int, dice: random.Random) -> list[Planned]:
    """Return the records of a soak: mostly good runs; some refused, some malformed, some announced twice."""
    records: list[Planned] = []
    for number in range(jobs):
        job = f"soak_{number:05d}"
        lot = dice.random()
        if lot < REFUSED_SHARE:
            records.append(Planned(job, REFUSED_RUN, Expected.REFUSED))
        elif lot < REFUSED_SHARE + MALFORMED_SHARE:
            records.append(Planned(None, None, Expected.REFUSED))
        else:
            records.append(Planned(job, dice.choice(GOOD_RUNS), Expected.COMPLETED))
            if dice.random() < TWICE_SHARE:
                records.append(Planned(job, None, Expected.COMPLETED))
    return records


def write_runs(directory: Path) -> dict[str, Path]:
    """Write each kind of run once, and return where."""
    write_run(directory / "narrow", n_texts=150, n_features=32)
    write_run(directory / "wide", n_texts=400, n_features=96, d=32, seed=1)
    BROKEN_RUNS[REFUSED_RUN].write(directory / REFUSED_RUN)
    return {name: directory / name for name in (*GOOD_RUNS, REFUSED_RUN)}


def announce(place: Place, planned: Planned, runs: dict[str, Path], partition: int) -> Seen:
    """Upload what a record needs, then write it."""
    if planned.job is None:
        return place.publish(b"{no json", key=b"nobody", partition=partition)
    if planned.run is not None:
        place.put_run(runs[planned.run], job=planned.job)
    return place.announce(planned.job, partition=partition)


def jobs_of(planned: Sequence[Planned], expected: Expected) -> set[str]:
    """Return the training job ids of which something must come."""
    return {p.job for p in planned if p.job is not None and p.expected is expected}
