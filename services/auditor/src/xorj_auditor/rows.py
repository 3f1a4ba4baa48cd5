"""The correspondence between audit entries and rows of `audit_entries`: column names in the order of the fields.

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
    "appended_at_us",
    "leaf",
    "chain",
)
SELECT = f"SELECT {', '.join(COLUMNS)} FROM {TABLE}"  # noqa: S608 - constants of this module

WITH_FACT = (
    r"kind = 1 AND substring(value from 1 for 2) = '\x0a20'::bytea"
    " AND substring(value from 3 for 8) = substring($1::bytea from 1 for 8)"
    " AND substring(value from 3 for 32) = $1::bytea"
)
"""A condition: the record's envelope has the fact id $1. Served by an index."""

OF_TRADE = (
    r"substring(headers from 5 for 12) = '\x0000000874726164652d6964'::bytea"
    " AND substring(headers from 22 for 8) = substring($1::bytea from 1 for 8)"
    " AND substring(headers from 22 for 32) = $1::bytea"
)
"""A condition: the record's header `trade-id` is $1. Served by an index."""

_KINDS = {int(kind): kind for kind in EntryKind}


class BadRow(Exception):
    """A stored row is not an entry."""


def entry_of(row: Iterable[Any]) -> AuditEntry:
    """The entry in a row that was selected with SELECT; raises BadRow."""
    index, number, *rest = row
    kind = _KINDS.get(number)
    if kind is None:
        raise BadRow(f"entry {index} is of no known kind: {number}")
    return AuditEntry(index, kind, *rest)
