"""The main part of `make demo`, on the stack and the worker of this test run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from demo import demo
from embedded.process import StackError
from rich.console import Console
from support.broken_runs import BROKEN_RUNS
from support.runs import write_run

from mistudio_worker.exports.formats import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from support.workers import Place, Worker

ENOUGH_S = 60.0


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    """Remembers what the demo prints."""
    console = Console(width=demo.WIDTH, record=True)
    monkeypatch.setattr(demo, "console", console)
    return console


def test_the_demo_shows_the_job(place: Place, worker: Worker, console: Console, tmp_path: Path) -> None:
    """A run is submitted and fetched, its best features are printed, and every export is named."""
    write_run(tmp_path / "run", job_id="train_of_the_demo")
    environment = {**os.environ, **place.environment}
    job_s = demo.run_job(environment, tmp_path / "run", log=worker.log_file, out=tmp_path)
    demo.show(tmp_path)
    said = console.export_text()
    assert job_s in demo.durations_s(worker.log_file, "train_of_the_demo")
    assert 0 < job_s < ENOUGH_S
    assert "The most coherent of 24 features" in said
    (directory,) = (tmp_path / "results").iterdir()
    exports = [path.name for path in directory.iterdir()]
    assert len(exports) == len(KINDS)
    assert [name for name in exports if name not in said] == []


def test_the_demo_says_why_it_failed(place: Place, worker: Worker, console: Console, tmp_path: Path) -> None:
    """A run that the worker refuses ends the demo with the end of the worker's log."""
    del console
    BROKEN_RUNS["rows_lt_texts"].write(tmp_path)
    with pytest.raises(StackError, match="the job failed") as failed:
        demo.run_job({**os.environ, **place.environment}, tmp_path, log=worker.log_file, out=tmp_path / "out")
    assert '"event": "' in str(failed.value)
