"""Reads entries out of the database fast: a binary COPY whose bytes are already what leaves are hashes of.

The columns are asked for in the order of a record's frame (`xorj_core.audit_chain.leaf_data`), and COPY puts a length
before each as the frame does; so a row is cut out, not taken apart and put together again.

1. What is not a row of an entry is a BadEntry at the index where it stands, never an exception of another kind.
2. Memory is flat: what has been handed on is forgotten.
"""

from collections.abc import Awaitable, Callable
from struct import Struct
from struct import error as struct_error
from typing import Any

from xorj_core.audit_chain import LEAF_DOMAIN, AuditEntry, EntryKind
from xorj_core.merkle import LEAF_PREFIX

from xorj_auditor.checking import BadEntry, Row, row_of

Connection = Any
"""An asyncpg connection or a pooled one."""

QUERY = """
SELECT
    66 + octet_length(cluster_id) + octet_length(topic) + coalesce(octet_length(key), 0) + octet_length(headers)
        + coalesce(octet_length(value), 0),
    16 + octet_length(cluster_id) + octet_length(topic),
    cluster_id, topic, partition_no, first_offset, timestamp_ms, appended_at_us,
    CASE WHEN key IS NULL THEN '\\x00'::bytea ELSE '\\x01'::bytea || key END,
    headers,
    CASE WHEN value IS NULL THEN '\\x00'::bytea ELSE '\\x01'::bytea || value END,
    kind, entry_index, next_offset, leaf, chain
FROM audit_entries WHERE entry_index >= $1 AND entry_index < $2 ORDER BY entry_index"""

_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
_FILE_HEAD = len(_SIGNATURE) + 8
_FILE_END = b"\xff\xff"
_ROW_HEAD = Struct(">hiiii")
_PLACE = Struct(">i q i q i q")  # what follows the place, each after its length: first offset, timestamp, append time
_TAIL = Struct(">i h i q i q i 32s i 32s")
_TAIL_LENGTHS = (2, 8, 8, 32, 32)
_RECORD_TAG = LEAF_PREFIX + len(LEAF_DOMAIN).to_bytes(2, "big") + LEAF_DOMAIN.encode()
_RECORD = int(EntryKind.RECORD)
_KINDS = {int(kind): kind for kind in EntryKind}

TakeRows = Callable[[list[Row]], Awaitable[None]]


async def scan(connection: Connection, start: int, end: int, take: TakeRows) -> None:
    """Hands the entries from `start` to, not including, `end` to `take`, in order, a few thousand at a time.

    Raises BadEntry for a row that is none, BadEntry and StopScan as `take` does, and asyncpg's errors and OSError when
    the database cannot be read.
    """
    stream = _Stream(start)
    stopped: list[Exception] = []

    async def hear(data: bytes) -> None:
        if stopped:
            return  # the rest is read and dropped: a COPY that is broken off here may wait for ever
        try:
            rows, fault = stream.feed(data)
            if rows:
                await take(rows)
            if fault is not None:
                stopped.append(fault)
        except Exception as error:  # noqa: BLE001 - raised again below, when the COPY has ended
            stopped.append(error)

    await connection.copy_from_query(QUERY, start, end, output=hear, format="binary")
    if stopped:
        raise stopped[0]
    stream.finish()


class StopScan(Exception):
    """Raised by `take`: nothing more is wanted."""


class _Stream:
    """The rows in what has arrived of a COPY."""

    def __init__(self, start: int) -> None:
        self._rest = b""
        self._began = False
        self._next = start

    def feed(self, data: bytes) -> tuple[list[Row], BadEntry | None]:
        """The rows that are complete now, and what ends the stream if the next one is no entry."""
        data = self._rest + data
        at = 0
        if not self._began:
            if len(data) < _FILE_HEAD:
                self._rest = data
                return [], None
            at, self._began = _FILE_HEAD, True
        rows: list[Row] = []
        size = len(data)
        head, place_of, tail = _ROW_HEAD.unpack_from, _PLACE.unpack_from, _TAIL.unpack_from
        append, tag, record = rows.append, _RECORD_TAG, _RECORD
        fault: BadEntry | None = None
        while size - at >= _ROW_HEAD.size:
            _, width, frame, place_width, place = head(data, at)
            if width != 4 or place_width != 4:
                fault = BadEntry(self._next, "a row with columns that are absent")
                break
            begin = at + _ROW_HEAD.size
            end = begin + frame
            if size < end + _TAIL.size:
                break
            _, offset, _, _, _, at_us = place_of(data, begin + place)
            w1, kind, w2, index, w3, next_offset, w4, leaf, w5, chain = tail(data, end)
            if (w1, w2, w3, w4, w5) != _TAIL_LENGTHS:
                fault = BadEntry(self._next, "a row whose leaf or link is no hash, or with columns that are absent")
                break
            at = end + _TAIL.size
            if kind == record and next_offset == offset + 1:
                place_bytes = data[begin : begin + place]
                append((index, place_bytes, offset, next_offset, at_us, tag + data[begin:end], leaf, chain))
            else:
                try:
                    append(row_of(_entry(data[begin:end], kind, index, next_offset, leaf, chain)))
                except BadEntry as bad:
                    fault = BadEntry(self._next, bad.reason)
                    break
            self._next = index + 1
        self._rest = data[at:]
        return rows, fault

    def finish(self) -> None:
        """Raises BadEntry when the stream has ended within a row."""
        if self._rest not in (_FILE_END, b""):
            raise BadEntry(self._next, "a row whose leaf or link is no hash, or with columns that are absent")


def _entry(frame: bytes, kind: int, index: int, next_offset: int, leaf: bytes, chain: bytes) -> AuditEntry:
    """The entry of a row that is no plain record; raises BadEntry."""
    found = _KINDS.get(kind)
    if found is None:
        raise BadEntry(index, f"of no known kind: {kind}")
    parts = []
    try:
        at = 0
        for _ in range(9):
            length = int.from_bytes(frame[at : at + 4], "big")
            parts.append(frame[at + 4 : at + 4 + length])
            at += 4 + length
        cluster, topic, partition, offset, timestamp, appended, key, headers, value = parts
        return AuditEntry(
            index,
            found,
            cluster.decode(),
            topic.decode(),
            int.from_bytes(partition, "big", signed=True),
            int.from_bytes(offset, "big", signed=True),
            next_offset,
            int.from_bytes(timestamp, "big", signed=True),
            key[1:] if key[:1] == b"\x01" else None,
            headers,
            value[1:] if value[:1] == b"\x01" else None,
            int.from_bytes(appended, "big", signed=True),
            leaf,
            chain,
        )
    except (ValueError, struct_error) as error:
        raise BadEntry(index, f"a row that is no entry: {error}") from error
