"""The pickle of a checkpoint, walked opcode by opcode before anything of it is built.

torch's own reader (weights_only) allows more than the trainer's files need: sparse, quantised and wrapped tensors,
buffers of any size. And it maps a storage of the size that the pickle claims, whatever its zip entry holds.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

from mistudio_worker.artifacts import refusals
from mistudio_worker.artifacts.pickle_calls import Made, check_name
from mistudio_worker.artifacts.pickle_stack import OPCODES, PickleStack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mistudio_worker.artifacts.limits import Limits
    from mistudio_worker.artifacts.zip_directory import ZipEntry

_OPAQUE = b"]N\x88\x89"  # opcodes without an argument that push a value of no interest
_NUMBERS = {ord("K"): "<B", ord("M"): "<H", ord("J"): "<i"}
_GETS = {ord("h"): "<B", ord("j"): "<I"}
_PUTS = {ord("q"): "<B", ord("r"): "<I"}
_PROTOCOL = 2  # the one that torch.save writes
_SHORT_STRING_BYTES = 64
_MAX_INTEGER_BYTES = 64  # torch.save writes 9 at most
_NAME_BYTES = 256


def check_pickle(data: bytes, entries: Mapping[str, ZipEntry], limits: Limits) -> None:
    """Walk a pickle and refuse all but tensors, numbers, strings, lists, tuples and dicts.

    Args:
        data: the pickle.
        entries: the archive's entries by name; storages must fit the entry that they name.
        limits: budgets.

    Raises:
        RefusedInput: `ARTIFACT_FORBIDDEN_PICKLE` for a global, an opcode or a call beyond that, `ARTIFACT_TRUNCATED`
            for a pickle, a storage or a tensor that is shorter than claimed, `ARTIFACT_TOO_LARGE` for more values
            than a run has.
    """
    try:
        _Walk(data, entries, limits).run()
    except (IndexError, struct.error):
        raise refusals.truncated(f"the pickle of {len(data):,} bytes ends in the middle") from None
    except ValueError:
        raise refusals.corrupt(f"the pickle of {len(data):,} bytes holds a name that cannot be read") from None


class _Walk:
    """Follows stack and memo."""

    def __init__(self, data: bytes, entries: Mapping[str, ZipEntry], limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._stack = PickleStack(entries, limits)
        self._memo: dict[int, object] = {}
        self._string_bytes = 0

    def run(self) -> None:
        data, position, most = self._data, 0, self._limits.max_pickle_opcodes
        for _ in range(most):
            op = data[position]
            position += 1
            if op == ord("X"):  # the texts are most of the pickle
                position = self._string(position)
            elif op in _PUTS:
                position = self._put(position, _PUTS[op])
            elif op in _OPAQUE:
                self._stack.values.append(None)
            elif op == ord("."):
                return
            else:
                position = self._rare(op, position)
        raise refusals.too_large(f"the pickle has more than {most:,} opcodes (two for a text)", "max_pickle_opcodes")

    def _rare(self, op: int, position: int) -> int:
        if op in _NUMBERS or op in _GETS:
            return self._fixed(op, position)
        match chr(op):
            case "c":
                return self._name(position)
            case "G":
                self._stack.values.append(None)
                return position + 8
            case "\x8a":
                return self._long(position)
            case "\x80" if self._data[position] == _PROTOCOL:
                return position + 1
            case _ if op in OPCODES:
                OPCODES[op](self._stack)
            case _:
                raise refusals.forbidden(f"the pickle holds the opcode 0x{op:02x}, which torch.save does not write")
        return position

    def _unpack(self, position: int, form: str) -> tuple[tuple[int, ...], int]:
        return struct.unpack_from(form, self._data, position), position + struct.calcsize(form)

    def _string(self, position: int) -> int:
        (length,), start = self._unpack(position, "<I")
        stop = start + length
        if stop > len(self._data):
            raise IndexError
        if length > self._limits.max_one_text_bytes:
            raise refusals.too_large(
                f"the pickle holds a string of {length:,} bytes, expected at most"
                f" {self._limits.max_one_text_bytes:,} in one text",
                "max_one_text_bytes",
            )
        content = self._data[start:stop]
        self._string_bytes += _bytes_in_memory(content)
        if self._string_bytes > self._limits.max_text_bytes:
            raise refusals.too_large(
                f"the strings of the pickle take over {self._limits.max_text_bytes:,} bytes of memory", "max_text_bytes"
            )
        short = length <= _SHORT_STRING_BYTES
        self._stack.values.append(str(content, "utf-8", "surrogatepass") if short else None)
        return stop

    def _put(self, position: int, form: str) -> int:
        (key,), position = self._unpack(position, form)
        value = self._stack.values[-1]
        if value is None or type(value) is Made:  # what was made is known only where it was made
            self._memo.pop(key, None)
        else:
            self._memo[key] = value
        return position

    def _fixed(self, op: int, position: int) -> int:
        (value,), position = self._unpack(position, _NUMBERS.get(op) or _GETS[op])
        self._stack.values.append(value if op in _NUMBERS else self._memo.get(value))
        return position

    def _long(self, position: int) -> int:
        length = self._data[position]
        if length > _MAX_INTEGER_BYTES:
            raise refusals.invalid(f"the pickle holds an integer of {length} bytes, which torch.save does not write")
        start = position + 1
        self._stack.values.append(int.from_bytes(self._data[start : start + length], "little", signed=True))
        return start + length

    def _name(self, position: int) -> int:
        middle = self._data.index(b"\n", position, position + _NAME_BYTES)
        stop = self._data.index(b"\n", middle + 1, middle + _NAME_BYTES)
        path = f"{self._data[position:middle].decode()}.{self._data[middle + 1 : stop].decode()}"
        self._stack.values.append(check_name(path))
        return stop + 1


def _bytes_in_memory(content: bytes) -> int:
    """What a string takes once it is made: one rare character makes four bytes of each letter beside it."""
    try:
        return sys.getsizeof(content.decode())
    except UnicodeDecodeError:  # unpaired surrogates, which are slow to decode
        return 4 * len(content)
