"""The audit log's hashes; test names follow the invariants of xorj_core.audit_chain."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xorj_auditor.checking import BadEntry, Checker
from xorj_auditor.rows import BadRow, entry_of
from xorj_core.audit_chain import (
    CHAIN_DOMAIN,
    DIGEST_DOMAIN,
    GAP_DOMAIN,
    LEAF_DOMAIN,
    AuditEntry,
    EntryKind,
    GapReason,
    Head,
    LogEnd,
    LogRewound,
    encode_headers,
    leaf_data,
    leaf_of,
    link,
    record_leaf,
)
from xorj_core.ids import digest
from xorj_core.merkle import Frontier, leaf_hash

Headers = tuple[tuple[str, bytes | None], ...]
optional = st.none() | st.binary(max_size=20)
header_lists = st.lists(st.tuples(st.text(max_size=5), optional), max_size=3).map(tuple)
records = st.fixed_dictionaries(
    {
        "cluster_id": st.text(max_size=5),
        "topic": st.text(max_size=5),
        "partition": st.integers(0, 2**31),
        "offset": st.integers(0, 2**62),
        "timestamp_ms": st.integers(-1, 2**62),
        "appended_at_us": st.integers(0, 2**62),
        "key": optional,
        "headers": header_lists.map(encode_headers),
        "value": optional,
    }
)
RECORD: dict[str, Any] = {
    "cluster_id": "cluster",
    "topic": "prices",
    "partition": 1,
    "offset": 7,
    "timestamp_ms": 1000,
    "appended_at_us": 9000,
    "key": b"key",
    "headers": encode_headers((("a", b"1"), ("b", b"2"))),
    "value": b"value",
}
CHANGES: list[tuple[str, Any]] = [
    ("cluster_id", "cluster2"),
    ("topic", "price"),
    ("partition", 2),
    ("offset", 8),
    ("timestamp_ms", 1001),
    ("timestamp_ms", -1),
    ("appended_at_us", 9001),
    ("key", b"kez"),
    ("key", b""),
    ("key", None),
    ("value", b"valuf"),
    ("value", b""),
    ("value", None),
    ("headers", encode_headers((("b", b"2"), ("a", b"1")))),
    ("headers", encode_headers((("a", b"1"),))),
    ("headers", encode_headers((("a", b""), ("b", b"2")))),
    ("headers", encode_headers((("a", None), ("b", b"2")))),
    ("headers", encode_headers((("a1", b""), ("b", b"2")))),
    ("headers", b""),
]


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_1_a_change_of_any_hashed_field_changes_the_leaf(name: str, value: Any) -> None:
    assert record_leaf(**{**RECORD, name: value}) != record_leaf(**RECORD)


def ranged(kind: EntryKind, value: bytes) -> AuditEntry:
    return AuditEntry(0, kind, "c", "t", 1, 2, 3, 0, None, b"", value, 5, b"", b"")


@pytest.mark.parametrize("kind", [EntryKind.GAP, EntryKind.DIGEST])
@pytest.mark.parametrize(
    "name", ["cluster_id", "topic", "partition", "offset", "next_offset", "appended_at_us", "value"]
)
def test_1_a_change_of_any_hashed_field_of_a_gap_or_digest_changes_its_leaf(kind: EntryKind, name: str) -> None:
    entry = ranged(kind, b"why")
    value = getattr(entry, name)
    more: Any = b"x" if isinstance(value, bytes) else "x"
    changed: Any = value + 1 if isinstance(value, int) else value + more
    assert leaf_of(entry._replace(**{name: changed})) != leaf_of(entry)


def test_2_a_gap_a_digest_and_a_record_of_the_same_fields_have_different_leaves() -> None:
    kinds = {leaf_of(ranged(kind, b"why")) for kind in EntryKind}
    assert len(kinds) == len(EntryKind)


@given(records, records)
def test_2_different_records_have_different_leaves(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (record_leaf(**one) == record_leaf(**other)) == (one == other)


@given(header_lists, header_lists)
def test_2_different_headers_have_different_bytes(one: Headers, other: Headers) -> None:
    assert (encode_headers(one) == encode_headers(other)) == (one == other)


@given(records)
def test_2_the_leaf_is_the_documented_hash(record: dict[str, Any]) -> None:
    parts = [record["cluster_id"].encode(), record["topic"].encode()]
    parts += [record["partition"].to_bytes(4, "big"), record["offset"].to_bytes(8, "big")]
    parts += [record["timestamp_ms"].to_bytes(8, "big", signed=True)]
    parts += [record["appended_at_us"].to_bytes(8, "big")]
    parts += [b"\x00" if record["key"] is None else b"\x01" + record["key"], record["headers"]]
    parts += [b"\x00" if record["value"] is None else b"\x01" + record["value"]]
    assert record_leaf(**record) == leaf_hash(framed(LEAF_DOMAIN, *parts))


def framed(domain: str, *parts: bytes) -> bytes:
    """The documented frame: the domain's length and text, then each part after its length."""
    framed_parts = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return len(domain).to_bytes(2, "big") + domain.encode() + framed_parts


