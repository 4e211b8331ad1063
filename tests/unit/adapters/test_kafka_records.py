"""Records that aiokafka itself could not read."""

from __future__ import annotations

import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from mistudio_worker.adapters.kafka_records import TolerantRecords

NAMES = [b"ok", b"\xff\xfe", "naïve".encode(), b""]
PLAIN, GZIP = 0, 1


class Bytes(str):
    """A name that is written as the bytes which it shows."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Latin-1 has all bytes."""
        del encoding, errors
        return super().encode("latin-1")


@pytest.mark.parametrize("compression", [PLAIN, GZIP])
def test_names_of_headers(compression: int) -> None:
    """What is no UTF-8 is replaced; key, value and what follows are as they were written."""
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, 0, 1 << 20)
    headers = [(Bytes(name.decode("latin-1")), b"\xff") for name in NAMES]
    builder.append(0, 1000, b"\xfek", b"\xffv", headers)
    builder.append(1, 1001, None, None, [("later", None)])
    records = TolerantRecords(bytes(builder.build()))
    batch = records.next_batch()
    assert batch.validate_crc()
    first, second = batch
    assert (first.offset, first.timestamp, first.key, first.value) == (0, 1000, b"\xfek", b"\xffv")
    assert first.headers == [("ok", b"\xff"), ("\ufffd\ufffd", b"\xff"), ("naïve", b"\xff"), ("", b"\xff")]
    assert (second.offset, second.key, second.value, second.headers) == (1, None, None, [("later", None)])
    assert all(type(part) is bytes for part in (first.key, first.value, first.headers[0][1]))
    assert not records.has_next()
    assert records.next_batch() is None
