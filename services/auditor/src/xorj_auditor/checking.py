"""Checks entries one after another: what each must be, given those before it. Pure; where they come from is no matter.

1. Every leaf is recomputed from the stored content, every link from the link before it, the tree from the leaves.
2. Entries are numbered without a hole, and their append times never fall.
3. The offsets of every partition follow one another without a hole: a gap is an entry that says why.
4. The first entry that breaks a rule is named; nothing after it is judged.
5. Entries beyond the last signed checkpoint are only chained; a cut tail cannot be seen in what is left.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct
from typing import TypeAlias

from xorj_core.audit_chain import CHAIN_DOMAIN, AuditEntry, EntryKind, GapReason, Head, leaf_data
from xorj_core.merkle import LEAF_PREFIX, Frontier, Node

Row: TypeAlias = tuple[int, bytes, int, int, int, bytes, bytes, bytes]
"""An entry as it is checked: index, place (cluster, topic and partition, framed), first offset, next offset, append
time, what its leaf is the SHA-256 of, leaf, link. A bare tuple, because one is made for every entry."""

_CHAIN_TAG = len(CHAIN_DOMAIN).to_bytes(2, "big") + CHAIN_DOMAIN.encode()
_LINK = Struct(">I32sIQIqI32s")
_REASONS = frozenset(reason.value.encode() for reason in GapReason)
_HASH_BYTES = 32


class BadEntry(Exception):
    """An entry does not follow from its content and the entries before it."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"entry {index}: {reason}")
        self.index = index
        self.reason = reason


@dataclass(slots=True)
class Checker:
    """Checks entries in order, beginning after `head` and `tree`; offsets from 0 on, or as they come.

    `began`: of each place its first offset and the entry that has it; `next_offsets`: what follows, by place.
    """

    head: Head = field(default_factory=Head)
    from_the_beginning: bool = True
    tree: Frontier | None = None  # None: not grown
    nodes: list[tuple[Node, bytes]] = field(default_factory=list)  # subtrees completed by the last check
    began: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    next_offsets: dict[bytes, int] = field(default_factory=dict)

    def check(self, entries: Iterable[AuditEntry]) -> None:
        """Takes the next entries; raises BadEntry at the first that is wrong."""
        self.check_rows(map(row_of, entries))

    def check_rows(self, rows: Iterable[Row]) -> None:
        """The same for entries in the form in which they are checked."""
        index, chain, at_us = self.head.entries, self.head.chain, self.head.appended_at_us
        expected, leaves, link, tag = self.next_offsets, [], _LINK.pack, _CHAIN_TAG
        try:
            for number, place, offset, next_offset, row_at_us, leaf_input, leaf, row_chain in rows:
                if number != index:
                    raise BadEntry(index, _misnumbered(index, number))
                if sha256(leaf_input).digest() != leaf:
                    raise BadEntry(index, "its content does not give its leaf")
                if sha256(tag + link(32, chain, 8, index, 8, row_at_us, 32, leaf)).digest() != row_chain:
                    raise BadEntry(index, "its leaf, its append time and the link before it do not give its link")
                if row_at_us < at_us:
                    raise BadEntry(index, f"appended at {row_at_us} us, the entry before it at {at_us} us")
                known = expected.get(place)
                if offset != known:
                    self._begin(place, offset, known, index)
                expected[place] = next_offset
                chain, at_us = row_chain, row_at_us
                leaves.append(leaf)
                index += 1
        finally:
            self.head = Head(index, chain, at_us)
            if self.tree is not None:
                self.nodes = self.tree.extend(leaves)

    def _begin(self, place: bytes, offset: int, known: int | None, index: int) -> None:
        """The first entry of a place. Raises BadEntry for one that is not, or that is not where it must be."""
        if known is not None or (self.from_the_beginning and offset):
            raise BadEntry(index, f"offset {offset} of its partition, where {known or 0} is next")
        self.began[place] = (offset, index)


def row_of(entry: AuditEntry) -> Row:
    """An entry in the form in which it is checked; raises BadEntry for one that no log has."""
    fault = shape_fault(entry)
    if fault:
        raise BadEntry(entry.index, fault)
    cluster, topic = entry.cluster_id.encode(), entry.topic.encode()
    place = b"%b%b%b%b\x00\x00\x00\x04%b" % (
        len(cluster).to_bytes(4, "big"),
        cluster,
        len(topic).to_bytes(4, "big"),
        topic,
        entry.partition.to_bytes(4, "big"),
    )
    return (
        entry.index,
        place,
        entry.offset,
        entry.next_offset,
        entry.appended_at_us,
        LEAF_PREFIX + leaf_data(entry),
        entry.leaf,
        entry.chain,
    )


def shape_fault(entry: AuditEntry) -> str | None:
    """Why no log has such an entry, whatever comes before it; None when one may."""
    if not (0 <= entry.partition < 2**31 and 0 <= entry.offset < entry.next_offset < 2**63):
        return f"offsets {entry.offset} to {entry.next_offset} of partition {entry.partition}"
    if len(entry.leaf) != _HASH_BYTES or len(entry.chain) != _HASH_BYTES:
        return "a leaf or link that is no hash"
    if entry.kind is EntryKind.RECORD:
        return None if entry.next_offset == entry.offset + 1 else "a record that stands for several offsets"
    if (entry.timestamp_ms, entry.key, entry.headers) != (0, None, b""):
        return f"a {entry.kind.name.lower()} with the content of a record"
    if entry.kind is EntryKind.GAP:
        return None if entry.value in _REASONS else "a gap without a reason"
    return None if entry.value is not None and len(entry.value) == _HASH_BYTES else "a digest that is no hash"


def _misnumbered(expected: int, found: int) -> str:
    return f"it is there twice, as {found}" if found < expected else f"missing: the next entry is {found}"
