"""`mistudio-worker compare`: two runs, or the results of two, side by side."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mistudio_worker.artifacts.files import ArtifactFiles
from mistudio_worker.commands.compare_inputs import Source, locate
from mistudio_worker.commands.compare_say import say_comparison, say_files
from mistudio_worker.commands.exit_codes import ExitCode, say_gaps
from mistudio_worker.commands.progress import progress_display
from mistudio_worker.commands.staging import staged_files
from mistudio_worker.errors import RefusedInput, WrongUsage
from mistudio_worker.exports.comparison_export import write_comparison

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.domain.comparison import Comparison, ComparisonOptions, MatchBy
    from mistudio_worker.settings import Settings


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """What the user asked for.

    Attributes:
        a: the first run or its results.
        b: the second run or its results.
        job_a: training job of A, where it is a folder of several.
        job_b: likewise.
        by: how to match the features of two runs.
        options: thresholds.
        top_k: strongest texts kept a feature; None for that of the results beside the run, else the usual.
        out: folder for comparison.json and the plot; None for neither.
        plot: `png` or `svg`; None for no plot.
        shown: features named in a table.
    """

    a: Path
    b: Path
    job_a: str | None
    job_b: str | None
    by: MatchBy
    options: ComparisonOptions
    top_k: int | None
    out: Path | None
    plot: str | None
    shown: int


async def compare_command(settings: Settings, request: CompareRequest) -> ExitCode:
    """Compare, write the files that were asked for, and say what came of it."""
    a = Source("A", request.a, locate(request.a, request.job_a, "--job-a"))
    b = Source("B", request.b, locate(request.b, request.job_b, "--job-b"))
    _check(a, b, request)
    from mistudio_worker.commands.compare_runs import compare_sources  # noqa: PLC0415 - torch, once all is there

    place = nullcontext() if request.out is None else staged_files(request.out)
    with place as staging, progress_display("compare") as report:
        comparison, found = await compare_sources(settings, a, b, request, report)
        if staging is not None:
            report("write", 1.0)
            await asyncio.to_thread(_write, comparison, staging, request.plot)
    say_comparison(comparison, request.shown)
    if request.out is not None:
        say_files(request.out, ["comparison.json", *([f"comparison.{request.plot}"] if request.plot else [])])
    gaps = [replace(gap, message=f"{name}: {gap.message}") for name, run in found.items() for gap in run.gaps]
    say_gaps(gaps)
    return ExitCode.PARTIAL if gaps else ExitCode.DONE


def _check(a: Source, b: Source, request: CompareRequest) -> None:
    if request.by != "auto" and not all(isinstance(source.found, ArtifactFiles) for source in (a, b)):
        raise RefusedInput(
            "RUNS_NOT_COMPARABLE",
            f"results hold neither decoders nor activations, so matching by {request.by} is not possible",
            "name two folders with models/ and activations/, or leave --by out to match by the top texts",
        )
    if request.out is not None and request.plot is not None and find_spec("matplotlib") is None:
        raise WrongUsage(
            "PLOT_LIBRARY_MISSING",
            "the plot needs matplotlib, which is not installed",
            "pip install 'mistudio-worker[plot]', or leave the plot out with --plot none",
        )


def _write(comparison: Comparison, directory: Path, plot: str | None) -> None:
    with (directory / "comparison.json").open("wb") as stream:
        write_comparison(comparison, stream)
    if plot is None:
        return
    from mistudio_worker.exports.comparison_plot import write_plot  # noqa: PLC0415 - an optional library

    with (directory / f"comparison.{plot}").open("wb") as stream:
        write_plot(comparison, stream, plot)
