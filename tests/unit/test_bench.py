"""`make bench` measures what it promises, on a run of any size."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support.runs import write_run

if TYPE_CHECKING:
    import pytest

BENCH = Path(__file__).parents[2] / "bench" / "run.py"


def test_a_run_of_ones_own_is_measured(tmp_path: Path) -> None:
    """Every stage has a figure for each repeat, also those that have a limit; the table names all of them."""
    write_run(tmp_path / "run")
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, BENCH, "--run", tmp_path / "run", "--repeats", "1", "--json", figures],
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(figures.read_text())
    assert runpy.run_path(str(BENCH))["AT_MOST"].keys() < measured.keys()
    assert all(len(values) == 1 and values[0] >= 0 for values in measured.values())
    assert [stage for stage in measured if stage not in done.stdout] == []


def test_limits_stand_beside_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """Median, least, most, and what it may be; a stage without a limit has none."""
    show = runpy.run_path(str(BENCH))["show"]
    show({"analysis, s": [3.0, 1.0, 2.5], "floor, s": [1.0]}, at_most={"analysis, s": 4.0})
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines() if ", s" in line]
    assert rows == [["analysis,", "s", "2.500", "1.000", "3.000", "4.0"], ["floor,", "s", "1.000", "1.000", "1.000"]]
