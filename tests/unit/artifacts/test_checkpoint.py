"""load_checkpoint against archives that no trainer writes."""

from __future__ import annotations

import contextlib
import io
import pickle
import random
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
from support.broken_runs import rewrite
from support.runs import write_run

from mistudio_worker.artifacts.checkpoint import load_checkpoint
from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMITS = Limits()


def refused(path: Path) -> RefusedInput:
    """Return the error that a file is refused with."""
    with pytest.raises(RefusedInput) as caught:
        load_checkpoint(path, LIMITS)
    return caught.value


def saved(tmp_path: Path, content: object, **options: Any) -> Path:
    """Save a checkpoint and return where."""
    path = tmp_path / "some.pt"
    torch.save(content, path, **options)
    return path


def renamed(path: Path, change: Callable[[str], str]) -> Path:
    """Write the archive anew with other names for its entries."""
    with zipfile.ZipFile(path) as archive:
        kept = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in kept.items():
            archive.writestr(change(name), content)
    return path


def patched(path: Path, old: bytes, new: bytes) -> Path:
    """Replace all bytes `old` of the file."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def with_pickle(tmp_path: Path, data: bytes) -> Path:
    """Return a checkpoint that holds this pickle."""
    path = saved(tmp_path, {"a": torch.ones(8)})
    rewrite(path, lambda name, content: data if name.endswith("data.pkl") else content)
    return path


def test_tensors_are_mapped_and_scalars_skipped(tmp_path: Path) -> None:
    """Tensors come back as they were saved, numpy scalars as None."""
    where = write_run(tmp_path)
    content = load_checkpoint(where.sae_model, LIMITS)
    assert content["training_stats"]["losses"] == [None, None]
    assert content["model_state_dict"]["encoder.weight"].shape == (24, 16)


def test_changing_a_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    """The mapping is private: a write to a tensor never reaches the file."""
    path = saved(tmp_path, {"a": torch.ones(8)})
    before = path.read_bytes()
    load_checkpoint(path, LIMITS)["a"].zero_()
    assert path.read_bytes() == before


def test_a_zip64_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint whose directory ends with zip64 records, as large ones do, is read as any other."""
    path = saved(tmp_path, {"a": torch.arange(8.0)})
    with monkeypatch.context() as patch:
        patch.setattr(zipfile, "ZIP64_LIMIT", 100)
        renamed(path, lambda name: name)
    assert b"PK\x06\x06" in path.read_bytes()
    assert torch.equal(load_checkpoint(path, LIMITS)["a"], torch.arange(8.0))


def test_strings_count_by_the_memory_they_take(tmp_path: Path) -> None:
    """One character beyond U+FFFF makes four bytes of each letter of its string: the budget is for these."""
    plain, wide = saved(tmp_path, ["x" * 1000]).rename(tmp_path / "plain.pt"), saved(tmp_path, ["x" * 1000 + "😀"])
    limits = Limits(max_text_bytes=3000)
    for path, code in ((plain, "ARTIFACT_INVALID"), (wide, "ARTIFACT_TOO_LARGE")):
        with pytest.raises(RefusedInput) as caught:
            load_checkpoint(path, limits)
        assert caught.value.code == code


@pytest.mark.parametrize("inner", ["../data.pkl", "/data.pkl", "a\\data.pkl", "c:data.pkl", "./data.pkl", "data.pkl/"])
def test_names_that_lead_elsewhere_are_refused(inner: str, tmp_path: Path) -> None:
    """An entry's name stays inside the archive's folder."""
    path = renamed(saved(tmp_path, {"a": 1}), lambda name: f"some/{inner}" if name.endswith("data.pkl") else name)
    assert "not a plain name" in refused(path).message


def test_two_folders_are_refused(tmp_path: Path) -> None:
    """All entries lie in one folder, so that no second pickle hides beside the first."""
    path = renamed(saved(tmp_path, {"a": 1}), lambda name: name.replace("some/version", "other/version"))
    assert "in 2 folders" in refused(path).message


