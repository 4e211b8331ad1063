"""Show the main job on this machine: a training is complete, and what its features mean comes out.

Starts Kafka and an S3 server, then one worker; uploads the run of examples/ and publishes training-complete as
`mistudio-worker submit` does, fetches the exports and prints the best features. Then all that it started is stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy"))

from embedded import places  # noqa: E402  # found through the line above
from embedded.process import Server, StackError, tail  # noqa: E402
from embedded.stack import EmbeddedStack  # noqa: E402
from embedded.worker_log import log_lines  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND = Path(sysconfig.get_path("scripts")) / "mistudio-worker"
RUN = ROOT / "examples" / "run"
OUT = ROOT / ".demo"
LOG = OUT / "worker.log"
SHOWN = 15
A_CATEGORY = 3
WIDTH = 120
COLUMNS = (("feature", 7), ("score", 5), ("tier", 9), ("category", 15), ("keywords", 26), ("fires most on", 39))
WORKER_SETTINGS = {"MISTUDIO_HTTP__PORT": "0", "MISTUDIO_LOG__FORMAT": "json"}
WARM_WITHIN_S = 300.0
"""The first worker on a machine compiles its kernels."""
LINE_WITHIN_S = 5.0
"""The worker writes its line of a job just after the outcome can be read."""
PARTIAL = 3
"""Exit code of `submit --wait` for a job that is done with gaps."""
console = Console()
if not console.is_terminal:
    console = Console(width=WIDTH)


def main() -> int:
    """Run the demo; 0 when the job was done."""
    began = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    try:
        with EmbeddedStack() as stack:
            console.print(f"[green]✓[/] Kafka and S3 are up ({time.monotonic() - began:.1f} s)")
            environment = {**os.environ, **stack.environment(), **WORKER_SETTINGS}
            call([sys.executable, places.__file__], environment)
            with stack.beside(worker(environment), grace_s=20) as running:
                running.wait_until(lambda: bool(log_lines(LOG, "worker ready")), WARM_WITHIN_S)
                console.print(f"[green]✓[/] A worker is ready ({time.monotonic() - began:.1f} s)")
                job_s = run_job(environment, RUN, log=LOG, out=OUT)
    except StackError as error:
        console.print(f"[red]✗[/] {error}", highlight=False, markup=False)
        return 5
    show(OUT)
    console.print(f"The job took {job_s:.1f} s, all of the demo {time.monotonic() - began:.1f} s.")
    return 0


def worker(environment: Mapping[str, str]) -> Server:
    """One worker, not started yet."""
    return Server("the worker", [str(COMMAND), "run"], log=LOG, environment=environment)


def run_job(environment: Mapping[str, str], run: Path, *, log: Path, out: Path) -> float:
    """Submit a run, wait for its find-complete, and fetch the exports.

    Args:
        environment: The settings of the worker.
        run: Holds models/ and activations/ of one training job.
        log: The worker's own.
        out: Where the exports go.

    Returns:
        Seconds from the event to its outcome: by the worker's line of the job, else as they were seen from here.

    Raises:
        StackError: The job failed; the end of the worker's log is in the message.
    """
    job = next((run / "models").iterdir()).name
    console.print(f"[bold]training-complete[/] {job}")
    earlier, began = len(durations_s(log, job)), time.monotonic()
    submitted = subprocess.run([COMMAND, "submit", run, "--wait"], env=dict(environment), check=False)
    seen_s = time.monotonic() - began
    if submitted.returncode not in {0, PARTIAL}:
        raise StackError(f"the job failed. The end of the worker's log:\n{tail(log)}")
    call([COMMAND, "fetch", job, "--out", out], environment)
    until = time.monotonic() + LINE_WITHIN_S
    while not (told := durations_s(log, job)[earlier:]) and time.monotonic() < until:
        time.sleep(0.05)
    return told[0] if told else seen_s


def durations_s(log: Path, job: str) -> list[float]:
    """What the worker's canonical lines of a training job say, one for each event."""
    return [float(line["duration_s"]) for line in log_lines(log, "job") if line["job"] == job]


def call(command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    """Run a program of ours to its end.

    Raises:
        StackError: It failed; what it said is in the message.
    """
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"`{Path(command[1]).name}` failed (exit {done.returncode}):\n{done.stdout}{done.stderr}")


def show(out: Path) -> None:
    """Print the best features, and where the exports lie."""
    (complete,) = out.glob("results/*/*_complete_results.json")
    features = json.loads(complete.read_text())["features"]
    title = f"The most coherent of {len(features)} features, {A_CATEGORY} of a category"
    table = Table(title=title, title_justify="left")
    for heading, width in COLUMNS:
        table.add_column(heading, no_wrap=True, width=width)
    for feature in best(features):
        table.add_row(*row(feature))
    console.print(table)
    exports = Table(title=f"Exports in {os.path.relpath(complete.parent, ROOT)}", title_justify="left")
    exports.add_column("file", no_wrap=True)
    exports.add_column("bytes", justify="right")
    for path in sorted(complete.parent.iterdir()):
        exports.add_row(path.name, f"{path.stat().st_size:,}")
    console.print(exports)


def best(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The most coherent features, best first, no more than A_CATEGORY of one category."""
    seen: Counter[str] = Counter()
    chosen = []
    for feature in sorted(features, key=lambda feature: -feature["coherence_score"]):
        seen[feature["pattern_category"]] += 1
        if seen[feature["pattern_category"]] <= A_CATEGORY:
            chosen.append(feature)
    return chosen[:SHOWN]


def row(feature: dict[str, Any]) -> list[str]:
    """The cells of one feature; texts are shown as they are, never read as markup."""
    examples = feature["top_activations"]
    example = examples[0]["context"] if examples else ""
    cells = [
        str(feature["feature_id"]),
        f"{feature['coherence_score']:.2f}",
        feature["quality_tier"],
        feature["pattern_category"],
        ", ".join(feature["pattern_keywords"][:5]),
        example,
    ]
    return [escape(cell) for cell in cells]


if __name__ == "__main__":
    sys.exit(main())
