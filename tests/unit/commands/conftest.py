"""The commands as a user types them, in this process and with one warm child."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.background import BackgroundLoop
from support.command_line import CommandLine, Said
from support.warm_child import WarmChild

from mistudio_worker import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def warm_child() -> Iterator[WarmChild]:
    """One analysing process for all commands of a module."""
    with BackgroundLoop() as loop:
        child = WarmChild(loop)
        yield child
        child.end()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Run `mistudio-worker` with arguments, without settings of the environment."""
    return CommandLine(monkeypatch, capsys, {})


@pytest.fixture
def compare(command: CommandLine, warm_child: WarmChild, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run `mistudio-worker compare` with arguments, by the warm child."""
    monkeypatch.setattr(bootstrap, "make_child", lambda _: warm_child)
    return partial(command, "compare")


@pytest.fixture
def analyze(command: CommandLine, warm_child: WarmChild, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run `mistudio-worker analyze` with arguments, by the warm child."""
    monkeypatch.setattr(bootstrap, "make_child", lambda _: warm_child)
    return partial(command, "analyze")
