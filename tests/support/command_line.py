"""`mistudio-worker COMMAND` in this process: what a user types, and what they see."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker import cli

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs commands with exactly the settings that are given.

    Args:
        monkeypatch: Of the test.
        capsys: Of the test.
        environment: The MISTUDIO_ variables.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        environment: Mapping[str, str],
    ) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        for name in [name for name in os.environ if name.startswith("MISTUDIO_")]:
            monkeypatch.delenv(name)
        self.set(environment)

    def set(self, environment: Mapping[str, str]) -> None:
        """Change some settings."""
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)

    def __call__(self, *arguments: object) -> Said:
        """Run a command to its end."""
        self._monkeypatch.setattr(sys, "argv", ["mistudio-worker", *map(str, arguments)])
        self._capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        written = self._capsys.readouterr()
        return Said(code if isinstance(code, int) else 1, written.out, written.err)
