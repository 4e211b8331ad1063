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
from embedded.process import Server, StackError  # noqa: E402
from embedded.stack import EmbeddedStack  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND = Path(sysconfig.get_path("scripts")) / "mistudio-worker"
RUN = ROOT / "examples" / "run"
OUT = ROOT / ".demo"
WORKER_SETTINGS = {"MISTUDIO_HTTP__PORT": "0", "MISTUDIO_LOG__FORMAT": "json"}
SHOWN = 15
A_CATEGORY = 3
WIDTH = 120
COLUMNS = (("feature", 7), ("score", 5), ("tier", 9), ("category", 15), ("keywords", 26), ("fires most on", 39))
WORKER_SETTINGS = {"MISTUDIO_HTTP__PORT": "0", "MISTUDIO_LOG__FORMAT": "json"}
WARM_WITHIN_S = 300.0
"""The first worker on a machine compiles its kernels."""
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
            subprocess.run([sys.executable, places.__file__], env=environment, check=True)
            with stack.beside(worker(environment), grace_s=20) as running:
                running.wait_until(lambda: "worker ready" in running.log_tail(), WARM_WITHIN_S)
                console.print(f"[green]✓[/] A worker is ready ({time.monotonic() - began:.1f} s)")
                job_s = run_job(environment, running)
    except StackError as error:
        console.print(f"[red]✗[/] {error}", highlight=False)
        return 5
    show(OUT)
    console.print(f"The job took the worker {job_s:.1f} s, all of the demo {time.monotonic() - began:.1f} s.")
    return 0


def worker(environment: Mapping[str, str]) -> Server:
    """One worker, not started yet; its log is in .demo/worker.log."""
    return Server("the worker", [str(COMMAND), "run"], log=OUT / "worker.log", environment=environment)


def run_job(environment: Mapping[str, str], running: Server) -> float:
    """Submit the example run, wait for its find-complete, and fetch the exports.

    Returns:
        Seconds that the worker took for the job.

    Raises:
        StackError: The job failed; the end of the worker's log is in the message.
    """
    job = next((RUN / "models").iterdir()).name
    console.print(f"[bold]training-complete[/] {job}")
    submitted = subprocess.run([COMMAND, "submit", RUN, "--wait"], env=dict(environment), check=False)
    if submitted.returncode not in {0, PARTIAL}:
        raise StackError(f"the job failed. The end of the worker's log:\n{running.log_tail()}")
    subprocess.run([COMMAND, "fetch", job, "--out", OUT], env=dict(environment), check=True, stdout=subprocess.DEVNULL)
    return logged_duration_s(running)


def logged_duration_s(running: Server) -> float:
    """What the worker's own canonical line of the job says."""
    lines = [json.loads(line) for line in running.log_tail().splitlines() if line.startswith("{")]
    (duration_s,) = (line["duration_s"] for line in lines if line["event"] == "job")
    return float(duration_s)


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
    exports = Table(title=f"Exports in {complete.parent.relative_to(ROOT)}", title_justify="left")
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
