"""docker-compose.yml names only settings that exist, publishes nothing to the world and keeps no secret."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from embedded import places
from pydantic import BaseModel

from mistudio_worker.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, parsed, with anchors and merges resolved."""
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return parsed


def known_variables(model: type[BaseModel], prefix: str) -> set[str]:
    """Every environment variable that the settings read."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= known_variables(kind, f"{prefix}{name.upper()}__")
        else:
            names.add(f"{prefix}{name.upper()}")
    return names


def test_every_variable_is_a_setting(compose: dict[str, Any]) -> None:
    """A MISTUDIO_ variable that the settings do not know would be a typing error that nobody notices."""
    used = {
        name
        for service in compose["services"].values()
        for name in service.get("environment", {})
        if name.startswith("MISTUDIO_")
    }
    assert used
    assert used <= known_variables(Settings, "MISTUDIO_")


def test_published_ports_are_loopback_only(compose: dict[str, Any]) -> None:
    """What is published is reachable from this host alone."""
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_worker_scales(compose: dict[str, Any]) -> None:
    """A fixed name or port would allow one worker only."""
    assert not {"container_name", "ports", "hostname"} & set(compose["services"]["worker"])


def test_the_worker_has_time_to_drain(compose: dict[str, Any]) -> None:
    """Docker waits longer before SIGKILL than the worker's own grace period."""
    worker = compose["services"]["worker"]
    stop_s = int(worker["stop_grace_period"].removesuffix("s"))
    assert stop_s > int(worker["environment"]["MISTUDIO_JOB__GRACE_S"])


def test_credentials_come_from_the_environment(compose: dict[str, Any]) -> None:
    """Each user name and password is a required variable, and .env.example names it without a value."""
    values = [
        str(value)
        for service in compose["services"].values()
        for name, value in service.get("environment", {}).items()
        if re.search(r"PASSWORD|SECRET_KEY|ACCESS_KEY|ROOT_USER", name)
    ]
    required = [re.match(r"\$\{(\w+):\?", value) for value in values]
    assert values
    assert all(required)
    example = (ROOT / ".env.example").read_text().splitlines()
    assert all(f"{match[1]}=" in example for match in required if match)


def test_the_one_shot_reads_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no setting has ends it with one sentence, before it connects anywhere."""
    monkeypatch.setenv("MISTUDIO_KAFKA__TOPIC", "x")
    monkeypatch.setattr("sys.argv", ["places.py"])
    with pytest.raises(SystemExit, match=r"^MISTUDIO_KAFKA__TOPIC: .+ correct the variable"):
        places.main()


def test_the_image_holds_what_its_build_copies() -> None:
    """Each path that the Dockerfile copies from the context exists and is not ignored."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    paths = [path for copy in copies for path in copy.split()]
    assert "src" in paths
    assert [path for path in paths if not (ROOT / path).exists() or f"!{path}" not in ignored] == []


def locked(name: str) -> set[str]:
    """The pins of a lock file."""
    return set(re.findall(r"^[a-z0-9-]+==\S+", (ROOT / name).read_text(), flags=re.MULTILINE))


def test_the_image_runs_what_was_tested() -> None:
    """Each version of the runtime lock is that of the lock that the tests are run with."""
    assert locked("requirements-runtime.lock") < locked("requirements.lock")


def test_the_image_has_all_that_the_worker_asks_for() -> None:
    """A dependency that was added to pyproject.toml without `make lock` would be missing only in the image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {re.split(r"[^A-Za-z0-9._-]", entry)[0].lower() for entry in project["dependencies"]}
    assert asked - {pin.partition("==")[0] for pin in locked("requirements-runtime.lock")} == set()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-runtime.lock"])
def test_locks_hold_hashes_and_no_addresses(name: str) -> None:
    """Where packages come from is the user's setting; what they are is not."""
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[a-z])", text.strip()))


def test_a_cpu_build_drops_what_brings_cuda(tmp_path: Path) -> None:
    """With TORCH=cpu all but CUDA's packages are installed with hashes, then torch from the named index."""
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\nfor last; do :; done\necho "$*"\ncase $last in /*) cat "$last" ;; esac\n')
    pip.chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / "deploy/docker/install_requirements.sh", ROOT / "requirements-runtime.lock", "cpu", "INDEX"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    installed = re.findall(r"^([a-z0-9-]+)==", done.stdout, flags=re.MULTILINE)
    assert {"numpy", "aiokafka", "minio"} <= set(installed)
    assert not [name for name in installed if name.startswith(("torch", "triton", "nvidia-", "cuda-"))]
    assert re.search(r"--index-url INDEX torch==[\d.]+\+cpu$", done.stdout, flags=re.MULTILINE)


def test_a_cpu_build_without_an_index_says_what_it_needs() -> None:
    """The message names the build argument."""
    done = subprocess.run(
        ["sh", ROOT / "deploy/docker/install_requirements.sh", ROOT / "requirements-runtime.lock", "cpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "TORCH_CPU_INDEX" in done.stderr
