"""Fetch the programs of the stack once, into a cache outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
import xml.etree.ElementTree as ET  # our own pom.xml
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedded import preflight
from embedded.process import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

POM = Path(__file__).with_name("pom.xml")


def cache_directory() -> Path:
    """Where programs are kept between runs: `$XDG_CACHE_HOME/mistudio-worker`, by default under `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "mistudio-worker"


def kafka_version() -> str:
    """The version that pom.xml names."""
    version = ET.parse(POM).findtext(".//{*}kafka.version")  # noqa: S314  # our own pom.xml
    if not version:
        raise StackError(f"{POM} names no kafka.version")
    return version


def require(*needs: str) -> None:
    """Refuse at once, in a sentence for each, where this machine lacks a tool.

    Raises:
        StackError: A tool is missing or too old.
    """
    found = preflight.problems(list(needs))
    if found:
        raise StackError(" ".join(found))


def kafka_jars() -> Path:
    """The folder of Kafka's jars, fetched with Maven where it is not there yet (about 45 MB).

    Raises:
        StackError: Maven is missing or could not fetch them.
    """
    place = cache_directory() / f"kafka-{kafka_version()}"
    if not place.is_dir():
        require("mvn")
        options = ["-B", "-q", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        print("Fetching Kafka's jars, once (45 MB) ...", flush=True)
        _fill(place, lambda new: ["mvn", *options, f"-DoutputDirectory={new}"], what="Kafka's jars")
    return place


@dataclass(frozen=True)
class GoProgram:
    """A server that is built from its pinned source, once.

    Attributes:
        name: Of its folder in the cache.
        title: As a user knows it.
        package: What `go install` builds; its last part is the name of the file.
        version: A tag or a pseudo-version of the module.
        cost: What building it takes.
    """

    name: str
    title: str
    package: str
    version: str
    cost: str

    @property
    def place(self) -> Path:
        """Its folder in the cache."""
        return cache_directory() / f"{self.name}-{self.version}"

    def problem(self) -> str | None:
        """Why it cannot be had on this machine, and what to do; None where it is built or can be."""
        return None if self.place.is_dir() else preflight.go_problem(self.title)

    def binary(self) -> Path:
        """The program, built with Go where it is not there yet.

        Raises:
            StackError: Go is missing or could not build it.
        """
        if problem := self.problem():
            raise StackError(problem)
        if not self.place.is_dir():
            print(f"Building {self.title} from its source, once ({self.cost}) ...", flush=True)
            install = ["go", "install", f"{self.package}@{self.version}"]
            _fill(self.place, lambda new: ["env", f"GOBIN={new}", *install], what=self.title)
        return self.place / self.package.rsplit("/", 1)[1]


MINIO = GoProgram(
    "minio", "MinIO", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c", cost="some minutes, 150 MB"
)
TOXIPROXY = GoProgram(
    "toxiproxy", "toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", "v2.12.0", cost="half a minute, 16 MB"
)


def weed_binary() -> Path:
    """SeaweedFS, which `make install` put beside this Python.

    Raises:
        StackError: It is not installed.
    """
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = beside if beside.exists() else shutil.which("weed")
    if not found:
        raise StackError("The embedded store needs `weed`, which is not installed: run `make install`.")
    return Path(found)


def _fill(place: Path, command: Callable[[Path], list[str]], *, what: str) -> None:
    """Run a command that fills a new folder, then give the folder its name in one step: nobody sees half of it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}-"))
    try:
        done = subprocess.run(command(new), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            told = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise StackError(f"{what} could not be fetched (exit {done.returncode}):\n{told}")
        new.chmod(0o755)
        try:
            new.rename(place)
        except OSError:
            if not place.is_dir():  # else another run was quicker, and its copy is as good
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