@pytest.mark.parametrize(("kind", "domain"), [(EntryKind.GAP, GAP_DOMAIN), (EntryKind.DIGEST, DIGEST_DOMAIN)])
def test_2_the_leaf_of_a_gap_or_digest_is_the_documented_hash(kind: EntryKind, domain: str) -> None:
    numbers = ((1).to_bytes(4, "big"), *(number.to_bytes(8, "big") for number in (2, 3, 5)))
    assert leaf_data(ranged(kind, b"why")) == framed(domain, b"c", b"t", *numbers, b"\x01why")


hashes = st.binary(min_size=32, max_size=32)


@given(hashes, st.integers(0, 2**62), st.integers(0, 2**62), hashes)
def test_3_a_link_is_the_documented_digest(previous: bytes, index: int, at_us: int, leaf: bytes) -> None:
    numbers = (index.to_bytes(8, "big"), at_us.to_bytes(8, "big"))
    assert link(previous, index, at_us, leaf) == digest(CHAIN_DOMAIN, previous, *numbers, leaf)


arrivals = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(-3, 3)), max_size=12)
History = list[tuple[int, int, int]]


def received(offset: int) -> Any:
    return SimpleNamespace(offset=offset, timestamp=5, key=None, headers=(), value=b"v")


def deleted(offset: int, next_offset: int) -> GapReason:
    return GapReason.DELETED


def end_of(history: History) -> tuple[LogEnd, list[AuditEntry]]:
    """Entries of records that arrive on partitions, each so many offsets after the one before (1: no gap), under a
    clock that goes forward and back."""
    end, entries, now_us = LogEnd("cluster"), [], 100
    for partition, step, later_us in history:
        offset = end.next_offsets.get(("prices", partition), 0) + step - 1
        now_us += later_us
        end.enter("prices", partition, (received(offset),), now_us, deleted)
        batch = end.take()
        assert batch.offsets[("cluster", "prices", partition)][1] == offset + 1
        entries.extend(batch.entries)
    return end, entries


def entries_for(history: History) -> list[AuditEntry]:
    return end_of(history)[1]


@given(arrivals)
def test_4_what_is_entered_verifies_and_leaves_no_offset_out(history: History) -> None:
    end, entries = end_of(history)
    checker = Checker()
    checker.check(entries)
    assert checker.head == end.head
    assert (end.head.entries, end.tree.size) == (len(entries), len(entries))
    for partition in range(3):
        own = [entry for entry in entries if entry.partition == partition]
        assert [e.offset for e in own] == [0, *[e.next_offset for e in own[:-1]]] if own else True
    assert sum(entry.kind is EntryKind.GAP for entry in entries) == sum(step > 1 for _, step, _ in history)
    assert all(leaf_of(entry) == entry.leaf for entry in entries)


@given(arrivals)
def test_the_tree_is_over_the_leaves_in_their_order(history: History) -> None:
    end, entries = end_of(history)
    tree = Frontier()
    tree.extend([entry.leaf for entry in entries])
    assert end.tree == tree


def test_5_a_record_below_the_expected_offset_is_never_entered_again() -> None:
    end = LogEnd("cluster", next_offsets={("prices", 0): 3})
    with pytest.raises(LogRewound, match="prices/0"):
        end.enter("prices", 0, (received(2),), 5, deleted)
    assert end.take().entries == []


@given(arrivals)
def test_6_append_times_never_fall(history: History) -> None:
    times = [entry.appended_at_us for entry in entries_for(history)]
    assert times == sorted(times)


@given(arrivals.filter(bool), st.data())
def test_any_edit_of_an_entry_is_found_at_that_entry(history: History, data: st.DataObject) -> None:
    entries = entries_for(history)
    at = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[at]
    hashed = ["cluster_id", "topic", "partition", "offset", "next_offset", "leaf", "chain", "index"]
    hashed += ["key", "value", "timestamp_ms", "appended_at_us"]
    name = data.draw(st.sampled_from(hashed))
    value = getattr(entry, name)
    other: Any = b"x" if value is None else value + 1 if isinstance(value, int) else value + value[:1]
    edited = entry._replace(**{name: other})
    with pytest.raises(BadEntry) as bad:
        Checker().check([*entries[:at], edited, *entries[at + 1 :]])
    assert bad.value.index == at or name == "index"


@given(arrivals.filter(lambda history: len(history) > 1), st.data())
def test_a_missing_or_repeated_entry_is_found(history: History, data: st.DataObject) -> None:
    entries = entries_for(history)
    at = data.draw(st.integers(0, len(entries) - 2))
    for tampered in ([*entries[:at], *entries[at + 1 :]], [*entries[: at + 1], *entries[at:]]):
        with pytest.raises(BadEntry):
            Checker().check(tampered)


def test_an_entry_is_its_row_and_a_row_of_no_known_kind_is_refused() -> None:
    entry = entries_for([(0, 1, 0)])[0]
    assert entry_of(tuple(entry)) == entry
    with pytest.raises(BadRow, match="kind"):
        entry_of(tuple(entry._replace(kind=9)))  # type: ignore[arg-type]


def test_a_header_name_that_is_no_text_is_hashed_by_its_bytes() -> None:
    name = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert encode_headers([(name, None)]) == bytes.fromhex("00000001 00000002 fffe 00000001 00")
    assert encode_headers([("\u00ff", None)]) != encode_headers([(b"\xff".decode("utf-8", "surrogateescape"), None)])


def test_the_head_of_an_empty_log_is_the_beginning() -> None:
    assert LogEnd("cluster").head == Head()
