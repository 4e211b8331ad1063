"""The small parts of the embedded stack that need no server."""

from __future__ import annotations

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from embedded import ports, preflight, programs
from embedded.process import StackError

if TYPE_CHECKING:
    from pathlib import Path


def test_ports_are_free_with_their_grpc_neighbours() -> None:
    """Every port and the one 10000 above can be listened on."""
    assert all(ports.is_free(port) and ports.is_free(port + ports.GRPC_OFFSET) for port in ports.FreePorts().take(20))


def test_no_port_comes_twice() -> None:
    """Threads that draw at the same time get different ports, though nobody listens on them yet."""
    free = ports.FreePorts()
    with ThreadPoolExecutor(8) as side_by_side:
        drawn = [port for taken in side_by_side.map(free.take, [5] * 40) for port in taken]
    assert len(set(drawn)) == len(drawn) == 200


def test_too_few_ports_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how many there are, and between which."""
    monkeypatch.setattr(ports, "is_free", lambda port: port in {20_001, 30_001})
    with pytest.raises(OSError, match="only 1 of 2 ports are free between 20000 and 22700"):
        ports.FreePorts().take(2)


def test_a_taken_port_is_not_free() -> None:
    """A port with a listener is seen as taken."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert not ports.is_free(server.getsockname()[1])


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_402"', 8),
        ("command not understood", None),
    ],
)
def test_java_versions_are_read(told: str, version: int | None) -> None:
    """Old and new forms of Java's version line are understood."""
    assert preflight.java_version(told) == version


def test_an_old_java_is_refused(tmp_path: Path) -> None:
    """A Java before 17 is refused with its version and the remedy."""
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    sentence = preflight.java_problem(str(java))
    assert sentence is not None
    assert "version 11" in sentence
    assert "install a Java runtime of version 17" in sentence


def test_preflight_says_what_is_missing(tmp_path: Path) -> None:
    """As a program it prints one sentence for each missing tool and fails."""
    done = subprocess.run(
        [sys.executable, preflight.__file__, "python", "mvn", "go"],
        env={"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert [line.split("`")[1] for line in done.stderr.splitlines()] == ["mvn", "go"]


def test_kafkas_version_stands_in_the_pom() -> None:
    """The cache folder is named after the version that pom.xml asks for."""
    assert programs.kafka_version().split(".")[0] == "4"


@pytest.mark.parametrize("program", [programs.MINIO, programs.TOXIPROXY], ids=lambda program: program.name)
def test_a_go_program_is_had_where_its_version_is_built(
    program: programs.GoProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Go another version in the cache does not help, and the sentence says what does."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    (programs.cache_directory() / f"{program.name}-another").mkdir(parents=True)
    assert f"Building {program.title} needs `go`" in str(program.problem())
    with pytest.raises(StackError, match="needs `go`"):
        program.binary()
    program.place.mkdir()
    assert program.problem() is None


def test_half_a_fetch_is_not_kept(tmp_path: Path) -> None:
    """A fetch that fails leaves no folder that a later run would believe."""
    with pytest.raises(StackError, match="Jars could not be fetched"):
        programs._fill(tmp_path / "jars", lambda new: ["sh", "-c", f"touch '{new}/half'; exit 1"], what="Jars")
    assert list(tmp_path.iterdir()) == []
