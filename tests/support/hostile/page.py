"""The tables of docs/explanation/hostile-input.md.

    PYTHONPATH=tests python -m support.hostile.page

writes them anew from the catalogue; a test fails where the page differs. With `--measure` every kind is analysed first,
and the page says what the slowest and the largest took.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from support.hostile.catalogue import FAMILIES, HOSTILE_RUNS
from support.hostile.events import HOSTILE_EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.hostile.events import HostileEvent
    from support.hostile.kind import HostileRun
    from support.hostile.measured import Measured

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "hostile-input.md"
MIB = 1 << 20


def kinds() -> str:
    """One table a family: what it is, and the codes that may come."""
    families: dict[str, Mapping[str, HostileRun | HostileEvent]] = {**FAMILIES, "events": HOSTILE_EVENTS}
    return "\n".join(_table(name, family) for name, family in families.items())


def _table(name: str, family: Mapping[str, HostileRun | HostileEvent]) -> str:
    rows = [f"| {kind.what} | {', '.join(f'`{code}`' for code in kind.codes)} |" for kind in family.values()]
    return "\n".join(
        ["", f"### {name.capitalize() if name.islower() else name}", "| kind | ends with |", "|---|---|", *rows, ""]
    )


def filled(page: str, mark: str, content: str) -> str:
    """The page with the part between two marks replaced."""
    begin, end = f"<!-- {mark}: made by tests/support/hostile/page.py -->\n", f"<!-- end of {mark} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: begin + content.strip("\n") + "\n" + end, page)


def figures(idle_bytes: int, measured: Mapping[str, Measured]) -> str:
    """What the kinds took, in sentences."""
    slowest = max(measured, key=lambda name: measured[name].duration_s)
    largest = max(measured, key=lambda name: measured[name].peak_bytes)
    return (
        f"{len(measured)} kinds of runs by `analyze`, in one child. The slowest ({HOSTILE_RUNS[slowest].what})\n"
        f"took {measured[slowest].duration_s:.1f} s, the largest ({HOSTILE_RUNS[largest].what}) brought the child to\n"
        f"{measured[largest].peak_bytes / MIB:.0f} MiB, mapped files left out; the warm child holds"
        f" {idle_bytes / MIB:.0f} MiB before the first.\nNothing was executed."
    )


def _measure_all() -> str:
    from support.hostile.measured import measure, memory_of  # noqa: PLC0415 - torch, for this alone

    from mistudio_worker.settings import AnalysisSettings, Settings  # noqa: PLC0415
    from mistudio_worker.worker.child import Child  # noqa: PLC0415

    warnings.simplefilter("ignore")
    settings = Settings(analysis=AnalysisSettings(device="cpu", threads=1, memory_bytes=1 << 30))

    async def run() -> str:
        child, measured = Child(memory_limit_bytes=1 << 30, deadline_s=60), {}
        await child.start()
        idle_bytes = memory_of(child._process.pid or 0) if child._process else 0
        for name, kind in HOSTILE_RUNS.items():
            with tempfile.TemporaryDirectory() as folder:
                kind.write(Path(folder) / "run")
                measured[name] = await measure(child, Path(folder) / "run", Path(folder) / "out", settings)
        await child.stop()
        return figures(idle_bytes, measured)

    return asyncio.run(run())


if __name__ == "__main__":
    written = filled(PAGE.read_text(encoding="utf-8"), "kinds", kinds())
    if "--measure" in sys.argv:
        written = filled(written, "figures", _measure_all())
    PAGE.write_text(written, encoding="utf-8")
