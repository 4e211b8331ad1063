"""The zip directory of a checkpoint, checked before torch sees the file.

torch trusts the directory: it maps tensors at the offsets found there and verifies no checksum.
So every entry must be stored as it is, lie alone inside the file, and match its CRC-32.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO

from mistudio_worker.artifacts import refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistudio_worker.artifacts.limits import Limits

_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_END = struct.Struct("<4sHHHHLLH")
_LOCATOR64 = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQHHLLQQQQ")
_LOCAL_MAGIC = b"PK\x03\x04"
_PLAIN_FLAGS = 0x0808  # sizes after the data, names in UTF-8: all that torch and zipfile set
_DEFERRED_SIZES = 0x0008
_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_MAX_DIRECTORY_BYTES = 4 << 20
_READ_BYTES = 4 << 20
_MAX_NAME = 512


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One entry: its name below the archive's top folder, and where its bytes lie in the file."""

    name: str
    start: int
    size: int
    crc: int


def read_directory(file: BinaryIO, size: int, limits: Limits) -> dict[str, ZipEntry]:
    """Return the entries of a checkpoint by name, proven to be stored, apart and inside the file.

    Args:
        file: the checkpoint, opened for reading.
        size: its size in bytes.
        limits: budgets.

    Raises:
        RefusedInput: not a zip checkpoint, truncated, damaged, compressed or over a limit.
    """
    _check_is_zip(file, size)
    directory_start, count = _find_directory(file, size)
    if count > limits.max_zip_entries:
        raise refusals.too_large(
            f"the zip directory claims {count:,} entries, expected at most {limits.max_zip_entries:,}",
            "max_zip_entries",
        )
    infos = _list(file, count)
    return _by_name([_locate(file, info, directory_start) for info in infos], infos)


def verify_checksums(file: BinaryIO, entries: Sequence[ZipEntry]) -> None:
    """Read every entry once, in blocks, and compare its CRC-32 with the directory's.

    Raises:
        RefusedInput: `ARTIFACT_CORRUPT`, an entry's bytes are not those that were written.
    """
    for entry in entries:
        found = _checksum(file, entry)
        if found != entry.crc:
            raise refusals.corrupt(
                f"entry {entry.name!r} has the CRC-32 {found:08x}, its directory says {entry.crc:08x}"
            )


def _check_is_zip(file: BinaryIO, size: int) -> None:
    if size == 0:
        raise refusals.truncated("the file has 0 bytes, expected a zip checkpoint")
    head = _read_at(file, 0, len(_LEGACY_MAGIC))
    if head == _LEGACY_MAGIC:
        raise refusals.legacy("the file is in torch's old format, expected a zip checkpoint")
    if not head.startswith(_LOCAL_MAGIC):
        raise refusals.corrupt(f"the file starts with the bytes {head[:4].hex()}, a zip checkpoint with 504b0304")


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int]:
    """Return where the directory starts and how many entries it claims; nothing may follow it but its end record."""
    end_start = size - _END.size
    record = _read_at(file, max(end_start, 0), _END.size)
    if len(record) < _END.size or not record.startswith(b"PK\x05\x06"):
        raise refusals.truncated(f"no zip directory at the end of the file's {size:,} bytes: it was cut off")
    _, _, _, _, count, length, start, _ = _END.unpack(record)
    locator = _read_at(file, max(end_start - _LOCATOR64.size, 0), _LOCATOR64.size)
    if locator.startswith(b"PK\x06\x07"):
        end_start -= _LOCATOR64.size + _END64.size  # where zipfile looks; torch goes where the locator says
        record64 = _read_at(file, max(end_start, 0), _END64.size)
        claimed = _LOCATOR64.unpack(locator)[2]
        if claimed != end_start or not record64.startswith(b"PK\x06\x06"):
            raise refusals.corrupt(f"the zip directory's end record is not at byte {end_start:,}, claimed {claimed:,}")
        _, _, _, _, _, _, _, count, length, start = _END64.unpack(record64)
    if start + length != end_start or length > _MAX_DIRECTORY_BYTES:
        raise refusals.corrupt(
            f"the zip directory claims bytes {start:,} to {start + length:,}, expected to end at {end_start:,}"
            f" after at most {_MAX_DIRECTORY_BYTES:,} bytes"
        )
    return start, count


