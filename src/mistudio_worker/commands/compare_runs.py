"""Two sources made comparable and compared: runs are analysed by the same parameters, results are read."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mistudio_worker import bootstrap
from mistudio_worker.analysis.execution import Execution
from mistudio_worker.artifacts.files import ArtifactFiles
from mistudio_worker.artifacts.reader import read_training_run
from mistudio_worker.commands.compare_inputs import load_results
from mistudio_worker.commands.local_job import analyze_run_dir
from mistudio_worker.comparison.compare import compare
from mistudio_worker.comparison.of_runs import run_similarities
from mistudio_worker.comparison.top_texts import top_text_similarities
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.exports.formats import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mistudio_worker.commands.compare import CompareRequest
    from mistudio_worker.commands.compare_inputs import Source
    from mistudio_worker.comparison.similarities import Similarities
    from mistudio_worker.domain.comparison import Comparison, MatchBy, RunFigures
    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.analysis_request import Progress
    from mistudio_worker.worker.child import Child

    Report = Callable[[str, float], None]

_ANALYSED = 0.8
"""Share of the bar that the analysis takes."""


async def compare_sources(
    settings: Settings, a: Source, b: Source, request: CompareRequest, report: Report
) -> tuple[Comparison, Mapping[str, RunFigures]]:
    """Compare two runs or results; the figures of each come along, by `A` and `B`.

    Two runs are set against each other first: what cannot be compared is refused before minutes of analysis.
    The matching runs in this process, on the CPU, within the budget of an analysis.

    Raises:
        MistudioError: a run or results are refused, or the two cannot be compared.
    """
    budget = bootstrap.working_memory_bytes(settings)
    execution = Execution(threads=bootstrap.thread_count(settings), memory_bytes=budget)
    sources = (a, b)
    figures = {s.name: load_results(s.found, budget) for s in sources if isinstance(s.found, Path)}
    similarities = None
    if not figures:
        report("read", 0.0)
        similarities = await asyncio.to_thread(_of_runs, a, b, request.by, settings, execution)
    runs = [source for source in sources if source.name not in figures]
    figures |= await _analyze(runs, _parameters(request.top_k, figures), settings, report)

    def match() -> Comparison:
        return compare(
            figures["A"],
            figures["B"],
            similarities or top_text_similarities(figures["A"], figures["B"]),
            request.options,
            execution=execution,
            on_progress=lambda share: report("match", _ANALYSED + (1 - _ANALYSED) * share),
        )

    return await asyncio.to_thread(match), {source.name: figures[source.name] for source in sources}


def _of_runs(a: Source, b: Source, by: MatchBy, settings: Settings, execution: Execution) -> Similarities:
    """Read two runs and set their features against each other; the activations stay mapped in their files."""
    limits = bootstrap.analysis_limits(settings)
    read = [read_training_run(s.found, limits) for s in (a, b) if isinstance(s.found, ArtifactFiles)]
    return run_similarities(*read, by=by, execution=execution)


def _parameters(top_k: int | None, results: Mapping[str, RunFigures]) -> Parameters:
    """Analyse a run as the results beside it were made."""
    known = [figures.run.top_k for figures in results.values()]
    chosen = [top_k] if top_k is not None else known
    return Parameters(top_k=chosen[0]) if chosen else Parameters()


async def _analyze(
    runs: Sequence[Source], parameters: Parameters, settings: Settings, report: Report
) -> dict[str, RunFigures]:
    """Analyse some runs, one after another in one child process; the exports are gone when this returns."""
    if not runs:
        return {}
    child = bootstrap.make_child(settings)
    try:
        return {
            run.name: await _analyze_one(run, child, parameters, settings, _part(report, run.name, number, len(runs)))
            for number, run in enumerate(runs)
        }
    finally:
        await child.stop()


async def _analyze_one(
    run: Source, child: Child, parameters: Parameters, settings: Settings, on_progress: Callable[[Progress], None]
) -> RunFigures:
    with tempfile.TemporaryDirectory(prefix="mistudio-compare-", dir=settings.job.work_dir) as directory:
        identity, _, exports = await analyze_run_dir(
            run.path,
            Path(directory),
            job=run.job,
            parameters=parameters,
            settings=settings,
            on_progress=on_progress,
            child=child,
        )
        results = exports / KINDS["json"].file_name(identity.find_job_id)
        return await asyncio.to_thread(load_results, results, bootstrap.working_memory_bytes(settings))


def _part(report: Report, name: str, number: int, total: int) -> Callable[[Progress], None]:
    """Return a report of one of several analyses; the share of its exports, which begins anew, counts as done."""

    def on_progress(progress: Progress) -> None:
        fraction = 1.0 if progress.step == "export" else progress.fraction
        report(f"{name}: {progress.step}", _ANALYSED * (number + fraction) / total)

    return on_progress
