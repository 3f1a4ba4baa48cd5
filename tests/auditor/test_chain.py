"""The audit log's hashes; test names follow the invariants of xorj_core.audit_chain."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xorj_auditor.rows import BadRow, entry_of, row_of
from xorj_auditor.verify import BadEntry, Checker
from xorj_core.audit_chain import (
    CHAIN_DOMAIN,
    LEAF_DOMAIN,
    AuditEntry,
    EntryKind,
    Head,
    LogRewound,
    encode_headers,
    enter_record,
    gap_leaf,
    leaf_of,
    link,
    record_leaf,
)
from xorj_core.ids import digest

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


@pytest.mark.parametrize("name", ["cluster_id", "topic", "partition", "offset", "next_offset"])
def test_1_a_change_of_any_hashed_field_of_a_gap_changes_its_leaf(name: str) -> None:
    gap: dict[str, Any] = {"cluster_id": "c", "topic": "t", "partition": 1, "offset": 2, "next_offset": 3}
    changed = gap[name] + (1 if isinstance(gap[name], int) else "x")
    assert gap_leaf(**{**gap, name: changed}) != gap_leaf(**gap)


@given(records, records)
def test_2_different_records_have_different_leaves(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (record_leaf(**one) == record_leaf(**other)) == (one == other)


@given(header_lists, header_lists)
def test_2_different_headers_have_different_bytes(one: Headers, other: Headers) -> None:
    assert (encode_headers(one) == encode_headers(other)) == (one == other)


@given(records)
def test_2_the_leaf_is_the_documented_digest(record: dict[str, Any]) -> None:
    parts = [record["cluster_id"].encode(), record["topic"].encode()]
    parts += [record["partition"].to_bytes(4, "big"), record["offset"].to_bytes(8, "big")]
    parts += [record["timestamp_ms"].to_bytes(8, "big", signed=True)]
    parts += [b"\x00" if record["key"] is None else b"\x01" + record["key"], record["headers"]]
    parts += [b"\x00" if record["value"] is None else b"\x01" + record["value"]]
    assert record_leaf(**record) == digest(LEAF_DOMAIN, *parts)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_3_a_link_is_the_documented_digest_of_the_link_before_index_and_leaf(
    previous: bytes, index: int, leaf: bytes
) -> None:
    assert link(previous, index, leaf) == digest(CHAIN_DOMAIN, previous, index.to_bytes(8, "big"), leaf)


arrivals = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=12)


def entries_for(history: list[tuple[int, int]]) -> list[AuditEntry]:
    """Entries of records that arrive on partitions, each so many offsets after the one before (1: no gap)."""
    head = Head()
    expected: dict[tuple[str, int], int] = {}
    entries: list[AuditEntry] = []
    for partition, step in history:
        offset = expected.get(("prices", partition), 0) + step - 1
        new = enter_record(head, expected, "cluster", "prices", partition, offset, 5, None, b"", b"v")
        head = Head(new[-1].index + 1, new[-1].chain)
        expected[("prices", partition)] = offset + 1
        entries.extend(new)
    return entries


@given(arrivals)
def test_4_what_is_entered_verifies_and_leaves_no_offset_out(history: list[tuple[int, int]]) -> None:
    entries = entries_for(history)
    checker = Checker()
    checker.check(entries)
    assert checker.head == (Head(len(entries), entries[-1].chain) if entries else Head())
    for partition in range(3):
        own = [entry for entry in entries if entry.partition == partition]
        assert [e.offset for e in own] == [0, *[e.next_offset for e in own[:-1]]] if own else True
    assert sum(entry.kind is EntryKind.GAP for entry in entries) == sum(step > 1 for _, step in history)
    assert all(leaf_of(entry) == entry.leaf for entry in entries)


def test_5_a_record_below_the_expected_offset_is_never_entered_again() -> None:
    with pytest.raises(LogRewound, match="prices/0"):
        enter_record(Head(), {("prices", 0): 3}, "cluster", "prices", 0, 2, 5, None, b"", b"v")


@given(arrivals.filter(bool), st.data())
def test_any_edit_of_an_entry_is_found_at_that_entry(history: list[tuple[int, int]], data: st.DataObject) -> None:
    entries = entries_for(history)
    at = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[at]
    hashed = ["cluster_id", "topic", "partition", "offset", "next_offset", "leaf", "chain", "index"]
    hashed += ["key", "value", "timestamp_ms"]
    name = data.draw(st.sampled_from(hashed))
    value = getattr(entry, name)
    other: Any = b"x" if value is None else value + 1 if isinstance(value, int) else value + value[:1]
    edited = dataclasses.replace(entry, **{name: other})
    with pytest.raises(BadEntry) as bad:
        Checker().check([*entries[:at], edited, *entries[at + 1 :]])
    assert bad.value.index == at


@given(arrivals.filter(lambda history: len(history) > 1), st.data())
def test_a_missing_or_repeated_entry_is_found(history: list[tuple[int, int]], data: st.DataObject) -> None:
    entries = entries_for(history)
    at = data.draw(st.integers(0, len(entries) - 2))
    for tampered in ([*entries[:at], *entries[at + 1 :]], [*entries[: at + 1], *entries[at:]]):
        with pytest.raises(BadEntry):
            Checker().check(tampered)


@given(arrivals)
def test_an_entry_and_its_row_agree_both_ways(history: list[tuple[int, int]]) -> None:
    assert [entry_of(row_of(entry)) for entry in entries_for(history)] == entries_for(history)


def test_a_row_of_no_known_kind_is_refused() -> None:
    row = list(row_of(entries_for([(0, 1)])[0]))
    row[1] = 9
    with pytest.raises(BadRow, match="kind"):
        entry_of(row)