def test_names_alike_but_for_case_are_refused(tmp_path: Path) -> None:
    """Torch finds entries whatever their case, so two that differ only by it are refused."""
    path = renamed(saved(tmp_path, {"a": 1}), lambda name: name.replace("some/version", "some/DATA.PKL"))
    assert "distinct names" in refused(path).message


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    """An entry cannot lie inside another, even with a header and a checksum that are right."""
    path = tmp_path / "some.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some/inner", bytes(8))
    header_and_content = path.read_bytes()[: 30 + len("some/inner") + 8]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some/outer", header_and_content)
        archive.writestr("some/inner", bytes(8))
    content = bytearray(path.read_bytes())
    place = content.rindex(b"some/inner") - 4  # the offset in its directory entry
    content[place : place + 4] = struct.pack("<L", 30 + len("some/outer"))
    path.write_bytes(content)
    assert "entries overlap" in refused(path).message


def test_local_header_must_agree(tmp_path: Path) -> None:
    """An entry's own header names it as the directory does: readers that trust either see the same file."""
    path = saved(tmp_path, {"a": torch.ones(8)})
    content = bytearray(path.read_bytes())
    at = content.index(b"some/data/0")
    content[at : at + 11] = b"some/data/9"
    path.write_bytes(bytes(content))
    assert "header that disagrees" in refused(path).message


@pytest.mark.parametrize("tail", [b"x", b"PK\x05\x06" + bytes(18)])
def test_bytes_after_the_directory_are_refused(tail: bytes, tmp_path: Path) -> None:
    """Nothing follows the directory's end, least of all a second directory."""
    path = saved(tmp_path, {"a": 1})
    path.write_bytes(path.read_bytes() + tail)
    assert refused(path).code in {"ARTIFACT_TRUNCATED", "ARTIFACT_CORRUPT"}


def test_bytes_before_the_archive_are_refused(tmp_path: Path) -> None:
    """Nothing stands before the archive: zipfile would shift every offset by it, torch would not."""
    path = saved(tmp_path, {"a": 1})
    rewrite(path, lambda _, content: content)
    path.write_bytes(b"PK\x03\x04" + bytes(60) + path.read_bytes())
    assert "zip directory claims bytes" in refused(path).message


def test_other_zip_files_are_refused(tmp_path: Path) -> None:
    """A zip file without data.pkl is no checkpoint."""
    path = tmp_path / "some.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some/readme", "hello")
    assert "no checkpoint of torch.save" in refused(path).message


def test_torchscript_is_refused(tmp_path: Path) -> None:
    """An archive with TorchScript constants is program, not data."""
    path = renamed(saved(tmp_path, {"a": 1}), lambda name: name.replace("version", "constants.pkl"))
    assert refused(path).code == "ARTIFACT_INVALID"


def test_big_endian_is_refused(tmp_path: Path) -> None:
    """Another byte order would mean swapping every mapped page."""
    path = saved(tmp_path, {"a": torch.ones(8)})
    rewrite(path, lambda name, content: b"big" if name.endswith("byteorder") else content)
    assert "little-endian" in refused(path).message


def test_storage_larger_than_its_entry_is_refused(tmp_path: Path) -> None:
    """A storage that claims more bytes than its entry would show the bytes that follow it."""
    path = saved(tmp_path, {"a": torch.ones(8)})
    rewrite(path, lambda name, c: c.replace(b"K\x08tq", b"K\x10tq") if name.endswith("data.pkl") else c)
    error = refused(path)
    assert error.code == "ARTIFACT_TRUNCATED"
    assert "has 32 bytes, the pickle claims 64" in error.message


def test_tensor_larger_than_its_storage_is_refused(tmp_path: Path) -> None:
    """A shape beyond the storage never becomes a tensor: torch would make the storage larger."""
    path = saved(tmp_path, {"a": torch.ones(8)})
    rewrite(path, lambda name, c: c.replace(b"QK\x00K\x08\x85", b"QK\x00K\xf8\x85") if name.endswith("data.pkl") else c)
    assert "reaches to element 248 of its storage, which has 8" in refused(path).message


