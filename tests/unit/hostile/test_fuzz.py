"""A short run of the fuzzer with a fixed seed, and every input that a long one has found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.targets import TARGETS, check

TESTS = Path(__file__).parents[2]
KEPT = Path(__file__).parent / "found"
FOUND = sorted(path for path in KEPT.rglob("*") if path.is_file())


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    """A round for each target: nothing but refusals comes out, no process dies, and the last line counts it."""
    run = subprocess.run(
        [sys.executable, "-m", "fuzz", "--seconds", "1", "--seed", "1", "--examples", "300"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "1200 inputs in 4 rounds, seed 1: 0 findings"
    assert {line.split(":")[0] for line in run.stdout.splitlines()} >= set(TARGETS)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_refused(path: Path) -> None:
    """Each input that once broke a reader ends in a refusal, or is read as plain data."""
    assert check(path.parent.name, path.read_bytes())


def test_findings_are_kept() -> None:
    """The folder names only targets that exist."""
    assert {path.parent.name for path in FOUND} <= TARGETS.keys()
