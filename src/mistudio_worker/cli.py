"""The command line: `mistudio-worker COMMAND`. Each command is one function; what it does lies in `commands/`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mistudio_worker.commands.exit_codes import ExitCode, code_of, say_error
from mistudio_worker.domain.comparison import DEFAULT_MIN_CHANGE, ComparisonOptions, MatchBy
from mistudio_worker.domain.parameters import Device, Parameters
from mistudio_worker.errors import MistudioError
from mistudio_worker.logging_setup import configure_logging, quiet_libraries

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from mistudio_worker.settings import Settings

app = typer.Typer(
    name="mistudio-worker",
    help="Find out what each feature of a sparse autoencoder responds to.\n\n"
    "The worker reacts by itself: it reads training-complete from Kafka, analyses the run that lies in the store, "
    "uploads every export and publishes find-complete. Settings come from MISTUDIO_ variables, "
    "see docs/reference/settings.md.\n\n"
    "Exit codes: 0 done · 3 done but partial · 2 wrong usage · 4 refused input or failed job · 5 service away · "
    "6 unknown job · 1 a defect of mistudio_worker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TopK = Annotated[int, typer.Option("--top-k", min=1, max=100, help="Strongest texts kept a feature.")]
PlotFormat = Literal["png", "svg", "none"]
Threshold = Annotated[
    float, typer.Option("--coherence-threshold", min=0, max=1, help="Features at or above it are worth explaining.")
]
Job = Annotated[str | None, typer.Option("--job", help="The training job, where RUN_DIR holds several.")]
By = Annotated[
    MatchBy, typer.Option("--by", help="How to match features of two runs; results are matched by top texts.")
]
Out = Annotated[Path, typer.Option("--out", help="Exports go to OUT/results/<find job>/.")]


@app.command(epilog="Example: MISTUDIO_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 mistudio-worker run")
def run() -> None:
    """Work: consume training-complete until SIGTERM or Ctrl-C."""
    from mistudio_worker import bootstrap  # noqa: PLC0415 - loaded for this command alone

    settings = _settings()
    configure_logging(settings.log)
    asyncio.run(bootstrap.run_worker(settings))


@app.command(epilog="Example: mistudio-worker analyze examples/run --out /tmp/out")
def analyze(
    run_dir: Annotated[
        Path, typer.Argument(metavar="RUN_DIR", help="Holds models/<job>/ and activations/<job>/, as the bucket does.")
    ],
    out: Out,
    job: Job = None,
    top_k: TopK = 20,
    coherence_threshold: Threshold = 0.4,
    taxonomy: Annotated[Path | None, typer.Option(help="A taxonomy file to use instead of the built-in one.")] = None,
    device: Annotated[Device | None, typer.Option(help="Where the tensor work is done.")] = None,
    threads: Annotated[int | None, typer.Option(min=0, help="0: one a processor.")] = None,
) -> None:
    """Analyse a run on this disk, without broker or store: the same exports, the same bytes."""
    from mistudio_worker.commands.analyze import analyze_command  # noqa: PLC0415

    settings = _with_analysis(_settings(), taxonomy=taxonomy, device=device, threads=threads)
    parameters = Parameters(top_k=top_k, coherence_threshold=coherence_threshold)
    _exit(analyze_command(settings, run_dir, out, job=job, parameters=parameters))


@app.command(
    epilog="Example: mistudio-worker compare runs/monday runs/tuesday --out /tmp/compared\n\n"
    "Example: mistudio-worker compare monday_complete_results.json tuesday_complete_results.json"
)
def compare(
    a: Annotated[
        Path, typer.Argument(metavar="A", help="A folder with models/ and activations/, or with results; or results.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="The same, of the run to compare with A.")],
    by: By = "auto",
    min_similarity: Annotated[
        float | None,
        typer.Option(min=0.01, max=1, help="No match below it. Default: 0.7; by top texts 0.33.", show_default=False),
    ] = None,
    min_change: Annotated[
        float, typer.Option(min=0.001, max=1, help="A difference of scores from it on is a change.")
    ] = DEFAULT_MIN_CHANGE,
    out: Annotated[Path | None, typer.Option("--out", help="Write comparison.json and the plot here.")] = None,
    plot: Annotated[PlotFormat, typer.Option("--plot", help="Format of the plot; none for no plot.")] = "png",
    show: Annotated[int, typer.Option("--show", min=0, help="Features named a table.")] = 10,
    job_a: Annotated[str | None, typer.Option("--job-a", help="The training job, where A holds several.")] = None,
    job_b: Annotated[str | None, typer.Option("--job-b", help="The training job, where B holds several.")] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            "--top-k", min=1, max=100, help="As for analyze. Default: of the results, else 20.", show_default=False
        ),
    ] = None,
    taxonomy: Annotated[Path | None, typer.Option(help="A taxonomy file to use instead of the built-in one.")] = None,
    device: Annotated[Device | None, typer.Option(help="Where the analysis does its tensor work.")] = None,
    threads: Annotated[int | None, typer.Option(min=0, help="0: one a processor.")] = None,
) -> None:
    """Compare two runs: which features match, appeared, vanished or changed their score.

    Runs are analysed first, each by the same parameters. Their features are matched by decoder direction, or by their
    activation on common texts.
    """
    from mistudio_worker.commands.compare import CompareRequest, compare_command  # noqa: PLC0415

    settings = _with_analysis(_settings(), taxonomy=taxonomy, device=device, threads=threads)
    options = ComparisonOptions(min_similarity, min_change)
    chosen = None if plot == "none" else plot
    _exit(compare_command(settings, CompareRequest(a, b, job_a, job_b, by, options, top_k, out, chosen, show)))


@app.command(epilog="Example: mistudio-worker submit train_20260102_030405_0001 --wait")
def submit(
    target: Annotated[
        str, typer.Argument(metavar="JOB|RUN_DIR", help="A training job id, or a folder to upload first.")
    ],
    job: Job = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress and end with the job's outcome.")] = False,
    limit_s: Annotated[float, typer.Option("--limit-s", help="Longest wait for the outcome, seconds.")] = 3600.0,
    top_k: TopK = 20,
    coherence_threshold: Threshold = 0.4,
) -> None:
    """Publish training-complete for a run."""
    from mistudio_worker.commands.submit import submit_command  # noqa: PLC0415

    parameters = Parameters(top_k=top_k, coherence_threshold=coherence_threshold)
    _exit(submit_command(_settings(), target, job=job, parameters=parameters, wait_s=limit_s if wait else None))


@app.command(epilog="Example: mistudio-worker fetch train_20260102_030405_0001 --out /tmp/out")
def fetch(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A find job id, or a training job id (its newest result).")],
    out: Out,
) -> None:
    """Download the exports of a job, each verified by its SHA-256."""
    from mistudio_worker.commands.fetch import fetch_command  # noqa: PLC0415

    _exit(fetch_command(_settings(), job, out))


@app.command(epilog="Example: mistudio-worker backfill --dry-run")
def backfill(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
) -> None:
    """Publish training-complete for every training in the bucket that has no result."""
    from mistudio_worker.commands.backfill import backfill_command  # noqa: PLC0415

    _exit(backfill_command(_settings(), dry_run=dry_run))


@app.command(epilog="Example: mistudio-worker doctor || echo 'see the remedies above'")
def doctor() -> None:
    """Check broker, topics, store, conditional PUT, device and versions: each line ok or the remedy."""
    from mistudio_worker.commands.doctor import doctor_command  # noqa: PLC0415

    _exit(doctor_command(_settings()))


@app.command(epilog="Example: mistudio-worker health --live")
def health(
    live: Annotated[bool, typer.Option("--live", help="Only whether a restart would help.")] = False,
    ready: Annotated[bool, typer.Option("--ready", help="Only whether it takes records.")] = False,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: MISTUDIO_HTTP__PORT.")] = None,
) -> None:
    """Ask the worker on this host how it is; exit code 0 or 5."""
    from mistudio_worker.commands.health import health_command  # noqa: PLC0415

    if live and ready:
        raise typer.BadParameter("give --live or --ready")
    code = health_command(_settings().http, "/live" if live else "/ready" if ready else "/health", port=port)
    if code is not ExitCode.DONE:
        raise typer.Exit(int(code))


@app.command(epilog="Example: mistudio-worker schemas --check schemas")
def schemas(
    out: Annotated[Path | None, typer.Option("--out", help="Write them here.")] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help="Fail if the files here differ from the models.")
    ] = None,
) -> None:
    """Write the JSON Schemas and asyncapi.yaml, or check them for drift."""
    from mistudio_worker.commands.schemas import check_schemas, write_schemas  # noqa: PLC0415

    if check is not None:
        check_schemas(check)
    for path in write_schemas(out) if out is not None else ():
        typer.echo(path)
    if out is None and check is None:
        raise typer.BadParameter("give --out DIR or --check DIR")


dead_letters = typer.Typer(
    help="Look at events that could not be processed, and send them again.",
    epilog="Example: mistudio-worker dead-letters list --since 2h",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(dead_letters, name="dead-letters")

Codes = Annotated[list[str] | None, typer.Option("--code", help="Only with this error code; may be repeated.")]
Jobs = Annotated[list[str] | None, typer.Option("--job", help="Only of this training job; may be repeated.")]
Since = Annotated[str | None, typer.Option(help="Only that died since: a time (ISO 8601) or an age (90m, 2h, 7d).")]
Until = Annotated[str | None, typer.Option(help="Only that died before this time or age.")]


@dead_letters.command("list", epilog="Example: mistudio-worker dead-letters list --since 2h")
def list_dead_letters(
    code: Codes = None,
    job: Jobs = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest of them, at most.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show what died, when, why, and whether it was sent again."""
    from mistudio_worker.commands import dead_letters as commands  # noqa: PLC0415

    selection = commands.selection_of(codes=code, jobs=job, since=since, until=until)
    _exit(commands.list_command(_settings(), selection, limit=limit, as_json=as_json))


