"""Batches that the Kafka client cannot read on; test names follow the invariants of xorj_log.lenient."""

import struct
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c_py
from hypothesis import given
from hypothesis import strategies as st
from xorj_log.lenient import markers_of, read_leniently

PLACE = TopicPartition("prices", 0)
PLACEHOLDER = "nnnn"
STRICT = (fetcher.MemoryRecords, fetcher.PartitionRecords)
Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]

read_leniently()
optional = st.none() | st.binary(max_size=9)
records = st.lists(
    st.tuples(optional, optional, st.lists(st.tuples(st.text(max_size=4), optional), max_size=3)),
    min_size=1,
    max_size=6,
)


def batch_of(entries: list[Record], *, base: int = 0, compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=100_000,
    )
    for number, (key, value, headers) in enumerate(entries):
        assert builder.append(number, timestamp=1_000 + number, key=key, value=value, headers=headers) is not None
    return resealed(bytearray(builder.build()), base)


def resealed(batch: bytearray, base: int = 0) -> bytes:
    """The batch at this offset, with the checksum that it has now."""
    struct.pack_into(">q", batch, 0, base)
    struct.pack_into(">I", batch, 17, calc_crc32c_py(bytes(batch[21:])))
    return bytes(batch)


def spoiled(batch: bytes, name: bytes) -> bytes:
    return resealed(bytearray(batch.replace(PLACEHOLDER.encode(), name)))


def read(data: bytes, offset: int = 0, classes: Any = None) -> tuple[list[Any], int]:
    check_crcs = True
    memory, partition = classes or (fetcher.MemoryRecords, fetcher.PartitionRecords)
    reading = partition(PLACE, memory(data), None, offset, None, None, check_crcs, 0)
    found = [(r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in reading]
    return found, reading.next_fetch_offset


def test_1_a_name_that_is_no_text_keeps_its_bytes_and_its_neighbours() -> None:
    entries: list[Record] = [
        (b"a", b"1", [("fine", b"x")]),
        (None, None, [(PLACEHOLDER, None), ("fine", b"")]),
        (b"c", b"3", []),
    ]
    data = spoiled(batch_of(entries), b"\xff\xfe\x00n")
    with pytest.raises(UnicodeDecodeError):
        read(data, classes=STRICT)
    found, following = read(data)
    assert [(key, value) for _, _, key, value, _ in found] == [(b"a", b"1"), (None, None), (b"c", b"3")]
    names = [name.encode("utf-8", "surrogateescape") for name, _ in found[1][4]]
    assert names == [b"\xff\xfe\x00n", b"fine"]
    assert [offset for offset, *_ in found] == [0, 1, 2]
    assert following == 3


def test_1_reading_begins_in_the_middle_of_such_a_batch() -> None:
    entries: list[Record] = [(b"%d" % number, b"v", [(PLACEHOLDER, b"h")]) for number in range(4)]
    found, following = read(spoiled(batch_of(entries), b"\xff\xff\xff\xff"), offset=2)
    assert [key for _, _, key, _, _ in found] == [b"2", b"3"]
    assert following == 4


@given(records, st.sampled_from((0, 1)))
def test_2_what_the_client_reads_is_read_alike(entries: list[Record], compression: int) -> None:
    data = batch_of(entries, compression=compression) + batch_of(entries, base=len(entries))
    assert read(data) == read(data, classes=STRICT)


@given(records)
def test_1_the_own_reading_gives_what_the_clients_gives(entries: list[Record]) -> None:
    """A last record with a spoiled name sends the whole batch through the module's own reading."""
    data = batch_of([*entries, (None, b"last", [(PLACEHOLDER, None)])])
    plain, _ = read(data, classes=STRICT)
    found, _ = read(spoiled(data, b"\xff\xff\xff\xff")) if data.count(PLACEHOLDER.encode()) == 1 else (plain, 0)
    assert found[:-1] == plain[:-1]


def test_3_markers_are_remembered_by_their_offsets() -> None:
    marker = bytearray(batch_of([(b"\x00\x00\x00\x01", b"\x00\x00\x00\x00\x00\x00", [])]))
    struct.pack_into(">h", marker, 21, 0x30)  # transactional, control
    data = batch_of([(b"a", b"1", [])], base=70) + resealed(marker, 71) + resealed(marker, 72)
    found, following = read(data, offset=70)
    assert [offset for offset, *_ in found] == [70]
    assert following == 73
    assert markers_of(PLACE, 71, 73)
    assert not markers_of(PLACE, 70, 73)
    assert not markers_of(PLACE, 71, 74)
