"""Strategies for checkpoints: damaged as bytes, as archives, and as programs of a pickle."""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
from typing import TYPE_CHECKING

import torch
from hypothesis import strategies as st
from support.hostile import opcodes as op
from support.runs import make_run

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

LENGTHS = [0, 1, 2, 7, 0x7F, 0xFF, 0x100, 0x7FFF, 0xFFFF, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
WIDE = [*LENGTHS, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
SIGNATURES = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08")
OPCODES = (
    [bytes([code]) for code in b"()]}tulbaesRQ.012NIGdPcioVSU\x81\x82\x85\x86\x87\x88\x8b\x8c\x8e\x92\x93\x94\x95\x97"]
    + [op.number(number) for number in (0, 1, -1, 12, 1 << 40, -(1 << 62), 1 << 100)]
    + [op.text(text) for text in ("", "storage", "cpu", "cuda:0", "0", "1", "texts", "latin1", "x" * 300)]
    + [
        op.name(path)
        for path in (
            "collections.OrderedDict",
            "torch._utils._rebuild_tensor_v2",
            "torch._utils._rebuild_parameter",
            "torch.FloatStorage",
            "torch.BoolStorage",
            "torch.Size",
            "torch.device",
            "torch.float32",
            "_codecs.encode",
            "numpy.dtype",
            "numpy._core.multiarray.scalar",
            "builtins.eval",
            "torch._utils._rebuild_sparse_tensor",
        )
    ]
    + [bytes([code, index]) for code in b"hqK" for index in range(6)]
    + [
        op.call("collections.OrderedDict"),
        op.storage("0", 24),
        op.tensor("0", 24, (6, 4), (4, 1)),
        op.tensor("0", 24, (1 << 40, 4), (0, 1)),
    ]
)


def _saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


_RUN = make_run(n_texts=6, n_features=4, d=3)
ACTIVATIONS, SAE = _saved(_RUN.activations), _saved(_RUN.sae)


def entries(archive: bytes) -> dict[str, bytes]:
    """Content of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist()}


def packed(content: dict[str, bytes]) -> bytes:
    """An archive, stored, with right checksums."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@st.composite
def damaged(draw: DrawFn, base: bytes) -> bytes:
    """Bytes flipped, cut, moved, and numbers of the archive's headers replaced."""
    content = bytearray(base)
    fields = [at for signature in SIGNATURES for at in _places(base, signature)]
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 4]))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        match draw(st.sampled_from(["flip", "field", "field", "field64", "zip64", "cut", "copy", "insert"])):
            case "flip" if content:
                content[at] ^= 1 << draw(st.integers(0, 7))
            case "field":
                place = draw(st.sampled_from(fields)) + draw(st.integers(4, 44))
                content[place : place + 4] = struct.pack("<L", draw(st.sampled_from(LENGTHS)))[
                    : draw(st.sampled_from([2, 4]))
                ]
            case "field64":
                place = draw(st.sampled_from(fields)) + draw(st.integers(4, 60))
                content[place : place + 8] = struct.pack("<Q", draw(st.sampled_from(WIDE)))
            case "zip64":
                places = _places(bytes(content), SIGNATURES[0])
                if places:
                    wide = draw(st.lists(st.sampled_from(WIDE[-6:]), min_size=1, max_size=3))
                    content = _moved_to_zip64(content, draw(st.sampled_from(places)), wide)
            case "cut":
                del content[at : at + draw(st.integers(1, 200))]
            case "copy":
                piece = content[at : at + draw(st.integers(1, 200))]
                to = draw(st.integers(0, len(content)))
                content[to : to + draw(st.sampled_from([0, len(piece)]))] = piece
            case _:
                content[at:at] = draw(st.binary(min_size=1, max_size=20) | st.sampled_from(SIGNATURES))
    return bytes(content)


@st.composite
def reprogrammed(draw: DrawFn, base: bytes) -> bytes:
    """The pickle's opcodes deleted, doubled, moved and replaced, in an archive that is otherwise right."""
    content = entries(base)
    name = next(name for name in content if name.endswith("data.pkl"))
    program = _opcodes(content[name])
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(program) - 1))
        match draw(st.sampled_from(["delete", "double", "swap", "insert", "replace", "number", "byte"])):
            case "delete" if len(program) > 2:
                del program[at]
            case "double":
                program[at:at] = program[at : at + draw(st.integers(1, 8))]
            case "swap":
                other = draw(st.integers(0, len(program) - 1))
                program[at], program[other] = program[other], program[at]
            case "insert":
                program.insert(at, draw(st.sampled_from(OPCODES)))
            case "number":
                numbers = [place for place, code in enumerate(program) if code[:1] in (b"K", b"M", b"J")]
                program[draw(st.sampled_from(numbers)) if numbers else at] = op.number(draw(st.sampled_from(WIDE)))
            case "byte" if program[at]:
                changed = bytearray(program[at])
                changed[draw(st.integers(0, len(changed) - 1))] ^= 1 << draw(st.integers(0, 7))
                program[at] = bytes(changed)
            case _:
                program[at] = draw(st.sampled_from(OPCODES))
    content[name] = b"".join(program)
    if draw(st.integers(0, 5)) == 0:
        other_entry = draw(st.sampled_from(sorted(content)))
        content[other_entry] = content[other_entry][: draw(st.integers(0, 64))]
    return packed(content)


def _moved_to_zip64(content: bytearray, record: int, values: list[int]) -> bytearray:
    """The last so many of size, packed size and offset of a directory record, given by an extra field instead."""
    changed = bytearray(content)
    for field in (42, 24, 20)[: len(values)]:
        changed[record + field : record + field + 4] = b"\xff" * 4
    name_length, extra_length = struct.unpack_from("<HH", bytes(changed[record + 28 : record + 32]).ljust(4, b"\0"))
    extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)
    changed[record + 30 : record + 32] = struct.pack("<H", (extra_length + len(extra)) & 0xFFFF)
    at = record + 46 + name_length
    changed[at:at] = extra
    end = changed.rfind(b"PK\x05\x06")
    if 0 <= end <= len(changed) - 16:
        (length,) = struct.unpack_from("<L", changed, end + 12)
        struct.pack_into("<L", changed, end + 12, (length + len(extra)) & 0xFFFFFFFF)
    return changed


def _opcodes(pickle: bytes) -> list[bytes]:
    starts = [at or 0 for _, _, at in pickletools.genops(pickle)]
    return [pickle[start:end] for start, end in zip(starts, [*starts[1:], len(pickle)], strict=True)]


def _places(content: bytes, signature: bytes) -> list[int]:
    found, at = [], content.find(signature)
    while at >= 0:
        found.append(at)
        at = content.find(signature, at + 1)
    return found
