"""Write the table of the crash matrix into docs/explanation/delivery.md, from what `make chaos` has seen.

    CRASH_REPORT=FILE python -m pytest -m chaos tests/integration/test_crash_matrix.py
    python docs/generate_crash_matrix.py FILE

Only a whole run makes a table: every kill of the matrix, each survived. `tests/unit/test_crash_matrix.py` fails where
the table does not show the kills of the matrix.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from support.crash_points import MATRIX, SCENARIOS, Kill  # noqa: E402 - found by the line above

PAGE = ROOT / "docs" / "explanation" / "delivery.md"
BEGIN, END = "<!-- crash matrix: made by make chaos, do not edit -->\n", "<!-- end of the crash matrix -->\n"
COLUMNS = [(victim, when) for victim in ("worker", "child") for when in ("before", "during", "after")]


def crash_table() -> str:
    """Return the table of a run that survived every kill of the matrix."""
    kills = {(kill.scenario, kill.step, kill.victim, kill.when) for kill in MATRIX}
    workers = sum(kill.victim == "worker" for kill in MATRIX)
    lines = [
        f"{len(MATRIX)} kills, {workers} of the worker and {len(MATRIX) - workers} of its child alone: "
        f"{len(MATRIX)} survived.",
        "",
        "| record | step | " + " | ".join(f"{victim} {when}" for victim, when in COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    for scenario, step in dict.fromkeys((kill.scenario, kill.step) for kill in _by_scenario()):
        cells = ["ok" if (scenario, step, *column) in kills else "" for column in COLUMNS]
        lines.append(f"| {SCENARIOS[scenario]} | `{step}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _by_scenario() -> list[Kill]:
    return sorted(MATRIX, key=lambda kill: list(SCENARIOS).index(kill.scenario))


def with_table(page: str, table: str) -> str:
    """Return the page with the table between its marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{table}{END}{tail}"


def problems(report: str) -> list[str]:
    """Return what keeps a report from making a table; each of its lines is a kill."""
    told = [json.loads(line) for line in report.splitlines()]
    survived = {one["kill"] for one in told if one["survived"]}
    died = [f"{one['kill']}: not survived" for one in told if not one["survived"]]
    return died + [f"{kill.name}: not in the report" for kill in MATRIX if kill.name not in survived]


def main() -> int:
    """Write the table; 1 where the report is not of a whole run that survived."""
    report = Path(sys.argv[1]).read_text(encoding="utf-8")
    if found := problems(report):
        sys.stderr.write("\n".join(found) + "\n")
        return 1
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), crash_table()), encoding="utf-8")
    took_s = sum(json.loads(line)["took_s"] for line in report.splitlines())
    sys.stdout.write(f"crash matrix: {len(MATRIX)} kills, {len(MATRIX)} survived, in {took_s:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
