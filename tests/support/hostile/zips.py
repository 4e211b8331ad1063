"""Archives whose directory lies, or whose entries are not what they seem."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

from support.hostile import opcodes as op
from support.hostile.kind import CANARY, HostileRun, of_damage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.runs import RunPaths

Archive = dict[str, bytes]
LOCAL = 30
"""Bytes of a local header before the name."""
CENTRAL_CRC, CENTRAL_PACKED, CENTRAL_SIZE, CENTRAL_OFFSET = 16, 20, 24, 42
LOCAL_CRC, LOCAL_SIZE = 14, 22
END64 = 56
"""Bytes of a zip64 end record."""


def entries() -> Archive:
    """A good, small feature_activations.pt, by entry."""
    tensors = {f"feature_activations/data/{key}": content for key, content in op.storages().items()}
    return {
        "feature_activations/data.pkl": op.activations(),
        "feature_activations/byteorder": b"little",
        **tensors,
        "feature_activations/version": b"3\n",
    }


def pack(path: Path, content: Archive, method: int = zipfile.ZIP_STORED) -> None:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def _with(more: Archive) -> Callable[[RunPaths], None]:
    return lambda where: pack(where.activations, {**entries(), **more})


def _bomb(where: RunPaths) -> None:
    """256 MiB of zeros in 256 KiB."""
    with zipfile.ZipFile(where.activations, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries().items():
            archive.writestr(name, content)
        with archive.open("feature_activations/data/2", "w", force_zip64=True) as bomb:
            for _ in range(16):
                bomb.write(bytes(16 << 20))


def _bomb_pickle(where: RunPaths) -> None:
    pack(where.activations, {**entries(), "feature_activations/data.pkl": bytes(32 << 20)}, zipfile.ZIP_DEFLATED)


def _duplicate(where: RunPaths) -> None:
    pack(where.activations, {**entries(), "feature_activations/data.pkm": op.program(b"}")})
    _patch(where.activations, lambda data: data.replace(b"data.pkm", b"data.pkl"))


def _patch(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def central(data: bytes, entry: bytes) -> int:
    """Where the directory's record of an entry begins."""
    return data.rindex(b"PK\x01\x02", 0, data.rindex(entry))


def _set(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def _lie(field: int, value: int, *, entry: bytes = b"data/0", width: str = "<L") -> Callable[[RunPaths], None]:
    """Change one field of an entry in the directory."""

    def change(data: bytes) -> bytes:
        return _set(data, central(data, entry) + field, struct.pack(width, value))

    def build(where: RunPaths) -> None:
        pack(where.activations, entries())
        _patch(where.activations, change)

    return build


def _lie_locally(field: int, value: int) -> Callable[[RunPaths], None]:
    """Change one field of an entry's own header."""

    def change(data: bytes) -> bytes:
        return _set(data, data.index(b"feature_activations/data/0") - LOCAL + field, struct.pack("<L", value))

    def build(where: RunPaths) -> None:
        pack(where.activations, entries())
        _patch(where.activations, change)

    return build


def _overlapping(where: RunPaths) -> None:
    """Two entries of the directory over the same bytes."""
    pack(where.activations, entries())

    def change(data: bytes) -> bytes:
        first = struct.unpack_from("<L", data, central(data, b"data/0") + CENTRAL_OFFSET)
        return _set(data, central(data, b"data/1") + CENTRAL_OFFSET, struct.pack("<L", *first))

    _patch(where.activations, change)


def _quoted(where: RunPaths) -> None:
    """Thousands of directory records over one entry."""
    pack(where.activations, entries())
    data = where.activations.read_bytes()
    begin = central(data, b"data/0")
    record = data[begin : data.index(b"PK\x01\x02", begin + 4)]
    end = data.rindex(b"PK\x05\x06")
    count, length = struct.unpack_from("<HL", data, end + 10)
    tail = struct.pack("<4sHHHHL", b"PK\x05\x06", 0, 0, count + 3000, count + 3000, length + 3000 * len(record))
    where.activations.write_bytes(data[:end] + record * 3000 + tail + data[end + 16 :])


def _zip64(offset: int, count: int) -> Callable[[RunPaths], None]:
    """A zip64 end record that claims what is not there."""

    def build(where: RunPaths) -> None:
        pack(where.activations, entries())
        data = where.activations.read_bytes()
        end = data.rindex(b"PK\x05\x06")
        record = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, 1 << 60, offset)
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
        where.activations.write_bytes(data[:end] + record + locator + data[end:])

    return build


