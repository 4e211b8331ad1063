"""All files of a job in one ZIP, the same bytes each time."""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mistudio_worker.exports.index_export import ExportFile

COMPRESSION_LEVEL = 1
COPY_BYTES = 1 << 20
STORED_FORMATS = frozenset({"parquet"})  # compressed already
ZIP64_FROM_BYTES = 1 << 31
_PLAIN_FILE_READABLE_BY_ALL = 0o100644 << 16


def write_bundle(files: Iterable[ExportFile], stream: BinaryIO) -> None:
    """Write `_bundle.zip` in the order of `files`, as they come; times (1980-01-01) and permissions are fixed."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as bundle:
        for file in files:
            entry = zipfile.ZipInfo(file.name) if file.format in STORED_FORMATS else file.name
            zip64 = file.size >= ZIP64_FROM_BYTES
            with file.path.open("rb") as source, bundle.open(entry, "w", force_zip64=zip64) as target:
                shutil.copyfileobj(source, target, COPY_BYTES)
            bundle.getinfo(file.name).external_attr = _PLAIN_FILE_READABLE_BY_ALL
