"""The crash matrix has every step for either victim, its table shows it, and its points are where they say."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from support.crash_points import ANALYSIS, MATRIX, Kill, sample
from support.crashing_worker import is_point

from mistudio_worker.worker.analysis_request import Progress
from mistudio_worker.worker.steps import Begun, Ended, JobEvent, Step

GENERATOR = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "generate_crash_matrix.py"))
REPORT = [{"kill": kill.name, "survived": True, "took_s": 1.0} for kill in MATRIX]


def lines(report: list[dict[str, object]]) -> str:
    """A report as it is written."""
    return "".join(json.dumps(one) + "\n" for one in report)


def test_every_step_is_hit_before_and_after_for_either_victim() -> None:
    """Twelve steps, twice, for the worker and for its child; and at least 50 kills in all."""
    hit = {(kill.step, kill.victim, kill.when) for kill in MATRIX}
    wanted = {(step, victim, when) for step in Step for victim in ("worker", "child") for when in ("before", "after")}
    assert wanted <= hit
    assert len({kill.name for kill in MATRIX}) == len(MATRIX) >= 50


def test_the_table_is_of_this_matrix() -> None:
    """Run `make chaos` where this fails: the matrix has other kills than the table."""
    page = GENERATOR["PAGE"].read_text(encoding="utf-8")
    assert GENERATOR["with_table"](page, GENERATOR["crash_table"]()) == page
    assert GENERATOR["BEGIN"] in page


@pytest.mark.parametrize("report", [REPORT[1:], [*REPORT, {**REPORT[3], "survived": False}], []])
def test_only_a_whole_run_makes_a_table(report: list[dict[str, object]]) -> None:
    """A kill that is absent or was not survived is named."""
    assert GENERATOR["problems"](lines(REPORT)) == []
    assert GENERATOR["problems"](lines(report))


def test_samples_of_consecutive_seeds_hit_everything() -> None:
    """Each sample has twelve different kills; in nine days all are hit."""
    samples = [sample(seed, workers=6, children=6) for seed in range(739_000, 739_009)]
    assert all(len({kill.name for kill in chosen}) == 12 for chosen in samples)
    assert {kill.name for chosen in samples for kill in chosen} == {kill.name for kill in MATRIX}


@pytest.mark.parametrize(
    ("when", "step", "event", "is_one"),
    [
        ("before", Step.UPLOAD, Begun(Step.UPLOAD), True),
        ("before", Step.UPLOAD, Ended(Step.UPLOAD, 0.1, None), False),
        ("before", Step.UPLOAD, Begun(Step.MANIFEST), False),
        ("after", Step.UPLOAD, Ended(Step.UPLOAD, 0.1, None), True),
        ("after", Step.UPLOAD, Ended(Step.UPLOAD, 0.1, OSError()), False),
        ("during", Step.UPLOAD, Begun(Step.UPLOAD), True),
        ("during", "coherence", Progress("coherence", 0.4), True),
        ("before", "coherence", Progress("coherence", 0.4), False),
    ],
)
def test_points(when: str, step: str, event: JobEvent, *, is_one: bool) -> None:
    """A kill is meant for one moment of a job."""
    assert is_point(Kill("good", "worker", when, step), event) is is_one  # type: ignore[arg-type]


def test_the_child_tells_of_the_points_of_the_analysis() -> None:
    """A point that nobody tells of would never be reached."""
    source = Path(__file__).parents[2] / "src" / "mistudio_worker"
    told = "".join((source / name).read_text() for name in ("worker/analysis_job.py", "analysis/analyze.py"))
    assert all(f'("{step}", ' in told for step in ANALYSIS)
