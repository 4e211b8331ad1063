"""What the pickle of a checkpoint may call, and with what: everything else is refused before it is built.

A call is cheap to write and can be dear to make: an OrderedDict copied from a large list, a string encoded again and
again, a dict whose integer keys all collide. So the arguments count as much as the function.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from mistudio_worker.artifacts import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
_CALLABLE = {
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
    "_codecs.encode",
    NUMPY_DTYPE,
    *NUMPY_SCALARS,
}
_DTYPES = {"torch.float64", "torch.float32", "torch.float16", "torch.bfloat16"}
_NAMES = _CALLABLE | _DTYPES | _ELEMENT_BYTES.keys()
_INT64_END = 1 << 63
_KEY_END = 1 << 31  # larger integers can be chosen so that all of them collide in a dict


@dataclass(frozen=True, slots=True)
class Name:
    """A global that the pickle names."""

    path: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage of the archive, known to hold as many elements as the pickle claims."""

    elements: int


class Made(Enum):
    """An object that the pickle has just made, still on the stack."""

    DICT = auto()
    ORDERED_DICT = auto()
    DTYPE = auto()
    TENSOR = auto()
    OTHER = auto()


def check_name(path: str) -> Name:
    """Return the global of that path.

    Raises:
        RefusedInput: `ARTIFACT_FORBIDDEN_PICKLE`, no checkpoint of the trainer names it.
    """
    if path not in _NAMES:
        shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in path[:80])
        raise refusals.forbidden(f"the pickle names {shown}, which a checkpoint of the trainer does not hold")
    return Name(path)


def check_call(function: object, arguments: object) -> Made:
    """Return what a call makes.

    Raises:
        RefusedInput: `ARTIFACT_FORBIDDEN_PICKLE` for a call that torch.save does not write; `ARTIFACT_INVALID` or
            `ARTIFACT_TRUNCATED` for a tensor that does not lie within its storage.
    """
    match function, arguments:
        case Name("collections.OrderedDict"), ():
            made = Made.ORDERED_DICT
        case (
            Name("torch._utils._rebuild_tensor_v2"),
            (Storage() as storage, offset, tuple() as size, tuple() as stride, _, Made.ORDERED_DICT),
        ):
            _check_extent(storage, offset, size, stride)
            made = Made.TENSOR
        case Name("numpy.dtype"), (str(), _, _):
            made = Made.DTYPE
        case (
            (Name("torch._utils._rebuild_parameter"), (_, _, Made.ORDERED_DICT))
            | (Name("numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar"), (_, _))
            | (Name("_codecs.encode"), (str(), "latin1"))
            | (Name("torch.Size"), (tuple(),))
            | (Name("torch.device"), (str(),) | (str(), int()))
        ):
            made = Made.OTHER
        case _:
            shown = function.path if isinstance(function, Name) else "what is no function"
            raise refusals.forbidden(f"the pickle calls {shown} in a way that torch.save does not write")
    return made


def check_state(target: object, state: object) -> None:
    """Let a state be set on an ordered dict or a dtype, as torch.save writes it.

    Raises:
        RefusedInput: `ARTIFACT_FORBIDDEN_PICKLE`, on anything else.
    """
    match target, state:
        case (Made.ORDERED_DICT, Made.DICT) | (Made.DTYPE, tuple()):
            return
    raise refusals.forbidden("the pickle sets the state of an object in a way that torch.save does not write")


def check_keys(keys: Iterable[object]) -> None:
    """Let short strings and small integers be keys of a dict.

    Raises:
        RefusedInput: `ARTIFACT_INVALID`, another key.
    """
    for key in keys:
        if type(key) is not str and not (type(key) is int and -_KEY_END <= key < _KEY_END):
            raise refusals.invalid("a dict has a key that is neither a short string nor a small integer")


def check_storage(pid: object, entries: Mapping[str, ZipEntry]) -> Storage:
    """Return the storage that a persistent id names.

    Raises:
        RefusedInput: `ARTIFACT_FORBIDDEN_PICKLE`, it names no storage of a known type; `ARTIFACT_TRUNCATED`, the
            archive's entry is absent or of another size.
    """
    match pid:
        case ("storage", Name(path), str(key), str(), int(count)) if path in _ELEMENT_BYTES:
            claimed = count * _ELEMENT_BYTES[path]
        case _:
            raise refusals.forbidden("the pickle refers to something outside of it that is no storage of known type")
    entry = entries.get(f"data/{key}")
    if entry is None or entry.size != claimed:
        found = "is not in the archive" if entry is None else f"has {entry.size:,} bytes"
        raise refusals.truncated(f"a storage {found}, the pickle claims {_figure(claimed)} bytes of it")
    return Storage(count)


def _check_extent(storage: Storage, offset: object, size: tuple[object, ...], stride: tuple[object, ...]) -> None:
    """Refuse a tensor whose last element lies beyond its storage; torch would make the storage larger."""
    sizes, steps = [n for n in size if type(n) is int], [n for n in stride if type(n) is int]
    if type(offset) is not int or len(sizes) != len(size) or len(steps) != len(stride) or len(sizes) != len(steps):
        raise refusals.forbidden("the pickle makes a tensor of a shape that torch.save does not write")
    if any(not 0 <= n < _INT64_END for n in (offset, *sizes, *steps)):
        raise refusals.invalid("a tensor has a size, stride or offset that is negative or over 2^63")
    if 0 in sizes:
        return
    needed = offset + 1 + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    if needed > storage.elements:
        raise refusals.truncated(
            f"a tensor reaches to element {_figure(needed)} of its storage, which has {storage.elements:,}"
        )


def _figure(count: int) -> str:
    return f"{count:,}" if abs(count) < _INT64_END else "over 2^63"
