"""The audit log's hashes: a leaf for every record or gap, and the chain that links them in one total order.

1. A leaf commits to every byte of the record as received: cluster id, topic, partition, offset, timestamp, key,
   headers, value; an absent key or value differs from an empty one.
2. Every field is length-prefixed: no two records share a leaf's input.
3. A link commits to the link before, the entry's index and its leaf; so one link commits to the whole history.
4. Offsets of a partition follow one another without a hole: what is missing on the log stands in a gap entry.
5. A record below the expected offset is never entered again: the log has been rewound, and that is an error.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from xorj_core.ids import digest

LEAF_DOMAIN = "xorj.audit.leaf.v1"
GAP_DOMAIN = "xorj.audit.gap.v1"
CHAIN_DOMAIN = "xorj.audit.chain.v1"
GENESIS = bytes(32)
"""The link before the first entry."""

_LEAF_TAG = struct.pack(">H", len(LEAF_DOMAIN)) + LEAF_DOMAIN.encode()
_CHAIN_TAG = struct.pack(">H", len(CHAIN_DOMAIN)) + CHAIN_DOMAIN.encode()
_NUMBERS = struct.Struct(">IIIQIq")
_LINK = struct.Struct(">I32sIQI32s")
_SHA256 = hashlib.sha256


class EntryKind(IntEnum):
    """What an entry stands for."""

    RECORD = 1
    GAP = 2


class LogRewound(Exception):
    """A partition shows a record again, under an offset below the one expected: not the log that was audited."""


@dataclass(frozen=True, slots=True)
class Head:
    """The number of entries and the link of the last one."""

    entries: int = 0
    chain: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry as it is stored. A gap stands for offsets from `offset` up to, not including, `next_offset`."""

    index: int
    kind: EntryKind
    cluster_id: str
    topic: str
    partition: int
    offset: int
    next_offset: int
    timestamp_ms: int
    key: bytes | None
    headers: bytes  # as encode_headers returns them
    value: bytes | None
    leaf: bytes
    chain: bytes


def encode_headers(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Headers in order as bytes: count, then name and value of each, length-prefixed; no headers are no bytes."""
    if not headers:
        return b""
    parts = [struct.pack(">I", len(headers))]
    for name, value in headers:
        encoded = name.encode()
        parts += [struct.pack(">I", len(encoded)), encoded, _optional(value)]
    return b"".join(parts)


def record_leaf(
    cluster_id: str,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    key: bytes | None,
    headers: bytes,
    value: bytes | None,
) -> bytes:
    """The leaf of a record; equal to `digest(LEAF_DOMAIN, …)` over the same parts, in one pass."""
    cluster, name = cluster_id.encode(), topic.encode()
    return _SHA256(
        b"".join(
            (
                _LEAF_TAG,
                len(cluster).to_bytes(4, "big"),
                cluster,
                len(name).to_bytes(4, "big"),
                name,
                _NUMBERS.pack(4, partition, 8, offset, 8, timestamp_ms),
                _optional(key),
                len(headers).to_bytes(4, "big"),
                headers,
                _optional(value),
            )
        )
    ).digest()


def gap_leaf(cluster_id: str, topic: str, partition: int, offset: int, next_offset: int) -> bytes:
    """The leaf of a gap: which offsets the log does not have."""
    numbers = (partition.to_bytes(4, "big"), offset.to_bytes(8, "big"), next_offset.to_bytes(8, "big"))
    return digest(GAP_DOMAIN, cluster_id.encode(), topic.encode(), *numbers)


def link(previous: bytes, index: int, leaf: bytes) -> bytes:
    """The chain's hash at `index`; equal to `digest(CHAIN_DOMAIN, previous, index as u64, leaf)`."""
    return _SHA256(_CHAIN_TAG + _LINK.pack(32, previous, 8, index, 32, leaf)).digest()


def leaf_of(entry: AuditEntry) -> bytes:
    """The leaf that an entry's content gives."""
    if entry.kind is EntryKind.GAP:
        return gap_leaf(entry.cluster_id, entry.topic, entry.partition, entry.offset, entry.next_offset)
    return record_leaf(
        entry.cluster_id,
        entry.topic,
        entry.partition,
        entry.offset,
        entry.timestamp_ms,
        entry.key,
        entry.headers,
        entry.value,
    )


def enter_record(
    head: Head,
    expected: Mapping[tuple[str, int], int],
    cluster_id: str,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    key: bytes | None,
    headers: bytes,
    value: bytes | None,
) -> tuple[AuditEntry, ...]:
    """The entries for a record that follows `head`: itself, after a gap if offsets are missing.

    `expected` gives the next offset by topic and partition (0 where unknown). Raises LogRewound.
    """
    next_offset = expected.get((topic, partition), 0)
    if offset < next_offset:
        raise LogRewound(f"{topic}/{partition}: offset {offset} again, {next_offset} was expected")
    index, chain = head.entries, head.chain
    gap: tuple[AuditEntry, ...] = ()
    if offset > next_offset:
        leaf = gap_leaf(cluster_id, topic, partition, next_offset, offset)
        chain = link(chain, index, leaf)
        gap = (
            AuditEntry(
                index, EntryKind.GAP, cluster_id, topic, partition, next_offset, offset, 0, None, b"", None, leaf, chain
            ),
        )
        index += 1
    leaf = record_leaf(cluster_id, topic, partition, offset, timestamp_ms, key, headers, value)
    record = AuditEntry(
        index,
        EntryKind.RECORD,
        cluster_id,
        topic,
        partition,
        offset,
        offset + 1,
        timestamp_ms,
        key,
        headers,
        value,
        leaf,
        link(chain, index, leaf),
    )
    return (*gap, record)


def _optional(value: bytes | None) -> bytes:
    """One length-prefixed part: a flag for presence, then the bytes."""
    if value is None:
        return b"\x00\x00\x00\x01\x00"
    return (len(value) + 1).to_bytes(4, "big") + b"\x01" + value
