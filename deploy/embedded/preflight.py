"""Say in one sentence, before anything else happens, which tool this machine lacks.

Only the standard library, and only what Python 3.8 understands: it runs before the virtual environment is made, with
whichever `python3` there is. `python3 preflight.py python java mvn` prints nothing and returns 0 when all is there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, Optional  # noqa: UP035  # must parse under Python 3.8

JAVA_VERSION_LEAST = 17
PYTHON_VERSIONS = ((3, 11), (3, 12))


def java_version(text: str) -> Optional[int]:  # noqa: UP045  # must parse under Python 3.8
    """Read the feature version from what `java -version` prints; None where there is none.

    >>> java_version('openjdk version "17.0.15" 2025-04-15')
    17
    >>> java_version('java version "1.8.0_402"')
    8
    """
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else None


def java_problem(java: Optional[str]) -> Optional[str]:  # noqa: UP045
    """Judge the `java` at a path; None when it will do."""
    remedy = "install a Java runtime of version {} or newer (Debian: apt-get install openjdk-17-jre-headless)".format(  # noqa: UP032
        JAVA_VERSION_LEAST
    )
    if java is None:
        return "Kafka needs Java and no `java` is on the PATH: " + remedy + "."
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = java_version(told.stderr + told.stdout)
    if version is None or version < JAVA_VERSION_LEAST:
        return "Kafka needs Java {} and `{}` is version {}: {}.".format(
            JAVA_VERSION_LEAST, java, version or "unknown", remedy
        )
    return None


def python_problem() -> Optional[str]:  # noqa: UP045
    """Judge the Python that runs this file; None when it will do."""
    if sys.version_info[:2] in PYTHON_VERSIONS:
        return None
    return (
        "mistudio_worker needs Python 3.11 or 3.12 and {} is {}.{}: install one of them, "
        "or name it with `make PYTHON=/path/to/python3.11`.".format(sys.executable, *sys.version_info[:2])
    )


def is_cached(program: str) -> bool:
    """Whether some version of a program was fetched before; programs.py looks for the very version."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # as in programs.py
    return any(Path(root, "mistudio-worker").glob(program + "-*"))


def tool_problem(tool: str, package: str, why: str) -> Optional[str]:  # noqa: UP045
    """Look for a tool on the PATH; None when it is there."""
    if shutil.which(tool):
        return None
    return f"{why} needs `{tool}`, which is not on the PATH: install it (Debian: apt-get install {package})."


def go_problem(program: str) -> Optional[str]:  # noqa: UP045
    """Look for Go, which builds a program; None when it is there."""
    return tool_problem("go", "golang", "Building " + program)


def problem(need: str) -> Optional[str]:  # noqa: UP045
    """The sentence for one need: `python`, `java`, `mvn`, `go` or `openssl`; None when it is met."""
    if need == "python":
        return python_problem()
    if need == "java":
        return java_problem(shutil.which("java"))
    if need == "mvn":
        return None if is_cached("kafka") else tool_problem("mvn", "maven", "Fetching Kafka's jars for the first time")
    if need == "go":
        return None if is_cached("minio") and is_cached("toxiproxy") else go_problem("MinIO and toxiproxy")
    if need == "openssl":
        return tool_problem("openssl", "openssl", "Making certificates")
    raise ValueError(f"unknown need {need!r}: known are python, java, mvn, go, openssl")


def problems(needs: List[str]) -> List[str]:  # noqa: UP006
    """The sentences for all needs that are not met, in the order asked."""
    return [sentence for sentence in map(problem, needs) if sentence]


def main() -> int:
    """Check the needs named on the command line."""
    found = problems(sys.argv[1:])
    for sentence in found:
        print(sentence, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
