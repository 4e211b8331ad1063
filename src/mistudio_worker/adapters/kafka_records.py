"""From aiokafka's records to ours; also those of which it could make nothing: it would stay at them for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from mistudio_worker.worker.ports import Record

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

V2 = 2
"""The format of records with headers."""


def record_of(found: ConsumerRecord) -> Record:
    """Return a record as the worker knows it; a header without content is an empty one."""
    headers = [(name, content or b"") for name, content in found.headers]
    return Record(found.topic, found.partition, found.offset, found.timestamp, found.key, found.value, headers)


def read_any_header_name() -> None:
    """Let all consumers of this process take a header's name that is no UTF-8, with U+FFFD in it.

    Brokers do not look at names, and clients in other languages write any bytes. aiokafka refuses the whole record, at
    every poll, and has no setting for it.
    """
    fetcher.MemoryRecords = TolerantRecords


class TolerantRecords(_MemoryRecordsPy):
    """The records of one answer of a broker."""

    def next_batch(self) -> Any:
        """Return the next batch; None behind the last one."""
        batch = self._next_slice
        if batch is None or len(batch) < self.MIN_SLICE or batch[self.MAGIC_OFFSET] < V2:
            return super().next_batch()
        self._cache_next()
        return _TolerantBatch(batch)


class _TolerantBatch(_DefaultRecordBatchPy):
    _buffer: bytearray

    def _read_msg(self) -> Any:
        if not isinstance(self._buffer, _Buffer):  # it is exchanged when it is decompressed
            self._buffer = _Buffer(self._buffer)
        return super()._read_msg()


class _Buffer(bytearray):
    """Bytes whose parts give way when they are decoded; only names of headers are."""

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        return _Buffer(part) if isinstance(index, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)
