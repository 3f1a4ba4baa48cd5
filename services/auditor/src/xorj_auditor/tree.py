"""Roots and proofs of the audit log's tree, from the hashes that are stored: those of leaves and of tiles' roots.

1. Each hash of a proof costs one read of at most 256 hashes: whatever the size, a proof is a few short reads.
2. Nothing read is trusted: who verifies recomputes; a hash that is missing is `TreeDamaged` and names where.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from xorj_core.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    Frontier,
    Node,
    Span,
    complete_root,
    consistency_spans,
    fold,
    inclusion_spans,
    nodes_of,
    stored_below,
)

_LEAVES = "SELECT leaf FROM audit_entries WHERE entry_index >= $1 AND entry_index < $2 ORDER BY entry_index"
_NODES = """
SELECT hash FROM audit_nodes WHERE level = $3 AND node_index >= $1 AND node_index < $2 ORDER BY node_index"""


class TreeDamaged(Exception):
    """Hashes that a tree of this size has are not stored; the message says which."""


@dataclass(frozen=True, slots=True)
class TreeReader:
    """Reads through one connection, which may be of any role that reads."""

    connection: "asyncpg.Connection[asyncpg.Record]"

    async def frontier(self, size: int) -> Frontier:
        """The tree over the first `size` entries, to go on from. Raises TreeDamaged."""
        return Frontier.of(size, [await self._hash(node) for node in nodes_of(Span(0, size))])

    async def root(self, size: int) -> bytes:
        """The root over the first `size` entries. Raises TreeDamaged."""
        return (await self.frontier(size)).root() if size else EMPTY_ROOT

    async def leaf(self, index: int) -> bytes:
        """The leaf hash of one entry. Raises TreeDamaged."""
        return await self._hash(Node(0, index))

    async def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """The proof that entry `index` is in the tree of `size`. Raises ProofRefused, TreeDamaged."""
        return await self._proof(inclusion_spans(index, size))

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The proof that the tree of `new` begins with that of `old`. Raises ProofRefused, TreeDamaged."""
        return await self._proof(consistency_spans(old, new))

    async def _proof(self, spans: Sequence[Span]) -> tuple[bytes, ...]:
        return tuple([fold([await self._hash(node) for node in nodes_of(span)]) for span in spans])

    async def _hash(self, node: Node) -> bytes:
        level, first, count = stored_below(node)
        if level:
            rows = await self.connection.fetch(_NODES, first, first + count, level)
        else:
            rows = await self.connection.fetch(_LEAVES, first, first + count)
        hashes = [bytes(row[0]) for row in rows]
        if len(hashes) != count or any(len(one) != HASH_BYTES for one in hashes):
            what = f"subtrees of 2^{level} entries" if level else "entries"
            raise TreeDamaged(f"{len(hashes)} of {count} {what} from number {first} on are stored")
        return complete_root(hashes)
