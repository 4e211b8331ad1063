"""The parts of `make demo` that need no server."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from demo import demo
from embedded.process import StackError
from embedded.worker_log import log_lines

if TYPE_CHECKING:
    from pathlib import Path


def written(log: Path, *lines: dict[str, Any] | str) -> Path:
    """A log of these lines, the last one without its end."""
    log.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return log


def line(job: str, duration_s: float) -> dict[str, Any]:
    """The canonical line of a job."""
    return {"event": "job", "job": job, "duration_s": duration_s}


def test_only_whole_lines_of_the_event_count(tmp_path: Path) -> None:
    """Tracebacks, other events and a half-written line are passed over."""
    log = written(
        tmp_path / "log", "Traceback:", {"event": "worker ready"}, "{broken}", line("a", 1.5), '{"event": "jo'
    )
    assert log_lines(log, "job") == [line("a", 1.5)]
    assert log_lines(log, "another") == []


def test_the_duration_is_that_of_the_job(tmp_path: Path) -> None:
    """Lines of other jobs do not count; a job has a line for each event, or none yet."""
    log = written(tmp_path / "log", line("b", 9.0), line("a", 1.5), line("a", 0.1), "")
    assert [demo.durations_s(log, job) for job in "abc"] == [[1.5, 0.1], [9.0], []]


def feature(number: int, score: float, category: str) -> dict[str, Any]:
    """A feature as it stands in the complete results."""
    return {
        "feature_id": number,
        "coherence_score": score,
        "quality_tier": "good",
        "pattern_category": category,
        "pattern_keywords": ["[bold]", "b", "c", "d", "e", "f"],
        "top_activations": [],
    }


def test_the_best_are_of_several_categories() -> None:
    """Best first, three of a category at most, equal scores in the order of their ids."""
    features = [feature(0, 0.5, "b"), *(feature(n, 0.9, "a") for n in range(1, 6)), feature(6, 0.7, "b")]
    assert [chosen["feature_id"] for chosen in demo.best(features)] == [1, 2, 3, 6, 0]


def test_texts_are_no_markup() -> None:
    """What looks like rich's markup is shown as it is, and a feature without an example has an empty cell."""
    *_, keywords, example = demo.row(feature(0, 0.5, "a"))
    assert (keywords, example) == (r"\[bold], b, c, d, e", "")


def test_a_program_that_fails_is_told() -> None:
    """The message holds what the program said, on either stream."""
    with pytest.raises(StackError, match="exit 3") as failed:
        demo.call([sys.executable, "-c", "import sys; print('out'); sys.stderr.write('err'); sys.exit(3)"], {})
    assert "out\nerr" in str(failed.value)