def _zip64_two(where: RunPaths) -> None:
    """A directory where zipfile looks for it, and another one where torch does, of a pickle that nobody checked."""
    pack(where.activations, entries())
    seen, first = _members(where.activations)
    unseen = op.activations(more={"model_info": b"\x8f"})  # a set: torch makes it, the scan refuses it
    pack(where.activations, {**entries(), "feature_activations/data.pkl": unseen})
    hidden, second = _members(where.activations)
    second = _moved(second, len(seen))
    where.activations.write_bytes(
        seen
        + hidden
        + second
        + _end64(second, len(seen + hidden))
        + first
        + _end64(first, len(seen + hidden + second) + END64)
        + struct.pack("<4sLQL", b"PK\x06\x07", 0, len(seen + hidden + second), 1)
        + struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )


def _members(path: Path) -> tuple[bytes, bytes]:
    """An archive's entries, and the records of its directory."""
    data = path.read_bytes()
    _, start = struct.unpack_from("<LL", data, len(data) - 10)
    return data[:start], data[start:-22]


def _moved(records: bytes, by: int) -> bytes:
    """The records of entries that lie further behind."""
    made, at = b"", 0
    while at < len(records):
        lengths = struct.unpack_from("<HHH", records, at + 28)
        record = records[at : at + 46 + sum(lengths)]
        offset = struct.unpack_from("<L", record, CENTRAL_OFFSET)[0] + by
        made += _set(record, CENTRAL_OFFSET, struct.pack("<L", offset))
        at += len(record)
    return made


def _end64(records: bytes, start: int) -> bytes:
    """The end record of a directory that begins at `start`."""
    count = records.count(b"PK\x01\x02")
    return struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(records), start)


def _zip64_entry(where: RunPaths) -> None:
    """An entry that lies at byte 2^63, by its extra field."""
    pack(where.activations, entries())
    data = where.activations.read_bytes()
    begin = central(data, b"data/0")
    data = _set(data, begin + CENTRAL_OFFSET, b"\xff\xff\xff\xff")
    name_length, extra_length = struct.unpack_from("<HH", data, begin + 28)
    extra = struct.pack("<HHQ", 1, 8, (1 << 63) + 5)
    data = _set(data, begin + 30, struct.pack("<H", extra_length + len(extra)))
    at = begin + 46 + name_length
    data = data[:at] + extra + data[at:]
    end = data.rindex(b"PK\x05\x06")
    length = struct.unpack_from("<L", data, end + 12)[0]
    where.activations.write_bytes(_set(data, end + 12, struct.pack("<L", length + len(extra))))


def _before(where: RunPaths) -> None:
    pack(where.activations, entries())
    _patch(where.activations, lambda data: b"PK\x03\x04" + bytes(60) + data)


def _after(where: RunPaths) -> None:
    pack(where.activations, entries())
    _patch(where.activations, lambda data: data + b"#!/bin/sh\n")


def _comment(where: RunPaths) -> None:
    """A comment that holds a second directory's end."""
    pack(where.activations, entries())
    with zipfile.ZipFile(where.activations, "a") as archive:
        archive.comment = b"PK\x05\x06" + bytes(18)


def _sparse_file(where: RunPaths) -> None:
    """1 TiB of nothing, a few bytes on disk."""
    pack(where.activations, entries())
    with where.activations.open("r+b") as file:
        file.truncate(1 << 40)


def _link_out(where: RunPaths) -> None:
    """A link that leads to a file outside of the run."""
    (where.root.parent / "secret").write_bytes(b"secret")
    where.activations.symlink_to(where.root.parent / "secret")


def _torchscript(where: RunPaths) -> None:
    code = f"import os; os.mkdir({str(where.root / CANARY)!r})"
    pack(where.activations, {**entries(), "feature_activations/constants.pkl": op.program(op.text(code))})


