"""The pickle of a checkpoint, walked opcode by opcode before anything of it is built.

torch's own reader (weights_only) allows more than the trainer's files need: sparse, quantised and wrapped tensors,
buffers of any size. And it maps a storage of the size that the pickle claims, whatever its zip entry holds.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.artifacts import refusals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistudio_worker.artifacts.zip_directory import ZipEntry

NUMPY_SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
NUMPY_DTYPE = "numpy.dtype"

_ELEMENT_BYTES = {
    "torch.DoubleStorage": 8,
    "torch.FloatStorage": 4,
    "torch.HalfStorage": 2,
    "torch.BFloat16Storage": 2,
    "torch.LongStorage": 8,
    "torch.IntStorage": 4,
    "torch.ShortStorage": 2,
    "torch.CharStorage": 1,
    "torch.ByteStorage": 1,
    "torch.BoolStorage": 1,
}
_ALLOWED = {
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
    "torch.float64",
    "torch.float32",
    "torch.float16",
    "torch.bfloat16",
    "_codecs.encode",
    NUMPY_DTYPE,
    *NUMPY_SCALARS,
    *_ELEMENT_BYTES,
}
_PLAIN = b"}])NRbaesu\x81\x85\x86\x87\x88\x89"  # opcodes without an argument
_NUMBERS = {ord("K"): "<B", ord("M"): "<H", ord("J"): "<i"}
_GETS = {ord("h"): "<B", ord("j"): "<I"}
_PUTS = {ord("q"): "<B", ord("r"): "<I"}
_PROTOCOL = 2  # the one that torch.save writes
_SHORT_NAME_BYTES = 64


@dataclass(frozen=True, slots=True)
class _Name:
    """A global that the pickle names."""

    path: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """A tuple that names a storage, about to be referred to."""

    key: str
    claimed_bytes: int


class _Mark:
    """The start of a tuple's parts."""


_MARK = _Mark()


def check_pickle(data: bytes, entries: Mapping[str, ZipEntry]) -> None:
    """Walk a pickle and refuse all but tensors, numbers, strings, lists, tuples and dicts.

    Args:
        data: the pickle.
        entries: the archive's entries by name; storages must fit the entry that they name.

    Raises:
        RefusedInput: `ARTIFACT_FORBIDDEN_PICKLE` for a global or an opcode beyond that, `ARTIFACT_TRUNCATED`
            for a pickle or a storage that is shorter than claimed.
    """
    try:
        _Walk(data, entries).run()
    except (IndexError, struct.error):
        raise refusals.truncated(f"the pickle of {len(data):,} bytes ends in the middle") from None
    except ValueError:
        raise refusals.corrupt(f"the pickle of {len(data):,} bytes holds a name that cannot be read") from None


class _Walk:
    """Follows just enough of the stack and the memo to know what each storage claims."""

    def __init__(self, data: bytes, entries: Mapping[str, ZipEntry]) -> None:
        self._data = data
        self._entries = entries
        self._recent: deque[object] = deque([None], maxlen=6)  # what the last opcodes pushed
        self._memo: dict[int, object] = {}

    def run(self) -> None:
        data, recent, position = self._data, self._recent, 0
        while (op := data[position]) != ord("."):
            position += 1
            if op == ord("X"):  # the texts are most of the pickle
                position = self._string(position)
            elif op in _PUTS:
                position = self._put(position, _PUTS[op])
            elif op in _PLAIN:
                recent.append(None)
            else:
                position = self._rare(op, position)

    def _rare(self, op: int, position: int) -> int:
        if op in _NUMBERS or op in _GETS:
            return self._fixed(op, position)
        match chr(op):
            case "(":
                self._recent.append(_MARK)
            case "t":
                self._recent.append(self._tuple())
            case "Q":
                self._check_storage()
            case "c":
                return self._name(position)
            case "G":
                self._recent.append(None)
                return position + 8
            case "\x8a":
                return self._long(position)
            case "\x80" if self._data[position] == _PROTOCOL:
                return position + 1
            case _:
                raise refusals.forbidden(f"the pickle holds the opcode 0x{op:02x}, which torch.save does not write")
        return position

    def _unpack(self, position: int, form: str) -> tuple[tuple[int, ...], int]:
        return struct.unpack_from(form, self._data, position), position + struct.calcsize(form)

    def _string(self, position: int) -> int:
        (length,), start = self._unpack(position, "<I")
        stop = start + length
        short = length <= _SHORT_NAME_BYTES
        self._recent.append(str(self._data[start:stop], "utf-8", "surrogatepass") if short else None)
        return stop

    def _put(self, position: int, form: str) -> int:
        (key,), position = self._unpack(position, form)
        if isinstance(self._recent[-1], str | _Name):
            self._memo[key] = self._recent[-1]
        else:
            self._memo.pop(key, None)
        return position

    def _fixed(self, op: int, position: int) -> int:
        (value,), position = self._unpack(position, _NUMBERS.get(op) or _GETS[op])
        self._recent.append(value if op in _NUMBERS else self._memo.get(value))
        return position

    def _long(self, position: int) -> int:
        length = self._data[position]
        start = position + 1
        self._recent.append(int.from_bytes(self._data[start : start + length], "little", signed=True))
        return start + length

    def _name(self, position: int) -> int:
        middle = self._data.index(b"\n", position)
        stop = self._data.index(b"\n", middle + 1)
        path = f"{self._data[position:middle].decode()}.{self._data[middle + 1 : stop].decode()}"
        if path not in _ALLOWED:
            raise refusals.forbidden(
                f"the pickle names {_printable(path)}, which a checkpoint of the trainer does not hold"
            )
        self._recent.append(_Name(path))
        return stop + 1

    def _tuple(self) -> _Storage | None:
        match list(self._recent):
            case [_Mark(), "storage", _Name(path), str(key), str(), int(count)] if path in _ELEMENT_BYTES:
                return _Storage(key, count * _ELEMENT_BYTES[path])
            case _:
                return None

    def _check_storage(self) -> None:
        storage = self._recent[-1]
        if not isinstance(storage, _Storage):
            raise refusals.forbidden("the pickle refers to something outside of it that is no storage of known type")
        entry = self._entries.get(f"data/{storage.key}")
        size = None if entry is None else entry.size
        if size != storage.claimed_bytes:
            found = "is not in the archive" if size is None else f"has {size:,} bytes"
            raise refusals.truncated(f"a storage {found}, the pickle claims {storage.claimed_bytes:,} bytes of it")
        self._recent.append(None)


def _printable(path: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in path[:80])
