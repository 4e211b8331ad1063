"""Pickles written opcode by opcode, and the checkpoints around them."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PROTOCOL = b"\x80\x02"
STORAGE_BYTES = {"DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "LongStorage": 8, "BoolStorage": 1}


def text(value: str | bytes) -> bytes:
    """BINUNICODE."""
    content = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def number(value: int) -> bytes:
    """BININT, or LONG1 where it is larger."""
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def name(path: str) -> bytes:
    """GLOBAL."""
    module, _, attribute = path.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def tuple_of(*parts: bytes) -> bytes:
    """MARK, the parts, TUPLE."""
    return b"(" + b"".join(parts) + b"t"


def list_of(parts: Sequence[bytes]) -> bytes:
    """EMPTY_LIST and APPENDS."""
    return b"](" + b"".join(parts) + b"e"


def dict_of(entries: Mapping[str, bytes]) -> bytes:
    """EMPTY_DICT and SETITEMS, in the order given."""
    return b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def call(path: str, *arguments: bytes) -> bytes:
    """GLOBAL, the arguments, REDUCE."""
    return name(path) + tuple_of(*arguments) + b"R"


def storage(key: str, elements: int, kind: str = "FloatStorage") -> bytes:
    """A persistent id that names a storage of the archive."""
    return tuple_of(text("storage"), name(f"torch.{kind}"), text(key), text("cpu"), number(elements)) + b"Q"


def tensor(  # noqa: PLR0917 - as torch writes them
    key: str, elements: int, size: Sequence[int], stride: Sequence[int], offset: int = 0, kind: str = "FloatStorage"
) -> bytes:
    """A tensor as torch.save writes it, whatever its shape claims."""
    return call(
        "torch._utils._rebuild_tensor_v2",
        storage(key, elements, kind),
        number(offset),
        tuple_of(*map(number, size)),
        tuple_of(*map(number, stride)),
        b"\x89",
        call("collections.OrderedDict"),
    )


def matrix(key: str, rows: int, columns: int, kind: str = "FloatStorage") -> bytes:
    """An honest matrix."""
    return tensor(key, rows * columns, (rows, columns), (columns, 1), kind=kind)


def program(value: bytes) -> bytes:
    """A whole pickle."""
    return PROTOCOL + value + b"."


def save(path: Path, pickle: bytes, storages: Mapping[str, bytes] | None = None) -> None:
    """Write a checkpoint around a pickle: an archive as torch writes it, stored, with right checksums."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{path.stem}/data.pkl", pickle)
        archive.writestr(f"{path.stem}/byteorder", b"little")
        for key, content in (storages or {}).items():
            archive.writestr(f"{path.stem}/data/{key}", content)
        archive.writestr(f"{path.stem}/version", b"3\n")


def activations(
    *,
    texts: bytes | None = None,
    features: bytes | None = None,
    originals: bytes | None = None,
    more: Mapping[str, bytes] | None = None,
    rows: int = 4,
) -> bytes:
    """The pickle of a small feature_activations.pt, in which any part may be replaced or added.

    It refers to the storages of `storages(rows)`.
    """
    parts = {
        "feature_activations": features or matrix("0", rows, 3),
        "original_activations": originals or matrix("1", rows, 2),
        "texts": texts or list_of([text(f"text {row}") for row in range(rows)]),
        **(more or {}),
    }
    return program(dict_of(parts))


def storages(rows: int = 4) -> dict[str, bytes]:
    """What `activations` refers to: three features that fire on every text, two dimensions."""
    return {"0": struct.pack("<f", 1.0) * 3 * rows, "1": struct.pack("<f", 0.5) * 2 * rows}
