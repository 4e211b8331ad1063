"""Hostile runs by the way of `analyze`: a code, in bounded time and memory; nothing executed or written elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.background import BackgroundLoop
from support.hostile.catalogue import HOSTILE_RUNS
from support.hostile.kind import CANARY
from support.hostile.measured import measure, memory_of

from mistudio_worker.settings import AnalysisSettings, Settings
from mistudio_worker.worker.child import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIB = 1 << 30
TOO_LONG_S = 60.0
"""Six times what a quiet machine may take."""
AWAY_FROM_IDLE_BYTES = GIB // 2
"""What a kind may hold beside what the warm process holds anyway: some 0.4 GiB, more where it has just compiled."""


@pytest.fixture(scope="module")
def loop() -> Iterator[BackgroundLoop]:
    """Where the child's handle lives."""
    with BackgroundLoop() as running:
        yield running


@pytest.fixture(scope="module")
def child(loop: BackgroundLoop) -> Iterator[Child]:
    """One child for all kinds: what one leaves behind, the next ones meet."""
    made = Child(memory_limit_bytes=2 * GIB, deadline_s=TOO_LONG_S)
    loop.call(made.start(), within_s=300)
    yield made
    loop.call(made.stop())


@pytest.fixture(scope="module")
def idle_bytes(child: Child) -> int:
    """Memory of the warm child before the first kind."""
    assert child._process is not None
    return memory_of(child._process.pid or 0)


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch, of the tensors that are made to be refused
@pytest.mark.parametrize("kind", HOSTILE_RUNS)
def test_a_hostile_run_ends_with_its_code(
    kind: str, loop: BackgroundLoop, child: Child, idle_bytes: int, tmp_path: Path
) -> None:
    """Each kind ends as the catalogue says, in the child, which stays alive; the canary never sings."""
    hostile, pid = HOSTILE_RUNS[kind], _pid(child)
    hostile.write(tmp_path / "run")
    before = _tree(tmp_path)
    settings = Settings(analysis=AnalysisSettings(device="cpu", threads=1, memory_bytes=GIB))
    measured = loop.call(measure(child, tmp_path / "run", tmp_path / "out", settings), within_s=2 * TOO_LONG_S)
    assert set(measured.codes) & set(hostile.codes), measured
    assert _pid(child) == pid
    assert measured.peak_bytes - idle_bytes < AWAY_FROM_IDLE_BYTES
    assert not list(tmp_path.rglob(CANARY))
    assert {path for path in _tree(tmp_path) - before if path.parts[0] != "out"} == set()


def _pid(child: Child) -> int:
    assert child._process is not None
    return child._process.pid or 0


def _tree(root: Path) -> set[Path]:
    return {path.relative_to(root) for path in root.rglob("*")}
