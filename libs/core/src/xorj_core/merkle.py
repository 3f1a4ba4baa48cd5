"""The Merkle tree over the audit log's leaves: roots kept as the tree grows, and proofs about them (RFC 6962, 2.1).

Pure functions and one accumulator. `Frontier` follows a growing tree; `inclusion_spans` and `consistency_spans` name
the subtrees that a proof consists of, whoever keeps the hashes looks them up (`nodes_of`, `fold`), and
`check_inclusion` and `check_consistency` verify.

1. A leaf hash is SHA-256(0x00 || data), an inner one SHA-256(0x01 || left || right), an empty tree's SHA-256("").
2. Of a tree of any size only the complete subtrees on its right edge are remembered, at most 63 hashes.
3. A proof is accepted only with exactly the hashes that its sizes ask for: none missing, none left over, each 32 bytes.
4. Nothing is proven about an entry outside the tree, or between a tree and a smaller one.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

HASH_BYTES = 32
LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
EMPTY_ROOT = hashlib.sha256(b"").digest()

TILE_HEIGHT = 8
"""256 leaves are a tile, 256 tiles a tile of tiles: of inner hashes only the roots of tiles are stored."""

TILE_LEAVES = 1 << TILE_HEIGHT

_SHA256 = hashlib.sha256


class ProofRefused(ValueError):
    """A proof that proves nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """The subtree over the leaves from `start` to, not including, `end`; not every span is a subtree."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """The complete subtree over the 2^level leaves from index * 2^level on."""

    level: int
    index: int

    @property
    def span(self) -> Span:
        """The leaves below it."""
        return Span(self.index << self.level, (self.index + 1) << self.level)


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf's data."""
    return _SHA256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return _SHA256(NODE_PREFIX + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The hash over complete subtrees of falling size, left to right, as `nodes_of` and `Frontier` order them.

    The root of the empty tree for none.
    """
    if not hashes:
        return EMPTY_ROOT
    *rest, result = hashes
    for left in reversed(rest):
        result = node_hash(left, result)
    return result


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """The hash over 2^k subtrees of one size. Raises ValueError for another number of them."""
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise ValueError(f"{len(hashes)} hashes are no complete subtree")
    level = list(hashes)
    while len(level) > 1:
        pairs = iter(level)
        level = [_SHA256(NODE_PREFIX + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return level[0]


def nodes_of(span: Span) -> tuple[Node, ...]:
    """The complete subtrees that make up a subtree of some tree, left to right, the largest first.

    The span starts at a multiple of the largest power of two that fits into it, as every span of a proof does;
    ValueError otherwise.
    """
    nodes: list[Node] = []
    start = span.start
    while start < span.end:
        level = (span.end - start).bit_length() - 1
        if start % (1 << level):
            raise ValueError(f"{span} is no subtree")
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return tuple(nodes)


@dataclass(slots=True)
class Frontier:
    """A tree as it grows. `hashes`: its complete subtrees on the right edge, the largest first."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, size: int, hashes: Sequence[bytes]) -> Self:
        """The tree of this size whose `nodes_of(Span(0, size))` have these hashes. Raises ValueError."""
        if size < 0 or len(hashes) != size.bit_count() or any(len(one) != HASH_BYTES for one in hashes):
            raise ValueError(f"{len(hashes)} hashes are not the right edge of a tree of {size}")
        return cls(size, list(hashes))

    def append(self, leaf: bytes) -> None:
        """One more leaf hash."""
        self._push(0, leaf)

    def extend(self, leaves: Sequence[bytes]) -> list[tuple[Node, bytes]]:
        """More leaf hashes, in order; returns the subtrees that were completed and are to be stored (`is_stored`)."""
        completed: list[tuple[Node, bytes]] = []
        done, count = 0, len(leaves)
        while done < count:
            missing = TILE_LEAVES - self.size % TILE_LEAVES
            part = leaves[done : done + missing]
            if len(part) == TILE_LEAVES:
                completed += self._push(TILE_HEIGHT, complete_root(part))
            else:
                for leaf in part:
                    completed += self._push(0, leaf)
            done += len(part)
        return completed

    def root(self) -> bytes:
        """The root of the tree of this size."""
        return fold(self.hashes)

    def copy(self) -> "Frontier":
        """The same tree, to grow apart from this one."""
        return Frontier(self.size, list(self.hashes))

    def _push(self, level: int, found: bytes) -> Sequence[tuple[Node, bytes]]:
        """Adds a complete subtree of 2^level leaves; `size` is a multiple of that. As binary addition carries."""
        size, hashes = self.size, self.hashes
        self.size = after = size + (1 << level)
        completed: list[tuple[Node, bytes]] = []
        while True:
            if level and not level % TILE_HEIGHT:
                completed.append((Node(level, (after >> level) - 1), found))
            if not size >> level & 1:
                break
            found = _SHA256(NODE_PREFIX + hashes.pop() + found).digest()
            level += 1
        hashes.append(found)
        return completed


def is_stored(node: Node) -> bool:
    """Whether this subtree's hash is kept beside the leaves: the root of a tile of whatever height."""
    return node.level > 0 and node.level % TILE_HEIGHT == 0


def stored_below(node: Node) -> tuple[int, int, int]:
    """Which hashes give this subtree's, by `complete_root`: their level (0: leaves), first index and number."""
    up = node.level % TILE_HEIGHT
    return node.level - up, node.index << up, 1 << up


def inclusion_spans(index: int, size: int) -> tuple[Span, ...]:
    """The subtrees that an inclusion proof consists of, lowest first (RFC 6962, 2.1.1). Raises ProofRefused."""
    if not 0 <= index < size:
        raise ProofRefused(f"entry {index} is not in a tree of {size}")
    spans: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return tuple(reversed(spans))


def consistency_spans(old: int, new: int) -> tuple[Span, ...]:
    """The subtrees that a consistency proof consists of (RFC 6962, 2.1.2); none between equal sizes or from zero.

    Raises ProofRefused.
    """
    if not 0 <= old <= new:
        raise ProofRefused(f"a tree of {new} does not continue one of {old}")
    if old in (0, new):
        return ()
    spans: list[Span] = []
    start, end, is_old_root = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start, is_old_root = middle, False
    if not is_old_root:
        spans.append(Span(start, end))
    return tuple(reversed(spans))


def prove(spans: Sequence[Span], hash_of: Callable[[Node], bytes]) -> tuple[bytes, ...]:
    """The proof over these spans, with the hash of each complete subtree as `hash_of` gives it."""
    return tuple(fold([hash_of(node) for node in nodes_of(span)]) for span in spans)


def root_of_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that a leaf hash and its inclusion proof give. Raises ProofRefused for a proof of the wrong shape."""
    spans = inclusion_spans(index, size)
    _require_hashes(proof, len(spans))
    _require_hashes((leaf,), 1)
    result = leaf
    for span, sibling in zip(spans, proof, strict=True):
        result = node_hash(sibling, result) if span.start < index else node_hash(result, sibling)
    return result


def check_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raises ProofRefused unless the leaf hash stands at `index` in the tree of this size and root."""
    if root_of_inclusion(index, size, leaf, proof) != root:
        raise ProofRefused(f"the proof for entry {index} leads to another root of a tree of {size}")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises ProofRefused unless the tree of size `new` begins with that of size `old` (RFC 9162, 2.1.4.2)."""
    _require_hashes(proof, len(consistency_spans(old, new)))
    _require_hashes((old_root, new_root), 2)
    if old == 0:
        if old_root != EMPTY_ROOT:
            raise ProofRefused("the empty tree has another root")
        return
    if old == new:
        if old_root != new_root:
            raise ProofRefused(f"two roots of a tree of {old}")
        return
    rest = list(proof)
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = rest.pop(0) if at else old_root
    seen_old = seen_new = first
    for sibling in rest:
        if at & 1 or at == last:
            seen_old, seen_new = node_hash(sibling, seen_old), node_hash(sibling, seen_new)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            seen_new = node_hash(seen_new, sibling)
        at, last = at >> 1, last >> 1
    if seen_old != old_root or seen_new != new_root:
        raise ProofRefused(f"the tree of {new} does not continue the tree of {old}")


def _split(count: int) -> int:
    """The largest power of two below `count`, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1


def _require_hashes(hashes: Sequence[bytes], count: int) -> None:
    if len(hashes) != count:
        raise ProofRefused(f"{len(hashes)} hashes where {count} are needed")
    if any(not isinstance(one, bytes) or len(one) != HASH_BYTES for one in hashes):
        raise ProofRefused(f"a hash that is not {HASH_BYTES} bytes")
