"""Progress for people: a bar on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress_display(title: str) -> Iterator[Callable[[str, float], None]]:
    """Show progress while the block runs; the yielded function takes a step and its fraction, 0 to 1."""
    if sys.stderr.isatty():
        with _bar(title) as report:
            yield report
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Callable[[str, float], None]]:
    columns = (
        TextColumn("{task.fields[title]}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0, title=title)
        yield lambda step, fraction: bar.update(task, description=step, completed=fraction)


def _lines(title: str) -> Callable[[str, float], None]:
    """Say each step once: logs of CI and cron stay short."""
    said: set[str] = set()

    def report(step: str, fraction: float) -> None:
        del fraction
        if step not in said:
            said.add(step)
            sys.stderr.write(f"{title}: {step}\n")
            sys.stderr.flush()

    return report
