"""The audit log's entries and hashes: a leaf for every record, gap or digest, and a chain in one total order.

1. A leaf commits to every byte of the record as received (cluster id, topic, partition, offset, timestamp, key,
   headers, value; an absent key or value differs from an empty one) and to when it was appended.
2. Every field is length-prefixed: no two records share a leaf's input.
3. A link commits to the link before, the entry's index, when it was appended and its leaf; so one link commits to the
   whole history.
4. Offsets of a partition follow one another without a hole: what is missing on the log stands in a gap entry with the
   reason, what is not worth an entry of its own in a digest over the leaves of its records.
5. A record below the expected offset is never entered again: the log has been rewound, and that is an error.
6. Append times never fall.

A leaf is the hash of a leaf of the tree in `xorj_core.merkle` over `leaf_data`.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple, Protocol

from xorj_core.merkle import LEAF_PREFIX, Frontier, Node

LEAF_DOMAIN = "xorj.audit.leaf.v1"
GAP_DOMAIN = "xorj.audit.gap.v1"
DIGEST_DOMAIN = "xorj.audit.digest.v1"
CHAIN_DOMAIN = "xorj.audit.chain.v1"
GENESIS = bytes(32)
"""The link before the first entry."""

Headers = Sequence[tuple[str, bytes | None]]
PartitionKey = tuple[str, int]
"""Topic and partition."""


def _tag(domain: str) -> bytes:
    return struct.pack(">H", len(domain)) + domain.encode()


_RECORD_TAG = LEAF_PREFIX + _tag(LEAF_DOMAIN)
_CHAIN_TAG = _tag(CHAIN_DOMAIN)
_PLACE = struct.Struct(">IIIQIqIq")
_RANGE = struct.Struct(">IIIQIQIq")
_LINK = struct.Struct(">I32sIQIqI32s")
_SHA256 = hashlib.sha256
_ABSENT = b"\x00\x00\x00\x01\x00"
_NO_HEADERS = b"\x00\x00\x00\x00"


class EntryKind(IntEnum):
    """What an entry stands for."""

    RECORD = 1
    GAP = 2
    DIGEST = 3


class GapReason(StrEnum):
    """Why the log has no record at some offsets; the value of a gap's entry, in ASCII."""

    MISSING_AT_START = "missing at start"  # deleted before the audit log began with this partition
    DELETED = "deleted"  # below the partition's beginning: retention, or somebody deleted records
    COMPACTED = "compacted"  # within a compacted topic: a later record of the same key replaced it
    CONTROL = "control"  # markers of transactions, which are no records
    UNKNOWN = "unknown"


class LogRewound(Exception):
    """A partition shows a record again, under an offset below the one expected: not the log that was audited."""


class Received(Protocol):
    """A record as a consumer hands it out; `timestamp` in milliseconds."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Head:
    """The number of entries, the link of the last one and when it was appended (Unix microseconds)."""

    entries: int = 0
    chain: bytes = GENESIS
    appended_at_us: int = 0


class AuditEntry(NamedTuple):
    """One entry as it is stored, in the order of the columns: a tuple, because it is made for every record.

    It stands for offsets from `offset` up to, not including, `next_offset`. A gap's value is its reason, a digest's
    the hash over the leaves of its records.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of an entry
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
    appended_at_us: int
    leaf: bytes
    chain: bytes


def encode_headers(headers: Headers) -> bytes:
    """Headers in order as bytes: count, then name and value of each, length-prefixed; no headers are no bytes.

    A name that is not UTF-8 is expected with its bytes as lone surrogates, and encoded as those bytes.
    """
    if not headers:
        return b""
    parts = [struct.pack(">I", len(headers))]
    for name, value in headers:
        encoded = name.encode("utf-8", "surrogateescape")
        parts += [struct.pack(">I", len(encoded)), encoded, _optional(value)]
    return b"".join(parts)


