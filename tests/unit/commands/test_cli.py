"""The command line itself: help, schemas, wrong words."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

from mistudio_worker.cli import app

if TYPE_CHECKING:
    from support.command_line import CommandLine

SCHEMAS = Path(__file__).parents[3] / "schemas"
COMMANDS = sorted(getattr(typer.main.get_command(app), "commands", {}))


def test_the_commands_are_those_of_the_design() -> None:
    """No command that others depend on is missing."""
    assert set(COMMANDS) >= {
        "run",
        "analyze",
        "compare",
        "submit",
        "fetch",
        "backfill",
        "doctor",
        "schemas",
        "dead-letters",
        "health",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_has_an_example(command: CommandLine, name: str) -> None:
    """`--help` ends well and shows how the command is typed."""
    said = command(name, "--help")
    assert said.code == 0
    assert "Example: " in said.out
    assert f"mistudio-worker {name}" in said.out


def test_the_help_names_every_exit_code(command: CommandLine) -> None:
    """What a script can rely on stands in `--help`."""
    out = " ".join(command("--help").out.split())
    for words in (
        "0 done",
        "3 done but partial",
        "2 wrong usage",
        "4 refused input",
        "5 service away",
        "6 unknown job",
    ):
        assert words in out


def test_the_command_line_starts_light() -> None:
    """Help and wrong words need no numeric library: those are loaded by the command that needs them."""
    heavy = "{'torch', 'numba', 'numpy', 'scipy', 'pandas', 'pyarrow', 'matplotlib'}"
    code = f"import sys, mistudio_worker.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_unknown_command_is_wrong_usage(command: CommandLine) -> None:
    """A mistyped command is named, with exit code 2."""
    said = command("analyse")
    assert said.code == 2
    assert "analyse" in said.err


def test_a_setting_that_makes_no_sense_is_named(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable is named, its value never: it may be a secret."""
    monkeypatch.setenv("MISTUDIO_STORE__CONNECT_TIMEOUT_S", "s3cr3t")
    said = command("analyze", tmp_path, "--out", tmp_path / "out")
    assert (said.code, "MISTUDIO_STORE__CONNECT_TIMEOUT_S" in said.err) == (2, True)
    assert "s3cr3t" not in said.err + said.out


def test_the_schemas_in_the_repository_are_those_of_the_models(command: CommandLine) -> None:
    """`schemas --check` passes on what is checked in."""
    assert command("schemas", "--check", SCHEMAS).code == 0


@pytest.mark.parametrize("damage", ["changed", "absent"])
def test_schemas_that_drifted_are_found(command: CommandLine, tmp_path: Path, damage: str) -> None:
    """A changed or absent file is named; `--out` repairs it."""
    copy = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, copy)
    drifted = copy / "manifest.v1.json"
    if damage == "changed":
        drifted.write_text(drifted.read_text().replace("object", "objekt", 1))
    else:
        drifted.unlink()
    said = command("schemas", "--check", copy)
    assert (said.code, "error SCHEMA_DRIFT: manifest.v1.json" in said.err) == (4, True)
    assert command("schemas", "--out", copy).code == 0
    assert command("schemas", "--check", copy).code == 0


def test_schemas_without_a_folder_is_wrong_usage(command: CommandLine) -> None:
    """Neither --out nor --check is an error, not silence."""
    said = command("schemas")
    assert said.code == 2
    assert "--out" in said.err
