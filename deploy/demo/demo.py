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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy"))

from embedded.places import make_places  # noqa: E402  # found through the line above
from embedded.process import Server, StackError  # noqa: E402
from embedded.stack import EmbeddedStack  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND = Path(sysconfig.get_path("scripts")) / "mistudio-worker"
RUN = ROOT / "examples" / "run"
OUT = ROOT / ".demo"
SHOWN = 12
PARTIAL = 3
"""Exit code of `submit --wait` for a job that is done with gaps."""
console = Console()


def main() -> int:
    """Run the demo; 0 when the job was done."""
    began = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    try:
        with EmbeddedStack() as stack:
            console.print(f"[green]✓[/] Kafka and S3 are up ({time.monotonic() - began:.1f} s)")
            environment = {**os.environ, **stack.environment(), "MISTUDIO_HTTP__PORT": "0"}
            make_places(stack.environment())
            with stack.beside(worker(environment), grace_s=20) as running:
                job_s = run_job(environment, running)
    except StackError as error:
        console.print(f"[red]✗[/] {error}", highlight=False)
        return 5
    show(OUT)
    console.print(f"The job took {job_s:.1f} s, all of the demo {time.monotonic() - began:.1f} s.")
    return 0


def worker(environment: Mapping[str, str]) -> Server:
    """One worker, not started yet; its log is in .demo/worker.log."""
    return Server("the worker", [str(COMMAND), "run"], log=OUT / "worker.log", environment=environment)


def run_job(environment: Mapping[str, str], running: Server) -> float:
    """Submit the example run, wait for its find-complete, and fetch the exports.

    Returns:
        Seconds from the submit to the find-complete.

    Raises:
        StackError: The job failed; the end of the worker's log is in the message.
    """
    job = next((RUN / "models").iterdir()).name
    began = time.monotonic()
    console.print(f"[bold]training-complete[/] {job}")
    submitted = subprocess.run([COMMAND, "submit", RUN, "--wait"], env=dict(environment), check=False)
    job_s = time.monotonic() - began
    if submitted.returncode not in {0, PARTIAL}:
        raise StackError(f"the job failed. The end of the worker's log:\n{running.log_tail()}")
    subprocess.run([COMMAND, "fetch", job, "--out", OUT], env=dict(environment), check=True, stdout=subprocess.DEVNULL)
    return job_s


def show(out: Path) -> None:
    """Print the best features, and where the exports lie."""
    (complete,) = out.glob("results/*/*_complete_results.json")
    results = json.loads(complete.read_text())
    features = sorted(results["features"], key=lambda feature: -feature["coherence_score"])
    table = Table(title=f"The {SHOWN} most coherent of {len(features)} features", title_justify="left")
    for heading in ("feature", "score", "tier", "category", "keywords", "an example"):
        table.add_column(heading, overflow="fold")
    for feature in features[:SHOWN]:
        table.add_row(*row(feature))
    console.print(table)
    exports = Table(title=f"Exports in {complete.parent.relative_to(ROOT)}", title_justify="left")
    exports.add_column("file", overflow="fold")
    exports.add_column("bytes", justify="right")
    for path in sorted(complete.parent.iterdir()):
        exports.add_row(path.name, f"{path.stat().st_size:,}")
    console.print(exports)


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
        example[:100],
    ]
    return [cell.replace("[", "\\[") for cell in cells]


if __name__ == "__main__":
    sys.exit(main())