@pytest.mark.parametrize(
    "value",
    [
        bytearray(5),
        torch.eye(2).to_sparse(),
        torch.empty(3, device="meta"),
        io.StringIO,
        print,
    ],
    ids=["bytearray", "sparse", "meta", "class", "function"],
)
def test_other_objects_are_forbidden(value: object, tmp_path: Path) -> None:
    """What torch's own safe reader would rebuild beyond plain tensors is refused before it is built."""
    assert refused(saved(tmp_path, {"a": value})).code == "ARTIFACT_FORBIDDEN_PICKLE"


@pytest.mark.parametrize("protocol", [0, 3, 4, 5])
def test_other_pickle_protocols_are_forbidden(protocol: int, tmp_path: Path) -> None:
    """torch.save writes protocol 2; opcodes that only others have are not walked past."""
    path = with_pickle(tmp_path, pickle.dumps({"a": [1, "x", 2.5]}, protocol=protocol))
    assert refused(path).code == "ARTIFACT_FORBIDDEN_PICKLE"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x80\x02}", "ARTIFACT_TRUNCATED"),
        (b"\x80\x02X\xff\xff\xff\xffabc.", "ARTIFACT_TRUNCATED"),
        (b"\x80\x02cos\nsystem\n.", "ARTIFACT_FORBIDDEN_PICKLE"),
        (b"\x80\x02}(X\x01\x00\x00\x00ah\x63u.", "ARTIFACT_CORRUPT"),
        (b"\x80\x02K\x01Q.", "ARTIFACT_FORBIDDEN_PICKLE"),
        (b"\x80\x02(X\x07\x00\x00\x00storageK\x01tQ.", "ARTIFACT_FORBIDDEN_PICKLE"),
        (b"\x80\x02ctorch\xff", "ARTIFACT_CORRUPT"),
        (b"\x80\x02s.", "ARTIFACT_CORRUPT"),
        (b"\x80\x02K\x01.", "ARTIFACT_INVALID"),
    ],
)
def test_pickles_made_by_hand(data: bytes, code: str, tmp_path: Path) -> None:
    """Damaged and hostile pickles end in the code that fits, never in another error."""
    assert refused(with_pickle(tmp_path, data)).code == code


def test_a_storage_is_known_by_what_is_on_the_stack(tmp_path: Path) -> None:
    """A harmless storage named first does not vouch for a larger one fetched from the memo."""
    large = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuM\x00\x10tq\x09"
    small = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x08tq\x08"
    path = with_pickle(tmp_path, b"\x80\x02" + large + small + b"h\x09Q.")
    assert refused(path).code == "ARTIFACT_TRUNCATED"


def test_bytes_flipped_at_random_are_refused_or_harmless(tmp_path: Path) -> None:
    """Whatever a pickle holds, with right checksums, ends in a dict or in a refusal."""
    original = write_run(tmp_path, n_texts=5).sae_model.read_bytes()
    rng = random.Random(0)  # noqa: S311 - not for secrets
    outcomes = set()
    for _ in range(150):
        path = tmp_path / "some.pt"
        path.write_bytes(original)
        rewrite(path, lambda name, content: _damage(content, rng) if name.endswith("data.pkl") else content)
        try:
            assert isinstance(load_checkpoint(path, LIMITS), dict)
            outcomes.add("read")
        except RefusedInput as error:
            outcomes.add(error.code)
    assert {"read", "ARTIFACT_CORRUPT", "ARTIFACT_FORBIDDEN_PICKLE"} <= outcomes


def test_archive_bytes_flipped_at_random_are_refused_or_harmless(tmp_path: Path) -> None:
    """Whatever byte of the archive flips, nothing but a refusal or the same content comes out."""
    original = saved(tmp_path, {"a": torch.arange(8.0)}).read_bytes()
    rng = random.Random(1)  # noqa: S311 - not for secrets
    for _ in range(150):
        path = tmp_path / "some.pt"
        path.write_bytes(_damage(original, rng))
        with contextlib.suppress(RefusedInput):
            assert torch.equal(load_checkpoint(path, LIMITS)["a"], torch.arange(8.0))


def _damage(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
