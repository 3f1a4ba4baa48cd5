"""The correspondence between audit entries and rows of `audit_entries`: column names and their order, once.

A row that no entry can have (a kind that does not exist) is a `BadRow`, never guessed at.
"""

from collections.abc import Iterable
from typing import Any

from xorj_core.audit_chain import AuditEntry, EntryKind

TABLE = "audit_entries"
COLUMNS = (
    "entry_index",
    "kind",
    "cluster_id",
    "topic",
    "partition_no",
    "first_offset",
    "next_offset",
    "timestamp_ms",
    "key",
    "headers",
    "value",
    "leaf",
    "chain",
)
SELECT = f"SELECT {', '.join(COLUMNS)} FROM {TABLE}"  # noqa: S608 - constants of this module


class BadRow(Exception):
    """A stored row is not an entry."""


def row_of(entry: AuditEntry) -> tuple[Any, ...]:
    """The row of an entry, in the order of COLUMNS."""
    return (
        entry.index,
        int(entry.kind),
        entry.cluster_id,
        entry.topic,
        entry.partition,
        entry.offset,
        entry.next_offset,
        entry.timestamp_ms,
        entry.key,
        entry.headers,
        entry.value,
        entry.leaf,
        entry.chain,
    )


def entry_of(row: Iterable[Any]) -> AuditEntry:
    """The entry in a row that was selected with SELECT; raises BadRow."""
    index, kind, *rest = row
    if kind not in (EntryKind.RECORD, EntryKind.GAP):
        raise BadRow(f"entry {index} is of no known kind: {kind}")
    return AuditEntry(index, EntryKind(kind), *rest)
