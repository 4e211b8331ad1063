"""The documentation says what the code does: settings, commands, error codes, examples, links."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from support.hostile import page as hostile_page

from mistudio_worker import errors
from mistudio_worker.cli import app
from mistudio_worker.contracts import bucket_notification, events, manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click
    from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        events.TrainingCompletedV1,
        events.FindCompletedV1,
        events.FindFailedV1,
        events.FindProgressV1,
        bucket_notification.BucketNotificationV1,
        manifest.ManifestV1,
    )
}


def test_the_settings_page_is_what_the_models_say() -> None:
    """Run `python docs/generate_settings.py` where this fails."""
    generated = runpy.run_path(str(ROOT / "docs" / "generate_settings.py"))["settings_page"]()
    assert (REFERENCE / "settings.md").read_text(encoding="utf-8") == generated


def test_the_page_of_hostile_input_shows_the_catalogue() -> None:
    """Run `PYTHONPATH=tests python -m support.hostile.page` where this fails."""
    page = hostile_page.PAGE.read_text(encoding="utf-8")
    assert hostile_page.filled(page, "kinds", hostile_page.kinds()) == page
    assert "<!-- figures: made by" in page


def test_errors_md_lists_exactly_the_codes_of_the_source() -> None:
    """A code that is raised and not explained helps nobody; one that is explained and never raised misleads."""
    assert set(documented()) == set(raised())


def test_errors_md_names_the_class_of_each_code() -> None:
    """The class says whether it is retriable and how a command exits."""
    known = {code: classes for code, classes in raised().items() if classes}
    assert {code: documented()[code] for code in known} == known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    """Files exist, and so do the headings that a link points to."""
    for target in links(page):
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), f"{target} in {page.name}"
        assert found.is_relative_to(ROOT), f"{target} in {page.name} leads out of the repository"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{target} in {page.name}"


def test_commands_md_names_every_command_and_option() -> None:
    """Each command has a heading, each of its options stands below it."""
    page = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    sections = {part.split("`", 1)[0]: part for part in page.split("\n## `")[1:]}
    group = typer.main.get_command(app)
    commands: dict[str, click.Command] = getattr(group, "commands")  # noqa: B009 - typer brings a click of its own
    assert sections.keys() == commands.keys()
    for name, command in commands.items():
        for option in (option for parameter in command.params for option in parameter.opts if option[:2] == "--"):
            assert option == "--help" or f"`{option}" in sections[name], f"{name} {option}"


def test_the_examples_of_events_are_valid() -> None:
    """Each JSON example that names its model can be read by it."""
    page = (REFERENCE / "events.md").read_text(encoding="utf-8")
    examples = re.findall(r"<!-- model: (\w+) -->\n```json\n(.*?)```", page, re.DOTALL)
    assert {name for name, _ in examples} >= {
        "TrainingCompletedV1",
        "FindCompletedV1",
        "FindFailedV1",
        "FindProgressV1",
    }
    for name, text in examples:
        MODELS[name].model_validate_json(text)


def documented() -> dict[str, set[str]]:
    """Code -> classes, from the tables of errors.md."""
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| `({CODE.pattern})` \| ([^|]+) \|", page, re.MULTILINE)
    return {code: set(re.findall(r"\w+", classes)) for code, classes in rows}


def raised() -> dict[str, set[str]]:
    """Code -> classes it is raised with; no class where the code is chosen before the call."""
    found: dict[str, set[str]] = {}
    names = {name for name, value in vars(errors).items() if isinstance(value, type)} | {"Gap"}
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        others = {id(a) for c in calls(tree) if called(c) == "sysconf" for a in c.args}
        others |= {id(word.value) for c in calls(tree) for word in c.keywords if word.arg == "metavar"}
        choices = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "Literal"
        ]
        others |= {id(word) for choice in choices for word in ast.walk(choice)}
        for node in ast.walk(tree):
            if id(node) not in others and (code := code_in(node)):
                found.setdefault(code, set())
        for call in calls(tree):
            if called(call) in names and call.args:
                for node in ast.walk(call.args[0]):
                    if code := code_in(node):
                        found[code].add(called(call))
    return found


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call in a module."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    return getattr(call.func, "attr", "") or getattr(call.func, "id", "")


def code_in(node: ast.AST) -> str | None:
    """The error code that a string is; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
        return node.value
    return None


def links(page: Path) -> list[str]:
    """Relative targets of links and pictures, those in code left out."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", t)]


def anchors(page: Path) -> set[str]:
    """Names of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
