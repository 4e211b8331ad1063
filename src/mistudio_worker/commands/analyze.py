"""`mistudio-worker analyze`: a run on this disk, shown to a person."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from mistudio_worker.commands.exit_codes import ExitCode, say_gaps
from mistudio_worker.commands.local_job import analyze_run_dir
from mistudio_worker.commands.progress import progress_display

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.domain.parameters import Parameters
    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.analysis_request import AnalysisOutcome, Progress

MIB = 1 << 20


async def analyze_command(
    settings: Settings, run_dir: Path, out: Path, *, job: str | None, parameters: Parameters
) -> ExitCode:
    """Analyse, then say what came out, how long it took, how much memory, and where the exports lie."""
    begun_s = time.perf_counter()
    with progress_display("analyze") as report:

        def on_progress(progress: Progress) -> None:
            report(progress.step, progress.fraction)

        identity, outcome, directory = await analyze_run_dir(
            run_dir, out, job=job, parameters=parameters, settings=settings, on_progress=on_progress
        )
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{identity.find_job_id}[/bold]  {outcome.status}")
    _say(console, outcome)
    console.print(f"  {time.perf_counter() - begun_s:.1f} s with start-up; exports in {escape(str(directory))}")
    for export in outcome.exports:
        console.print(
            f"    {export.format:8} {export.size / MIB:8.2f} MiB  {export.sha256}  {escape(export.path.name)}"
        )
    if outcome.status == "partial":
        say_gaps(outcome.reasons)
        return ExitCode.PARTIAL
    return ExitCode.DONE


def _say(console: Console, outcome: AnalysisOutcome) -> None:
    counts = outcome.counts
    tiers = ", ".join(f"{number} {tier}" for tier, number in counts.by_tier.items() if number)
    console.print(f"  {counts.features} features over {counts.texts} texts: {tiers}")
    console.print(f"  {outcome.priority_total} features worth explaining")
    steps = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in outcome.timings.items())
    console.print(f"  {steps}; peak memory {outcome.peak_memory_bytes / MIB:.0f} MiB")