def decode_headers(encoded: bytes) -> tuple[tuple[str, bytes], ...]:
    """The headers that `encode_headers` encoded; an absent value comes back empty. Raises ValueError."""
    headers: list[tuple[str, bytes]] = []
    at = 4
    for _ in range(int.from_bytes(encoded[:4], "big")):
        parts = []
        for _ in range(2):
            length = int.from_bytes(encoded[at : at + 4], "big")
            parts.append(encoded[at + 4 : at + 4 + length])
            at += 4 + length
        if at > len(encoded):
            raise ValueError("headers that end within one")
        headers.append((parts[0].decode("utf-8", "surrogateescape"), parts[1][1:]))
    return tuple(headers)


def record_leaf(
    cluster_id: str,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    appended_at_us: int,
    key: bytes | None,
    headers: bytes,
    value: bytes | None,
) -> bytes:
    """The leaf of a record: SHA-256(0x00, domain tag, length-prefixed parts), the parts as in `leaf_data`."""
    return _SHA256(
        _stream(_RECORD_TAG, cluster_id, topic)
        + _PLACE.pack(4, partition, 8, offset, 8, timestamp_ms, 8, appended_at_us)
        + _optional(key)
        + len(headers).to_bytes(4, "big")
        + headers
        + _optional(value)
    ).digest()


def link(previous: bytes, index: int, appended_at_us: int, leaf: bytes) -> bytes:
    """The chain's hash at `index`; equal to `digest(CHAIN_DOMAIN, previous, index, appended_at_us, leaf)`."""
    return _SHA256(_CHAIN_TAG + _LINK.pack(32, previous, 8, index, 8, appended_at_us, 32, leaf)).digest()


def leaf_data(entry: AuditEntry) -> bytes:
    """What an entry's leaf is the RFC 6962 leaf hash of."""
    if entry.kind is EntryKind.RECORD:
        return (
            _stream(_tag(LEAF_DOMAIN), entry.cluster_id, entry.topic)
            + _PLACE.pack(4, entry.partition, 8, entry.offset, 8, entry.timestamp_ms, 8, entry.appended_at_us)
            + _optional(entry.key)
            + len(entry.headers).to_bytes(4, "big")
            + entry.headers
            + _optional(entry.value)
        )
    domain = GAP_DOMAIN if entry.kind is EntryKind.GAP else DIGEST_DOMAIN
    return (
        _stream(_tag(domain), entry.cluster_id, entry.topic)
        + _RANGE.pack(4, entry.partition, 8, entry.offset, 8, entry.next_offset, 8, entry.appended_at_us)
        + _optional(entry.value)
    )


def leaf_of(entry: AuditEntry) -> bytes:
    """The leaf that an entry's content gives."""
    return _SHA256(LEAF_PREFIX + leaf_data(entry)).digest()


@dataclass(frozen=True, slots=True)
class Batch:
    """What is stored together: entries, the subtrees that they complete, and which offsets of which partition.

    `offsets`: first and next offset by cluster id, topic and partition.
    """

    entries: list[AuditEntry]
    nodes: list[tuple[Node, bytes]]
    offsets: dict[tuple[str, str, int], tuple[int, int]]


