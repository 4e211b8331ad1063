"""A torch checkpoint read as data: nothing in it can run, and tensors stay mapped in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mistudio_worker.artifacts import refusals
from mistudio_worker.artifacts.pickle_calls import NUMPY_DTYPE, NUMPY_SCALARS
from mistudio_worker.artifacts.pickle_scan import check_pickle
from mistudio_worker.artifacts.zip_directory import read_directory, verify_checksums
from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mistudio_worker.artifacts.limits import Limits
    from mistudio_worker.artifacts.zip_directory import ZipEntry

_PICKLE = "data.pkl"
_BYTE_ORDER = "byteorder"
_MARKERS = {_BYTE_ORDER, "version", ".format_version", ".storage_alignment", ".data/serialization_id"}
_MARKER_BYTES = 64  # torch reads them whole


def load_checkpoint(path: Path, limits: Limits) -> dict[str, Any]:
    """Return the dict that a checkpoint holds; its tensors are views of the mapped file.

    The zip directory, every CRC-32 and the pickle's opcodes are checked before torch opens the file. The scalars
    of the trainer's `training_stats` come back as None: no numpy object is rebuilt from the file.

    Args:
        path: the checkpoint.
        limits: budgets.

    Raises:
        RefusedInput: the file is damaged, in another format, over a limit, or would run code; its message
            starts with the file's name.
    """
    try:
        _check_container(path, limits)
        content = _unpickle(path)
        if not isinstance(content, dict):
            raise refusals.invalid(f"holds a {type(content).__name__}, expected a dict")
    except RefusedInput as error:
        raise RefusedInput(error.code, f"{path.name}: {error.message}", error.hint) from None
    return {key: content[key] for key in content}  # an OrderedDict may carry attributes in the place of its methods


def _check_container(path: Path, limits: Limits) -> None:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size > limits.max_checkpoint_bytes:
            raise refusals.too_large(
                f"has {size:,} bytes, expected at most {limits.max_checkpoint_bytes:,}", "max_checkpoint_bytes"
            )
        entries = read_directory(file, size, limits)
        _check_parts(entries, limits)
        verify_checksums(file, list(entries.values()))
        if _BYTE_ORDER in entries and _read(file, entries[_BYTE_ORDER]) != b"little":
            raise refusals.invalid("is not in little-endian byte order")
        check_pickle(_read(file, entries[_PICKLE]), entries, limits)


def _check_parts(entries: dict[str, ZipEntry], limits: Limits) -> None:
    if _PICKLE not in entries or "constants.pkl" in entries:
        raise refusals.invalid(f"is a zip file of {len(entries):,} entries, but no checkpoint of torch.save")
    if entries[_PICKLE].size > limits.max_pickle_bytes:
        raise refusals.too_large(
            f"its pickle has {entries[_PICKLE].size:,} bytes, expected at most {limits.max_pickle_bytes:,}",
            "max_pickle_bytes",
        )
    if any(entries[name].size > _MARKER_BYTES for name in _MARKERS & entries.keys()):
        raise refusals.invalid(f"a marker entry of the archive has more than {_MARKER_BYTES} bytes")


def _read(file: Any, entry: ZipEntry) -> bytes:
    file.seek(entry.start)
    content: bytes = file.read(entry.size)
    return content


def _unpickle(path: Path) -> object:
    try:
        with torch.serialization.safe_globals(_stand_ins()):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (MemoryError, OSError):
        raise
    except Exception as error:
        if "allocate memory" in str(error):
            raise MemoryError(f"mapping {path.name} needs {path.stat().st_size:,} bytes of address space") from None
        raise refusals.corrupt(f"torch cannot rebuild its content ({type(error).__name__})") from None


class _SkippedDtype:
    """Stands where the file names a numpy dtype; nothing of it is kept."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _skip_scalar(*_: object) -> None:
    """Stand where the file rebuilds a numpy scalar."""


def _stand_ins() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    return [(_SkippedDtype, NUMPY_DTYPE), *((_skip_scalar, name) for name in NUMPY_SCALARS)]