INVALID, CORRUPT, TRUNCATED = ("ARTIFACT_INVALID",), ("ARTIFACT_CORRUPT",), ("ARTIFACT_TRUNCATED",)

KINDS = {
    "zip_bomb": HostileRun("256 MiB of zeros, deflated", INVALID, _bomb),
    "zip_bomb_pickle": HostileRun("a deflated pickle", INVALID, _bomb_pickle),
    "dot_dot_entry": HostileRun("an entry named ../../x", INVALID, _with({"feature_activations/../../x": b"x"})),
    "absolute_entry": HostileRun("an entry named /etc/x", INVALID, _with({"/etc/x": b"x"})),
    "drive_entry": HostileRun("an entry named C:\\x", INVALID, _with({"feature_activations/C:\\x": b"x"})),
    "duplicate_entry": HostileRun("two pickles of one name", CORRUPT, _duplicate),
    "case_entry": HostileRun(
        "two names that differ in case", CORRUPT, _with({"feature_activations/DATA.PKL": op.program(b"}")})
    ),
    "two_tops": HostileRun("two top folders", CORRUPT, _with({"other/data.pkl": op.program(b"}")})),
    "overlapping_entries": HostileRun("two entries over the same bytes", CORRUPT, _overlapping),
    "quoted_entries": HostileRun("3,000 directory records of one entry", CORRUPT, _quoted),
    "many_entries": HostileRun(
        "20,000 entries", ("ARTIFACT_TOO_LARGE",), _with({f"feature_activations/{n}": b"" for n in range(20_000)})
    ),
    "encrypted_entry": HostileRun("an entry marked as encrypted", INVALID, _lie(8, 1, width="<H")),
    "unknown_method": HostileRun("an entry packed by method 99", INVALID, _lie(10, 99, width="<H")),
    "lying_crc": HostileRun("a wrong CRC-32", CORRUPT, _lie(CENTRAL_CRC, 7)),
    "lying_size": HostileRun("an entry of 3 GiB by the directory", CORRUPT, _lie(CENTRAL_SIZE, 3 << 30)),
    "lying_packed_size": HostileRun("an entry of 3 GiB when packed", CORRUPT, _lie(CENTRAL_PACKED, 3 << 30)),
    "lying_offset": HostileRun("an entry beyond the end of the file", CORRUPT, _lie(CENTRAL_OFFSET, 3 << 30)),
    "lying_header": HostileRun("a header that disagrees on the size", CORRUPT, _lie_locally(LOCAL_SIZE, 7)),
    "zip64_directory": HostileRun("a zip64 directory of 2^60 bytes", CORRUPT, _zip64(0, 5)),
    "zip64_count": HostileRun("a zip64 directory of 2^63 entries at 2^63", CORRUPT, _zip64(1 << 63, 1 << 63)),
    "zip64_two": HostileRun("two zip64 directories, each seen by another reader", CORRUPT, _zip64_two),
    "zip64_entry": HostileRun("an entry at byte 2^63 by zip64", CORRUPT, _zip64_entry),
    "data_before": HostileRun("bytes before the archive", CORRUPT, _before),
    "data_after": HostileRun("bytes after the archive", TRUNCATED, _after),
    "comment": HostileRun("a comment that holds a directory's end", CORRUPT, _comment),
    "sparse_file": HostileRun("a file of 1 TiB, sparse", ("ARTIFACT_TOO_LARGE",), _sparse_file, on_disk_only=True),
    "link_out": HostileRun("a link out of the run", INVALID, _link_out, on_disk_only=True),
    "torchscript": HostileRun("a TorchScript archive", INVALID, _torchscript),
    "large_marker": HostileRun(
        "a marker entry of a megabyte", INVALID, _with({"feature_activations/.data/serialization_id": bytes(1 << 20)})
    ),
    "flipped_bit": HostileRun(
        "one bit of the features flipped",
        CORRUPT,
        of_damage(lambda where: _patch(where.activations, _flip)),
    ),
    "cut_file": HostileRun(
        "a file cut in half",
        TRUNCATED,
        of_damage(lambda where: _patch(where.activations, lambda data: data[: len(data) // 2])),
    ),
}


def _flip(data: bytes) -> bytes:
    at = data.index(b"data/0") + 200
    return _set(data, at, bytes([data[at] ^ 1]))