def _list(file: BinaryIO, count: int) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError) as error:
        raise refusals.corrupt(f"the zip directory cannot be read ({type(error).__name__})") from None
    if len(infos) != count:
        raise refusals.corrupt(f"the zip directory holds {len(infos):,} entries, its end record says {count:,}")
    return infos


def _locate(file: BinaryIO, info: zipfile.ZipInfo, directory_start: int) -> ZipEntry:
    name = _inner_name(info)
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ~_PLAIN_FLAGS:
        raise refusals.invalid(
            f"entry {name!r} is compressed or encrypted ({info.compress_size:,} bytes for {info.file_size:,}),"
            " expected to be stored as it is"
        )
    if info.file_size != info.compress_size:
        raise refusals.corrupt(f"entry {name!r} has {info.compress_size:,} bytes, claims {info.file_size:,}")
    if info.header_offset >= directory_start:  # also one of 2^64, where no file can be read
        raise refusals.corrupt(f"entry {name!r} claims to begin at byte {info.header_offset:,}, behind the directory")
    start = _data_start(file, info, name)
    if start + info.file_size > directory_start:
        raise refusals.corrupt(
            f"entry {name!r} claims bytes {start:,} to {start + info.file_size:,}, the directory starts at"
            f" {directory_start:,}"
        )
    return ZipEntry(name, start, info.file_size, info.CRC)


def _inner_name(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    top, _, inner = name.partition("/")
    plain = name.isprintable() and len(name) <= _MAX_NAME and not {"\\", ":"} & set(name)
    if not plain or {"", ".", ".."} & {top, *inner.split("/")}:
        shown = name[:80].encode("unicode_escape").decode()
        raise refusals.invalid(f"zip entry '{shown}' is not a plain name inside the archive's folder")
    return inner


def _data_start(file: BinaryIO, info: zipfile.ZipInfo, name: str) -> int:
    header = _read_at(file, info.header_offset, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(_LOCAL_MAGIC):
        raise refusals.corrupt(f"entry {name!r} has no header at byte {info.header_offset:,}")
    _, _, flags, method, _, _, _, packed, plain, name_size, extra_size = _LOCAL.unpack(header)
    local_name = file.read(name_size)
    sizes_agree = bool(flags & _DEFERRED_SIZES) or {packed, plain} <= {info.file_size, 0xFFFFFFFF}
    if local_name != info.orig_filename.encode() or method != info.compress_type or not sizes_agree:
        raise refusals.corrupt(f"entry {name!r} has a header that disagrees with the zip directory")
    start: int = info.header_offset + _LOCAL.size + name_size + extra_size
    return start


def _by_name(entries: list[ZipEntry], infos: list[zipfile.ZipInfo]) -> dict[str, ZipEntry]:
    tops = {info.orig_filename.partition("/")[0] for info in infos}
    folded = {entry.name.casefold() for entry in entries}  # torch finds entries whatever their case
    if len(tops) != 1 or len(folded) != len(entries):
        raise refusals.corrupt(
            f"{len(entries):,} zip entries have {len(folded):,} distinct names in {len(tops):,} folders, expected"
            f" {len(entries):,} in 1"
        )
    spans = sorted((info.header_offset, entry.start + entry.size) for info, entry in zip(infos, entries, strict=True))
    if any(end > start for (_, end), (start, _) in pairwise(spans)):
        raise refusals.corrupt(f"some of the {len(entries):,} zip entries overlap, expected them to lie apart")
    return {entry.name: entry for entry in entries}


def _checksum(file: BinaryIO, entry: ZipEntry) -> int:
    file.seek(entry.start)
    crc, left = 0, entry.size
    while left > 0:
        block = file.read(min(left, _READ_BYTES))
        if not block:
            raise refusals.truncated(f"entry {entry.name!r} ends {left:,} bytes too early")
        crc = zlib.crc32(block, crc)
        left -= len(block)
    return crc


def _read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)