@dead_letters.command("show", epilog="Example: mistudio-worker dead-letters show 0:17")
def show_dead_letter(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `list` names it.")],
) -> None:
    """Show one dead letter whole: the reason, the remedy, every header, the event."""
    from mistudio_worker.commands import dead_letters as commands  # noqa: PLC0415

    _exit(commands.show_command(_settings(), place))


@dead_letters.command("replay", epilog="Example: mistudio-worker dead-letters replay --code ARTIFACT_MISSING --dry-run")
def replay_dead_letters(
    places: Annotated[list[str] | None, typer.Argument(metavar="[PARTITION:OFFSET]...", help="These alone.")] = None,
    code: Codes = None,
    job: Jobs = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were sent again before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
) -> None:
    """Send dead letters to their topic again, with all they have gone through in their headers."""
    from mistudio_worker.commands import dead_letters as commands  # noqa: PLC0415

    selection = commands.selection_of(codes=code, jobs=job, places=places, since=since, until=until)
    if not everything and selection == commands.selection_of():
        raise typer.BadParameter("name which: places, --code, --job, --since or --until; or --all")
    _exit(commands.replay_command(_settings(), selection, dry_run=dry_run, again=again))


def main() -> None:
    """Run the command line; errors go to stderr with their code and hint."""
    try:
        app()
    except MistudioError as error:
        say_error(error.code, error.message, error.hint)
        sys.exit(code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _settings() -> Settings:
    """Read the environment; pydantic is loaded when a command runs, not for its help."""
    from mistudio_worker.settings import read_settings  # noqa: PLC0415

    return read_settings()


def _exit(command: Coroutine[Any, Any, ExitCode]) -> None:
    """Run a command to its end; SIGTERM ends it as Ctrl-C does, so that nothing half-done is left."""
    quiet_libraries()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = asyncio.run(command)
    if code is not ExitCode.DONE:
        raise typer.Exit(int(code))


def _with_analysis(settings: Settings, **chosen: object) -> Settings:
    """Let options of the command line go before the environment."""
    given = {name: value for name, value in chosen.items() if value is not None}
    analysis = type(settings.analysis).model_validate({**settings.analysis.model_dump(), **given})
    return settings.model_copy(update={"analysis": analysis})
