"""A command that is ended leaves nothing half-done behind."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from support.runs import write_run

if TYPE_CHECKING:
    from pathlib import Path

WITHIN_S = 60.0


def test_sigterm_in_the_middle(tmp_path: Path) -> None:
    """SIGTERM, as `timeout` and cron send it, ends `analyze` like Ctrl-C: no folder of an unfinished result stays."""
    run = tmp_path / "run"
    write_run(run)
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-c",
        "from mistudio_worker.cli import main; main()",
        "analyze",
        str(run),
        "--out",
        str(out),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        deadline_s = time.monotonic() + WITHIN_S
        while not list(out.glob("results/.unfinished-*")) and time.monotonic() < deadline_s:
            time.sleep(0.005)
        process.terminate()
        process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130
    assert not list(out.rglob("*"))
