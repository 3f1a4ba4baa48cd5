"""Heartbeats in the audit log; test names follow the invariants of xorj_auditor.quiet."""

import hashlib
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from xorj_auditor.checking import Checker
from xorj_auditor.quiet import HEARTBEATS, MINUTE_MS, QuietTopic
from xorj_core.audit_chain import AuditEntry, EntryKind, GapReason, LogEnd, record_leaf

Step = tuple[int, int, bool]
"""Offsets further, milliseconds later, whether it is a change of state."""

steps = st.lists(st.tuples(st.sampled_from((1, 1, 1, 2)), st.integers(0, MINUTE_MS), st.booleans()), max_size=30)


def topic_of(history: list[Step]) -> list[Any]:
    offset, timestamp, records = -1, 0, []
    for further, later_ms, is_change in history:
        offset, timestamp = offset + further, timestamp + later_ms
        value = b"change" if is_change else b"same"
        records.append(SimpleNamespace(offset=offset, timestamp=timestamp, key=b"k", headers=(), value=value))
    return records


def is_change(record: Any) -> bool:
    return bool(record.value == b"change")


def unknown(offset: int, next_offset: int) -> GapReason:
    return GapReason.UNKNOWN


def entered(records: list[Any], sizes: list[int], end: LogEnd | None = None) -> tuple[list[AuditEntry], QuietTopic]:
    """The entries for a topic that arrives in pieces of these sizes, the rest at once."""
    quiet = QuietTopic(end or LogEnd("cluster"))
    entries: list[AuditEntry] = []
    rest = list(records)
    for size in [*sizes, len(records)]:
        quiet.take(rest[:size], is_change, 1, unknown)
        rest = rest[size:]
        entries += quiet.end.take().entries
    return entries, quiet


@given(steps)
def test_1_every_heartbeat_is_in_one_entry_or_still_to_be_entered(history: list[Step]) -> None:
    records = topic_of(history)
    entries, quiet = entered(records, [])
    Checker().check(entries)
    at = 0
    for entry in entries:
        assert entry.offset == at
        at = entry.next_offset
    assert at <= quiet.expected() == (records[-1].offset + 1 if records else 0)
    changes = [record.offset for record in records if is_change(record)]
    assert set(changes) <= {entry.offset for entry in entries if entry.kind is EntryKind.RECORD}


@given(steps)
def test_2_a_digest_is_over_the_leaves_of_its_records(history: list[Step]) -> None:
    records = {record.offset: record for record in topic_of(history)}
    for entry in entered(list(records.values()), [])[0]:
        if entry.kind is not EntryKind.DIGEST:
            continue
        own = [records[offset] for offset in range(entry.offset, entry.next_offset)]
        assert len({record.timestamp // MINUTE_MS for record in own}) == 1
        leaves = (record_leaf("cluster", HEARTBEATS, 0, r.offset, r.timestamp, 0, r.key, b"", r.value) for r in own)
        assert hashlib.sha256(b"".join(leaves)).digest() == entry.value


@given(steps, st.lists(st.integers(1, 7), max_size=6))
def test_3_in_whatever_pieces_it_arrives_the_entries_are_the_same(history: list[Step], sizes: list[int]) -> None:
    records = topic_of(history)
    assert entered(records, sizes)[0] == entered(records, [])[0]


@given(steps, st.integers(0, 30))
def test_4_after_a_restart_the_rest_is_entered_as_if_there_had_been_none(history: list[Step], at: int) -> None:
    records = topic_of(history)
    before, quiet = entered(records[:at], [])
    resumed = LogEnd("cluster", quiet.end.head, quiet.end.tree, dict(quiet.end.next_offsets))
    stored = resumed.next_offsets.get((HEARTBEATS, 0), 0)
    after, _ = entered([record for record in records if record.offset >= stored], [], resumed)
    assert [e.offset for e in before + after] == [e.offset for e in entered(records, [])[0]]
    Checker().check(before + after)
