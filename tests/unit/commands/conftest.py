"""The commands as a user types them, in this process and with one warm child."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.background import BackgroundLoop
from support.warm_child import WarmChild

from mistudio_worker import bootstrap, cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def warm_child() -> Iterator[WarmChild]:
    """One analysing process for all commands of a module."""
    with BackgroundLoop() as loop:
        child = WarmChild(loop)
        yield child
        child.end()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run `mistudio-worker` with arguments, without settings of the environment."""
    for name in [name for name in os.environ if name.startswith("MISTUDIO_")]:
        monkeypatch.delenv(name)

    def run(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["mistudio-worker", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        written = capsys.readouterr()
        return Said(code, written.out, written.err)

    return run


@pytest.fixture
def analyze(
    command: Callable[..., Said], warm_child: WarmChild, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Said]:
    """Run `mistudio-worker analyze` with arguments, by the warm child."""
    monkeypatch.setattr(bootstrap, "make_child", lambda _: warm_child)
    return lambda *arguments: command("analyze", *arguments)
