"""Same input, same bytes.

After a change that is meant to change bytes: `python tests/golden/test_exports.py`, and look at the difference.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))  # as a script; pytest has it there already

from support.results import golden_result, small_result  # noqa: E402

from mistudio_worker.exports.formats import KINDS, WRITERS  # noqa: E402
from mistudio_worker.exports.write_exports import write_exports  # noqa: E402

GOLDEN = Path(__file__).with_name("exports")
KEPT = ("json", "csv", "xml", "summary")
"""Formats whose bytes do not depend on the version of a library beyond reason."""

HASH_ALL = """
import json, sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from support.results import small_result
from mistudio_worker.exports.write_exports import write_exports
files = write_exports(small_result(), Path(sys.argv[2]), on_progress=lambda _done, _total: None)
print(json.dumps({f.format: f.sha256 for f in files}))
"""


def hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of each file as it lies on the disk."""
    files = write_exports(small_result(), directory, on_progress=lambda _done, _total: None)
    return {f.format: hashlib.sha256(f.path.read_bytes()).hexdigest() for f in files}


@pytest.mark.parametrize("name", KEPT)
def test_bytes_are_those_kept(name: str, tmp_path: Path) -> None:
    """A small result gives exactly the file that lies beside this test."""
    path = tmp_path / "export"
    with path.open("wb") as stream:
        WRITERS[name](golden_result(), stream)
    kept = GOLDEN / KINDS[name].file_name("golden")
    assert path.read_bytes() == kept.read_bytes()


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    """Every format, the ZIP too, is the same when written again into another folder."""
    assert hashes(tmp_path / "a") == hashes(tmp_path / "another name")


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_another_process_gives_the_same_bytes(seed: str, tmp_path: Path) -> None:
    """Neither the hash seed nor the time zone, locale or folder of a process gets into a file."""
    surroundings = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Kathmandu", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-c", HASH_ALL, str(TESTS), str(tmp_path / "there")],
        env=surroundings, cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == hashes(tmp_path / "here")


def test_pytorch_does_not_depend_on_which_strings_are_one_object(tmp_path: Path) -> None:
    """Equal texts give the same file whether they are one object or many."""
    result = small_result()
    parts = [replace(t, text=t.text[:1] + t.text[1:], context=t.text[:160]) for t in result.features[2].top_activations]
    copied = replace(result.features[2], top_activations=tuple(parts))
    other = replace(result, features=(*result.features[:2], copied, *result.features[3:]))
    for name, value in (("a", result), ("b", other)):
        with (tmp_path / name).open("wb") as stream:
            WRITERS["pytorch"](value, stream)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def keep() -> None:
    """Write the kept files anew."""
    with tempfile.TemporaryDirectory() as folder:
        for file in write_exports(golden_result(), Path(folder), on_progress=lambda _done, _total: None):
            if file.format in KEPT:
                (GOLDEN / KINDS[file.format].file_name("golden")).write_bytes(file.path.read_bytes())


if __name__ == "__main__":
    keep()
