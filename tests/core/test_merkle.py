"""The tree and its proofs against a slow tree made from the text of RFC 6962; numbers are the module's invariants."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xorj_core.merkle import (
    EMPTY_ROOT,
    Frontier,
    Node,
    ProofRefused,
    Span,
    check_consistency,
    check_inclusion,
    complete_root,
    consistency_spans,
    fold,
    inclusion_spans,
    is_stored,
    leaf_hash,
    node_hash,
    nodes_of,
    prove,
    stored_below,
)

SIZES = st.integers(1, 600)


def data_of(size: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(size)]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def split(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def slow_root(data: list[bytes]) -> bytes:
    if not data:
        return sha256(b"")
    if len(data) == 1:
        return sha256(b"\x00" + data[0])
    k = split(len(data))
    return sha256(b"\x01" + slow_root(data[:k]) + slow_root(data[k:]))


def slow_path(m: int, data: list[bytes]) -> list[bytes]:
    if len(data) == 1:
        return []
    k = split(len(data))
    if m < k:
        return [*slow_path(m, data[:k]), slow_root(data[k:])]
    return [*slow_path(m - k, data[k:]), slow_root(data[:k])]


def slow_consistency(m: int, data: list[bytes]) -> list[bytes]:
    def sub(m: int, part: list[bytes], *, is_whole: bool) -> list[bytes]:
        if m == len(part):
            return [] if is_whole else [slow_root(part)]
        k = split(len(part))
        if m <= k:
            return [*sub(m, part[:k], is_whole=is_whole), slow_root(part[k:])]
        return [*sub(m - k, part[k:], is_whole=False), slow_root(part[:k])]

    return [] if m == 0 else sub(m, data, is_whole=True)


def hash_of(data: list[bytes]) -> "dict[Node, bytes]":
    """Every complete subtree, by the slow tree."""
    found = {}
    level = 0
    while 1 << level <= len(data):
        for index in range(len(data) >> level):
            node = Node(level, index)
            found[node] = slow_root(data[node.span.start : node.span.end])
        level += 1
    return found


def grown(size: int) -> Frontier:
    frontier = Frontier()
    for data in data_of(size):
        frontier.append(leaf_hash(data))
    return frontier


def test_1_the_hashes_are_those_of_the_rfc() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(b"a" * 32, b"b" * 32) == sha256(b"\x01" + b"a" * 32 + b"b" * 32)


@given(SIZES)
def test_1_the_root_is_that_of_the_slow_tree(size: int) -> None:
    frontier = grown(size)
    assert (frontier.size, frontier.root()) == (size, slow_root(data_of(size)))


@given(st.lists(st.integers(0, 700), max_size=6))
def test_2_batches_of_any_size_give_the_tree_that_single_leaves_give(batches: list[int]) -> None:
    data = data_of(sum(batches))
    leaves = [leaf_hash(one) for one in data]
    frontier, stored, done = Frontier(), [], 0
    for count in batches:
        stored += frontier.extend(leaves[done : done + count])
        done += count
    assert frontier == grown(len(data))
    assert len(frontier.hashes) == len(data).bit_count()
    assert dict(stored) == {Node(8, n): complete_root(leaves[n * 256 : n * 256 + 256]) for n in range(len(data) // 256)}


def test_2_tiles_of_tiles_are_completed_once_each() -> None:
    frontier = Frontier()
    leaves = [leaf_hash(b"%d" % number) for number in range(256)]
    completed = [node for _ in range(2 * 256) for node, _ in frontier.extend(leaves)]
    assert completed.count(Node(16, 0)) == completed.count(Node(16, 1)) == 1
    assert len(completed) == len(set(completed)) == 2 * 256 + 2
    assert all(is_stored(node) for node in completed)
    with pytest.raises(ValueError, match="right edge"):
        Frontier.of(3, [b"x" * 32])
    assert Frontier.of(frontier.size, frontier.hashes).root() == frontier.root()


@given(SIZES, st.data())
def test_proofs_are_those_of_the_slow_tree_and_hold(size: int, draw: st.DataObject) -> None:
    data = data_of(size)
    hashes = hash_of(data)
    index = draw.draw(st.integers(0, size - 1))
    path = prove(inclusion_spans(index, size), hashes.__getitem__)
    assert list(path) == slow_path(index, data)
    check_inclusion(index, size, leaf_hash(data[index]), path, slow_root(data))
    old = draw.draw(st.integers(0, size))
    proof = prove(consistency_spans(old, size), hashes.__getitem__)
    assert list(proof) == slow_consistency(old, data)
    check_consistency(old, size, slow_root(data[:old]), slow_root(data), proof)


@given(SIZES, st.data())
def test_3_no_other_proof_is_accepted(size: int, draw: st.DataObject) -> None:
    data = data_of(size)
    hashes = hash_of(data)
    old = draw.draw(st.integers(0, size))
    index = draw.draw(st.integers(0, size - 1))
    path = list(prove(inclusion_spans(index, size), hashes.__getitem__))
    proof = list(prove(consistency_spans(old, size), hashes.__getitem__))

    def check_path(changed: list[bytes]) -> None:
        check_inclusion(index, size, leaf_hash(data[index]), changed, slow_root(data))

    def check_growth(changed: list[bytes]) -> None:
        check_consistency(old, size, slow_root(data[:old]), slow_root(data), changed)

    for hashes_of_proof, check in ((path, check_path), (proof, check_growth)):
        changes = [[*hashes_of_proof, b"x" * 32], [*hashes_of_proof, b""]]
        for at, one in enumerate(hashes_of_proof):
            before, after = hashes_of_proof[:at], hashes_of_proof[at + 1 :]
            changes += [[*before, *after], [*before, one[:-1], *after], [*before, one + b"x", *after]]
            changes += [[*before, bytes([one[0] ^ 1]) + one[1:], *after]]
        for changed in changes:
            with pytest.raises(ProofRefused):
                check(changed)


@given(SIZES, st.data())
def test_3_another_entry_leaf_or_root_is_not_proven(size: int, draw: st.DataObject) -> None:
    data = data_of(size)
    index = draw.draw(st.integers(0, size - 1))
    path = prove(inclusion_spans(index, size), hash_of(data).__getitem__)
    leaf, root = leaf_hash(data[index]), slow_root(data)
    wrong = [(index, leaf_hash(b"other"), root), (index, leaf, sha256(root)), (size, leaf, root), (-1, leaf, root)]
    wrong += [(other, leaf, root) for other in range(max(0, index - 3), min(size, index + 4)) if other != index]
    for at, hashed, top in wrong:
        with pytest.raises(ProofRefused):
            check_inclusion(at, size, hashed, path, top)


def test_4_nothing_is_proven_beyond_the_tree_or_backwards() -> None:
    for index, size in ((0, 0), (5, 5), (-1, 5)):
        with pytest.raises(ProofRefused):
            inclusion_spans(index, size)
    for old, new in ((5, 4), (-1, 4)):
        with pytest.raises(ProofRefused):
            consistency_spans(old, new)
    with pytest.raises(ProofRefused, match="empty tree"):
        check_consistency(0, 4, b"x" * 32, b"y" * 32, ())
    with pytest.raises(ProofRefused, match="two roots"):
        check_consistency(4, 4, b"x" * 32, b"y" * 32, ())


def test_a_subtree_comes_from_the_stored_hashes_below_it() -> None:
    assert stored_below(Node(0, 5)) == (0, 5, 1)
    assert stored_below(Node(7, 1)) == (0, 128, 128)
    assert stored_below(Node(8, 3)) == (8, 3, 1)
    assert stored_below(Node(13, 2)) == (8, 64, 32)
    assert nodes_of(Span(0, 6)) == (Node(2, 0), Node(1, 2))
    with pytest.raises(ValueError, match="no subtree"):
        nodes_of(Span(1, 3))
    with pytest.raises(ValueError, match="complete"):
        complete_root([b"x" * 32] * 3)
    assert fold([]) == EMPTY_ROOT
