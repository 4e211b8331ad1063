"""All files of a job, each whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO

from mistudio_worker.exports.bundle_export import write_bundle
from mistudio_worker.exports.formats import KINDS, WRITERS
from mistudio_worker.exports.hashing_stream import open_hashing
from mistudio_worker.exports.index_export import ExportFile, write_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mistudio_worker.domain.find_result import FindResult

OnProgress = Callable[[int, int], None]
"""Called after each file with the number of files done and of all files."""


def write_exports(result: FindResult, directory: Path, *, on_progress: OnProgress) -> tuple[ExportFile, ...]:
    """Write every format of a result into a directory.

    The data formats come first, then the index that lists them; each goes into the ZIP of all as soon as it is
    whole, on a thread of its own, since compression leaves the interpreter to the next writer. A file bears its
    name only when it is whole. The bytes follow from the result alone.

    Args:
        result: what to write.
        directory: made where it is absent; files of the same names are replaced.
        on_progress: told after each file.

    Returns:
        The files, in the order of `KINDS`.

    Raises:
        NotExportable: a figure is NaN or infinite.
        OSError: the disk is full, or the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    find_job_id = result.identity.find_job_id
    files: list[ExportFile] = []

    def add(name: str, write: Callable[[BinaryIO], None]) -> ExportFile:
        files.append(_write_file(directory, find_job_id, name, write))
        on_progress(len(files), len(KINDS))
        return files[-1]

    whole: SimpleQueue[ExportFile | BaseException | None] = SimpleQueue()
    with ThreadPoolExecutor(max_workers=1) as beside:
        bundle = beside.submit(_write_file, directory, find_job_id, "bundle", partial(write_bundle, _until_end(whole)))
        try:
            for name, writer in WRITERS.items():
                whole.put(add(name, partial(writer, result)))
            whole.put(add("index", partial(write_index, result, tuple(files))))
        except BaseException as error:
            whole.put(error)
            raise
        whole.put(None)
        files.append(bundle.result())
    on_progress(len(files), len(KINDS))
    return tuple(files)


def _until_end(whole: SimpleQueue[ExportFile | BaseException | None]) -> Iterator[ExportFile]:
    """Yield the files as they come; where one fails, so does the bundle, which must not look whole."""
    while (file := whole.get()) is not None:
        if isinstance(file, BaseException):
            raise file
        yield file


def _write_file(directory: Path, find_job_id: str, name: str, write: Callable[[BinaryIO], None]) -> ExportFile:
    kind = KINDS[name]
    path = directory / kind.file_name(find_job_id)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.unlink(missing_ok=True)
    try:
        raw, stream = open_hashing(unfinished)
        with stream:
            write(stream)
            stream.flush()
            size, sha256 = raw.size, raw.sha256()
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    return ExportFile(name, path.name, path, kind.media_type, size, sha256)
