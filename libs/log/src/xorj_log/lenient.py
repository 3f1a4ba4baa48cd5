"""Owns that no record can stop a reader: the one place that changes how the Kafka client takes batches apart.

The client decodes the names of headers as UTF-8 and raises on one that is not, again at every later read: one such
record, which any writer of a topic can make, would end every reader of that topic. And it skips transaction markers
without a word. Its class that takes batches apart is replaced by one that does neither; the client's version is pinned
exactly for that reason.

1. A name that is not UTF-8 comes with its bytes as lone surrogates (`surrogateescape`), so that nothing is lost.
2. Every other batch is read by the client's own, compiled code.
3. Markers that were skipped are remembered, the last `MARKERS_MAX` of them.
"""

import struct
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

MARKERS_MAX = 10_000

_BATCH = struct.Struct(">qi")
_markers: OrderedDict[tuple[TopicPartition, int], int] = OrderedDict()


def read_leniently() -> None:
    """From now on, every consumer of this process reads as this module says."""
    fetcher.MemoryRecords = _KeptRecords
    fetcher.PartitionRecords = _LenientRecords


def markers_of(partition: TopicPartition, offset: int, next_offset: int) -> bool:
    """Whether markers that were skipped fill these offsets."""
    while offset < next_offset:
        following = _markers.get((partition, offset))
        if following is None:
            return False
        offset = following
    return True


@dataclass(slots=True)
class _Record:
    """A record in the shape that the client's own have."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


class _KeptRecords(MemoryRecords):  # type: ignore[misc]
    """The client's batches, with the bytes they came in."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _LenientRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Records of one answer of the broker for one partition."""

    def _unpack_records(self) -> Iterator[Any]:
        pieces = _pieces(self._records.data)
        while self._records.has_next():
            batch = self._records.next_batch()
            piece = next(pieces)
            if self._check_crcs and not batch.validate_crc():
                raise fetcher.Errors.CorruptRecordException(f"Invalid CRC - {self._tp}")
            if batch.is_control_batch:
                _remember(self._tp, batch.base_offset, batch.next_offset)
                self.next_fetch_offset = batch.next_offset
                continue
            for record in _records(batch, piece):
                if record.offset >= self.next_fetch_offset:
                    taken = self._consumer_record(self._tp, record)
                    self.next_fetch_offset = record.offset + 1
                    yield taken
            self.next_fetch_offset = batch.next_offset


def _remember(partition: TopicPartition, offset: int, next_offset: int) -> None:
    _markers[(partition, offset)] = next_offset
    while len(_markers) > MARKERS_MAX:
        _markers.popitem(last=False)


def _pieces(data: bytes) -> Iterator[bytes]:
    """The bytes of each batch."""
    at = 0
    while at + _BATCH.size <= len(data):
        _, length = _BATCH.unpack_from(data, at)
        yield data[at : at + _BATCH.size + length]
        at += _BATCH.size + length


def _records(batch: Any, piece: bytes) -> Iterator[Any]:
    """The batch's records as the client reads them; from one that it cannot read on, as this module does."""
    done = 0
    try:
        for record in batch:
            done += 1
            yield record
    except UnicodeDecodeError:
        yield from _own_records(piece, done)


def _own_records(piece: bytes, skip: int) -> Iterator[_Record]:
    """The records of a batch of format version 2, after the first `skip`."""
    batch = _DefaultRecordBatchPy(piece)
    batch._maybe_uncompress()
    reader = _Bytes(bytes(batch._buffer), batch._pos)
    for number in range(batch._num_records):
        record = _own_record(reader, batch)
        if number >= skip:
            yield record


def _own_record(reader: "_Bytes", batch: Any) -> _Record:
    """One record; the format is Kafka's: lengths and deltas as zig-zag varints."""
    reader.varint()  # its length
    reader.take(1)  # attributes, unused
    timestamp = batch.first_timestamp + reader.varint()
    offset = batch.base_offset + reader.varint()
    key, value = reader.optional(), reader.optional()
    headers = []
    for _ in range(reader.varint()):
        name = (reader.optional() or b"").decode("utf-8", "surrogateescape")
        headers.append((name, reader.optional()))
    if batch.timestamp_type == batch.LOG_APPEND_TIME:
        timestamp = batch.max_timestamp
    return _Record(offset, timestamp, batch.timestamp_type, key, value, headers)


@dataclass(slots=True)
class _Bytes:
    """Reads forward; raises IndexError past the end."""

    data: bytes
    at: int

    def take(self, count: int) -> bytes:
        """The next bytes, exactly this many."""
        found = self.data[self.at : self.at + count]
        if len(found) != count:
            raise IndexError(f"{count} bytes at {self.at} of {len(self.data)}")
        self.at += count
        return found

    def varint(self) -> int:
        """A zig-zag encoded number."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7

    def optional(self) -> bytes | None:
        """A length and that many bytes; None for a negative length."""
        length = self.varint()
        return None if length < 0 else self.take(length)
