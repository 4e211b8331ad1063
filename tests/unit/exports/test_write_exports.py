from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from support.results import FIND_JOB_ID

from mistudio_worker.exports.formats import KINDS, WRITERS
from mistudio_worker.exports.hashing_stream import open_hashing
from mistudio_worker.exports.write_exports import write_exports

if TYPE_CHECKING:
    from pathlib import Path

    from mistudio_worker.domain.find_result import FindResult


def test_names_are_those_others_depend_on(small: FindResult, tmp_path: Path) -> None:
    """File names are part of the contract."""
    files = write_exports(small, tmp_path / "new" / "folder", on_progress=lambda _done, _total: None)
    assert {f.format: f.name for f in files} == {
        "json": f"{FIND_JOB_ID}_complete_results.json",
        "csv": f"{FIND_JOB_ID}_feature_analysis.csv",
        "xml": f"{FIND_JOB_ID}_analysis.xml",
        "pytorch": f"{FIND_JOB_ID}_features.pt",
        "summary": f"{FIND_JOB_ID}_summary_report.txt",
        "parquet": f"{FIND_JOB_ID}_features.parquet",
        "index": f"{FIND_JOB_ID}_index.json",
        "bundle": f"{FIND_JOB_ID}_bundle.zip",
    }
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == sorted(f.name for f in files)


def test_size_and_hash_are_those_of_the_file(small: FindResult, tmp_path: Path) -> None:
    """What was hashed on the way is what lies on the disk, for writers that seek too."""
    for file in write_exports(small, tmp_path, on_progress=lambda _done, _total: None):
        content = file.path.read_bytes()
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest()), file.format


def test_progress_is_told_after_each_file(small: FindResult, tmp_path: Path) -> None:
    """Eight files, eight calls, counted up."""
    seen: list[tuple[int, int]] = []
    write_exports(small, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, len(KINDS)) for i in range(1, len(KINDS) + 1)]


def test_index_lists_the_data_files(written: dict[str, Path]) -> None:
    """The index names each data file, but neither itself nor the ZIP that holds it."""
    index = json.loads(written["index"].read_bytes())
    assert index["available_formats"] == list(WRITERS)
    for file in index["files"]:
        content = written[file["format"]].read_bytes()
        assert file["name"] == written[file["format"]].name
        assert (file["size"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_bundle_holds_every_file(written: dict[str, Path]) -> None:
    """The ZIP has each file once, whole, in the order of the table, with fixed time and permissions."""
    with zipfile.ZipFile(written["bundle"]) as bundle:
        entries = bundle.infolist()
        assert [e.filename for e in entries] == [written[name].name for name in KINDS if name != "bundle"]
        assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {e.external_attr >> 16 for e in entries} == {0o100644}
        for name in KINDS.keys() - {"bundle"}:
            assert bundle.read(written[name].name) == written[name].read_bytes()


@pytest.mark.parametrize("failing", list(WRITERS))
def test_a_failing_writer_fails_the_whole(
    failing: str, small: FindResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad format is never dropped in silence, and no half-written file bears its name."""

    def fail(_result: FindResult, stream: BinaryIO) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(WRITERS, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        write_exports(small, tmp_path, on_progress=lambda _done, _total: None)
    left = {p.name for p in tmp_path.iterdir()}
    assert KINDS[failing].file_name(FIND_JOB_ID) not in left
    assert KINDS["index"].file_name(FIND_JOB_ID) not in left
    assert KINDS["bundle"].file_name(FIND_JOB_ID) not in left
    assert not any(name.endswith(".part") for name in left)


def test_writing_again_replaces(small: FindResult, tmp_path: Path) -> None:
    """What a killed process left behind, half or whole, is no obstacle."""
    name = KINDS["json"].file_name(FIND_JOB_ID)
    (tmp_path / name).write_bytes(b"old")
    (tmp_path / f".{name}.part").write_bytes(b"half")
    files = write_exports(small, tmp_path, on_progress=lambda _done, _total: None)
    assert files[0].path.stat().st_size == files[0].size > 3
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("writes", [[(0, b"abc"), (3, b"de")], [(0, b"abc"), (1, b"X")], [(4, b"e"), (0, b"abcd")]])
def test_hash_survives_seeking(writes: list[tuple[int, bytes]], tmp_path: Path) -> None:
    """A writer that goes back changes the hash to that of what the file holds in the end."""
    path = tmp_path / "file"
    raw, stream = open_hashing(path)
    with stream:
        for offset, data in writes:
            stream.seek(offset)
            stream.write(data)
            stream.flush()
        size, sha256 = raw.size, raw.sha256()
    assert (size, sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def test_hash_survives_truncation(tmp_path: Path) -> None:
    """A file cut short is hashed as it is."""
    raw, stream = open_hashing(tmp_path / "file")
    with stream:
        stream.write(b"abcdef")
        stream.truncate(3)
        stream.flush()
        assert (raw.size, raw.sha256()) == (3, hashlib.sha256(b"abc").hexdigest())


def test_every_kind_has_a_writer_or_is_made_from_files() -> None:
    """The two tables agree."""
    made_from_files: set[Any] = {"index", "bundle"}
    assert list(KINDS) == [*WRITERS, "index", "bundle"]
    assert not made_from_files & WRITERS.keys()
