"""What is loaded before there is something to analyse."""

from __future__ import annotations

import subprocess
import sys

LIGHT = ("bootstrap", "commands.analyze", "commands.backfill", "commands.compare", "commands.fetch", "commands.submit")
HEAVY = ("torch", "numba", "scipy", "pandas")


def test_only_the_child_loads_what_analyses() -> None:
    """The worker's own process and the commands start without torch: it takes seconds and hundreds of megabytes."""
    names = ", ".join(f"mistudio_worker.{name}" for name in LIGHT)
    script = f"import sys, {names}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_loads_no_more_than_the_command_line() -> None:
    """Settings, logs and tables are loaded by the command that needs them: help answers within 0.3 s."""
    loaded = "('pydantic', 'structlog', 'rich', 'numpy', 'importlib.metadata')"
    script = f"import sys, mistudio_worker.cli; print([name for name in {loaded} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
