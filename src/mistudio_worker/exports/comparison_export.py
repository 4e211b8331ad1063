"""A comparison as JSON, one line a feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import orjson

from mistudio_worker.exports.plain import check_exportable

if TYPE_CHECKING:
    from mistudio_worker.domain.comparison import Comparison

SCHEMA_VERSION = "1.0"
_LISTS = ("pairs", "vanished", "appeared")


def write_comparison(comparison: Comparison, stream: BinaryIO) -> None:
    """Write comparison.json as `contracts/comparison.py` describes it: strict JSON in UTF-8.

    Raises:
        NotExportable: a figure is NaN or infinite.
    """
    check_exportable(comparison)
    stream.write(b'{"schema_version":' + orjson.dumps(SCHEMA_VERSION))
    for name in comparison.__dataclass_fields__:
        stream.write(b',\n"%s":' % name.encode())
        value = getattr(comparison, name)
        if name in _LISTS and value:
            stream.write(b"[\n" + b",\n".join(orjson.dumps(record) for record in value) + b"\n]")
        else:
            stream.write(orjson.dumps(value))
    stream.write(b"\n}\n")
