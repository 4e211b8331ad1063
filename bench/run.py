"""Measure the analysis and the exports beside floors taken in the same run.

    make bench                             the Phi-4 size, each figure beside what it may be at most; then bench.worker
    python bench/run.py --run RUN_DIR      a run of yours

Every repeat measures, one after another on the same data: the read floor (summing the activations once), one dense
product (the arithmetic floor of coherence), a plain torch path (top-k and moments), then the whole of our analysis
and all exports in a fresh, warm child process. Look at the load before you believe a time; trust the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.console import Console
from rich.table import Table

from mistudio_worker.artifacts.reader import read_training_run
from mistudio_worker.artifacts.run_dir import find_run
from mistudio_worker.commands.local_job import analyze_run_dir
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.settings import read_settings
from mistudio_worker.worker.child import Child

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 1_000_000
TOP_K = 20
ANALYSIS, EXPORTS, PEAK = "analysis, s", "all exports, s", "peak memory, MB"
OURS = {"decode": "decode and check, s", "analyze": ANALYSIS, "export": EXPORTS}
AT_MOST = {ANALYSIS: 4.0, EXPORTS: 2.0, PEAK: 1_500.0}
"""What the Phi-4 size may take on two processors that do nothing else."""


def main() -> None:
    """Read the options, measure, print a table and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", metavar="RUN_DIR", type=Path, help="default: a generated run of the Phi-4 size")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("bench/out/bench.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mistudio-bench-") as scratch:
        run_dir = options.run or generate(Path(scratch) / "run")
        figures = measure(run_dir, Path(scratch) / "out", options.repeats)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    show(figures, at_most={} if options.run else AT_MOST)


def generate(directory: Path) -> Path:
    """Make the Phi-4 size: 5,220 texts of 2 KB, 512 features, d = 5,120."""
    subprocess.run([sys.executable, str(Path(__file__).with_name("make_run.py")), str(directory)], check=True)
    return directory


def measure(run_dir: Path, out: Path, repeats: int) -> dict[str, list[float]]:
    """Return the figures of every stage, one a repeat."""
    run = read_training_run(find_run(run_dir))
    features = run.features.rows(0, run.features.shape[0])
    originals = None if run.originals is None else run.originals.rows(0, run.originals.shape[0])
    figures: dict[str, list[float]] = {}

    def note(stage: str, value: float) -> None:
        figures.setdefault(stage, []).append(round(value, 4))

    for _ in range(repeats):
        note("floor: read once, s", timed(features.sum))
        note("plain torch, s", timed(lambda: plain_torch(features)))
        if originals is not None:
            note("floor: dense product, s", timed(lambda: features.T @ originals))
        for stage, value in asyncio.run(ours(run_dir, out)).items():
            note(stage, value)
    return figures


def timed(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    begun_s = time.perf_counter()
    call()
    return time.perf_counter() - begun_s


def plain_torch(features: torch.Tensor) -> None:
    """Do what a first version would: top-k and four moments, vectorised."""
    torch.topk(features, min(TOP_K, len(features)), dim=0)
    double = features.double()
    mean = double.mean(0)
    for power in (2, 3, 4):
        ((double - mean) ** power).mean(0)


async def ours(run_dir: Path, out: Path) -> dict[str, float]:
    """Run the whole job in a warm child; return its stages."""
    settings = read_settings()
    reported: list[tuple[str, float]] = []
    child = Child(memory_limit_bytes=1 << 40, deadline_s=settings.job.deadline_s)
    try:
        await child.start()
        _, outcome, _ = await analyze_run_dir(
            run_dir,
            out,
            job=None,
            parameters=Parameters(),
            settings=settings,
            on_progress=lambda progress: reported.append((progress.step, time.perf_counter())),
            child=child,
        )
    finally:
        await child.stop()
    stages = {OURS[step]: seconds for step, seconds in outcome.timings.items()}
    return stages | analysis_steps(reported) | {PEAK: outcome.peak_memory_bytes / MB}


def analysis_steps(reported: list[tuple[str, float]]) -> dict[str, float]:
    """Seconds from each step of the analysis to the next one."""
    names = [name for name, _ in reported]
    steps = reported[names.index("statistics") : names.index("done") + 1]
    return {f"- {name}, s": after - at for (name, at), (_, after) in pairwise(steps)}


def show(figures: dict[str, list[float]], *, at_most: dict[str, float]) -> None:
    """Print medians and ranges."""
    load = f"{len(os.sched_getaffinity(0))} processors, load average {os.getloadavg()[0]:.1f}"
    table = Table("stage", "median", "least", "most", "at most", caption=load)
    for stage, values in figures.items():
        measured = (f"{figure:,.3f}" for figure in (statistics.median(values), min(values), max(values)))
        table.add_row(stage, *measured, f"{at_most[stage]:,.1f}" if stage in at_most else "")
    Console().print(table)


if __name__ == "__main__":
    main()
