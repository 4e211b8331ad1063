"""A file that is hashed while it is written."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import ReadableBuffer

BUFFER_BYTES = 1 << 20


class HashingFile(io.FileIO):
    """A new file whose SHA-256 is known when it has been written.

    Writers may seek: from the first write that does not continue at the end the running hash is given up,
    and `sha256` reads the file instead.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x+b")
        self._hash = hashlib.sha256()
        self._hashed_bytes = 0
        self._in_order = True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of the data where the file stands."""
        view = memoryview(data).cast("B")
        self._in_order = self._in_order and self.tell() == self._hashed_bytes
        done = 0
        while done < len(view):
            done += super().write(view[done:])
        if self._in_order:
            self._hash.update(view)
            self._hashed_bytes += len(view)
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Cut the file; the running hash no longer tells what it holds."""
        self._in_order = False
        return super().truncate(size)

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.seek(0, io.SEEK_END)

    def sha256(self) -> str:
        """Return the SHA-256 of what the file holds, as 64 hex digits."""
        if self._in_order:
            return self._hash.hexdigest()
        self.seek(0)
        return hashlib.file_digest(self, "sha256").hexdigest()


def open_hashing(path: Path) -> tuple[HashingFile, io.BufferedRandom]:
    """Create a file for writing in large blocks; flush the second before asking the first."""
    raw = HashingFile(path)
    return raw, io.BufferedRandom(raw, BUFFER_BYTES)