@dataclass(slots=True)
class LogEnd:
    """Where the audit log ends, for one cluster's records: what the next entry follows."""

    cluster_id: str
    head: Head = field(default_factory=Head)
    tree: Frontier = field(default_factory=Frontier)
    next_offsets: dict[PartitionKey, int] = field(default_factory=dict)
    _entries: list[AuditEntry] = field(default_factory=list)
    _offsets: dict[tuple[str, str, int], tuple[int, int]] = field(default_factory=dict)

    def gap_before(self, topic: str, partition: int, offset: int) -> int:
        """How many offsets are missing before this one. Raises LogRewound for one that was entered already."""
        expected = self.next_offsets.get((topic, partition), 0)
        if offset < expected:
            raise LogRewound(f"{topic}/{partition}: offset {offset} again, {expected} was expected")
        return offset - expected

    def enter(
        self,
        topic: str,
        partition: int,
        records: Iterable[Received],
        appended_at_us: int,
        reason_of: Callable[[int, int], GapReason],
    ) -> None:
        """Records of one partition, each after a gap if offsets are missing. Raises LogRewound.

        `reason_of` is asked with the first missing and the next offset that is there.
        """
        stream = _stream(_RECORD_TAG, self.cluster_id, topic)
        head = self.head
        index, chain, at_us = head.entries, head.chain, max(head.appended_at_us, appended_at_us)
        expected = began = self.next_offsets.get((topic, partition), 0)
        sha256, place, linked, tag = _SHA256, _PLACE.pack, _LINK.pack, _CHAIN_TAG
        record_kind, cluster_id, append = EntryKind.RECORD, self.cluster_id, self._entries.append
        for record in records:
            offset = record.offset
            if offset != expected:
                if offset < expected:
                    raise LogRewound(f"{topic}/{partition}: offset {offset} again, {expected} was expected")
                gap = _ranged(
                    index, EntryKind.GAP, cluster_id, topic, partition, expected, offset,
                    reason_of(expected, offset).value.encode(), at_us, chain,
                )  # fmt: skip
                append(gap)
                index, chain = index + 1, gap.chain
            timestamp, key, value = record.timestamp, record.key, record.value
            headers = encode_headers(record.headers)
            leaf = sha256(
                stream
                + place(4, partition, 8, offset, 8, timestamp, 8, at_us)
                + (_ABSENT if key is None else (len(key) + 1).to_bytes(4, "big") + b"\x01" + key)
                + (len(headers).to_bytes(4, "big") + headers if headers else _NO_HEADERS)
                + (_ABSENT if value is None else (len(value) + 1).to_bytes(4, "big") + b"\x01" + value)
            ).digest()
            chain = sha256(tag + linked(32, chain, 8, index, 8, at_us, 32, leaf)).digest()
            expected = offset + 1
            append(
                AuditEntry(
                    index, record_kind, cluster_id, topic, partition, offset, expected, timestamp,
                    key, headers, value, at_us, leaf, chain,
                )
            )  # fmt: skip
            index += 1
        self._moved(Head(index, chain, at_us), topic, partition, began, expected)

    def enter_digest(self, topic: str, partition: int, next_offset: int, digest: bytes, appended_at_us: int) -> None:
        """One entry for all offsets of the partition up to `next_offset`, whose records' leaves give `digest`."""
        head = self.head
        at_us = max(head.appended_at_us, appended_at_us)
        began = self.next_offsets.get((topic, partition), 0)
        entry = _ranged(
            head.entries, EntryKind.DIGEST, self.cluster_id, topic, partition, began, next_offset,
            digest, at_us, head.chain,
        )  # fmt: skip
        self._entries.append(entry)
        self._moved(Head(entry.index + 1, entry.chain, at_us), topic, partition, began, next_offset)

    def take(self) -> Batch:
        """What was entered since the last `take`; the tree has grown by it."""
        batch = Batch(self._entries, self.tree.extend([entry.leaf for entry in self._entries]), self._offsets)
        self._entries, self._offsets = [], {}
        return batch

    def _moved(self, head: Head, topic: str, partition: int, began: int, next_offset: int) -> None:
        self.head = head
        if next_offset == began:
            return
        self.next_offsets[(topic, partition)] = next_offset
        key = (self.cluster_id, topic, partition)
        first, _ = self._offsets.get(key, (began, began))
        self._offsets[key] = (first, next_offset)


def _ranged(
    index: int,
    kind: EntryKind,
    cluster_id: str,
    topic: str,
    partition: int,
    offset: int,
    next_offset: int,
    value: bytes,
    appended_at_us: int,
    previous: bytes,
) -> AuditEntry:
    """An entry that stands for several offsets, after the link before it."""
    bare = AuditEntry(
        index, kind, cluster_id, topic, partition, offset, next_offset, 0, None, b"", value, appended_at_us, b"", b""
    )
    leaf = leaf_of(bare)
    return bare._replace(leaf=leaf, chain=link(previous, index, appended_at_us, leaf))


def _stream(tag: bytes, cluster_id: str, topic: str) -> bytes:
    cluster, name = cluster_id.encode(), topic.encode()
    return tag + len(cluster).to_bytes(4, "big") + cluster + len(name).to_bytes(4, "big") + name


def _optional(value: bytes | None) -> bytes:
    """One length-prefixed part: a flag for presence, then the bytes."""
    if value is None:
        return _ABSENT
    return (len(value) + 1).to_bytes(4, "big") + b"\x01" + value
