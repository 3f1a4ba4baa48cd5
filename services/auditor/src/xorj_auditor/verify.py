"""Reads the audit log back and recomputes every hash: `verify` says intact, or which entry is the first bad one.

1. Every leaf is recomputed from the stored content, every link from the link before it.
2. Entries are numbered without a hole, and the offsets of every partition follow one another without a hole.
3. A cut tail cannot be seen in what is left: it needs a head held elsewhere, such as a signed audit heartbeat's.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import asyncpg
from xorj_core.audit_chain import GENESIS, AuditEntry, EntryKind, Head, leaf_of, link

from xorj_auditor.rows import SELECT, BadRow, entry_of

CHUNK_ROWS = 2_000
_EMPTY = (0, None, b"", None)
Progress = Callable[[int, int], None]
"""Called with entries checked so far and entries in all."""


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What verification found: how many entries are good from the beginning on, and their head.

    `first_bad_entry` and `reason` are None when `verified`.
    """

    entries: int
    head: bytes
    verified: bool
    first_bad_entry: int | None = None
    reason: str | None = None


class BadEntry(Exception):
    """An entry does not follow from its content and the entries before it."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"entry {index}: {reason}")
        self.index = index
        self.reason = reason


@dataclass(slots=True)
class Checker:
    """Checks entries in order, beginning after `head`; with `offsets` known from the start, or taken as they come."""

    head: Head = field(default_factory=Head)
    from_the_beginning: bool = True
    _next: dict[tuple[str, str, int], int] = field(default_factory=dict)

    def check(self, entries: Iterable[AuditEntry]) -> None:
        """Takes the next entries; raises BadEntry at the first that is wrong."""
        for entry in entries:
            self.head = self._after(entry)

    def _after(self, entry: AuditEntry) -> Head:
        index = self.head.entries
        if entry.index != index:
            raise BadEntry(index, f"missing: the next entry is {entry.index}")
        if leaf_of(entry) != entry.leaf:
            raise BadEntry(index, "its content does not give its leaf")
        chain = link(self.head.chain, index, entry.leaf)
        if chain != entry.chain:
            raise BadEntry(index, "its leaf and the link before it do not give its link")
        if entry.kind is EntryKind.RECORD and entry.next_offset != entry.offset + 1:
            raise BadEntry(index, f"next offset {entry.next_offset} after offset {entry.offset}")
        if entry.kind is EntryKind.GAP and (entry.timestamp_ms, entry.key, entry.headers, entry.value) != _EMPTY:
            raise BadEntry(index, "a gap with content")
        partition = (entry.cluster_id, entry.topic, entry.partition)
        expected = self._next.get(partition, 0 if self.from_the_beginning else entry.offset)
        if entry.offset != expected:
            raise BadEntry(index, f"offset {entry.offset} of {entry.topic}/{entry.partition}, not {expected}")
        self._next[partition] = entry.next_offset
        return Head(index + 1, chain)


async def verify(
    dsn: str, on_progress: Progress | None = None, *, against: tuple[int, bytes] | None = None
) -> VerifyResult:
    """Verifies the whole log in the database, as one snapshot.

    `against`: entries and head that a signed heartbeat stated: the log must still contain that head. Raises
    asyncpg's errors and OSError when the database cannot be read: then nothing is known.
    """
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _verify(connection, on_progress, against)
    finally:
        await connection.close()


async def _verify(
    connection: "asyncpg.Connection[asyncpg.Record]", on_progress: Progress | None, against: tuple[int, bytes] | None
) -> VerifyResult:
    total = int(await connection.fetchval("SELECT count(*) FROM audit_entries"))
    checker = Checker()
    stated = None if against is None or against[0] > 0 else GENESIS
    try:
        cursor = await connection.cursor(f"{SELECT} ORDER BY entry_index")
        while rows := await cursor.fetch(CHUNK_ROWS):
            entries = [entry_of(row) for row in rows]
            checker.check(entries)
            if against is not None and entries[0].index < against[0] <= entries[-1].index + 1:
                stated = entries[against[0] - 1 - entries[0].index].chain
            if on_progress is not None:
                on_progress(checker.head.entries, total)
    except BadEntry as bad:
        return _bad(checker.head, bad.index, bad.reason)
    except BadRow as bad:
        return _bad(checker.head, checker.head.entries, str(bad))
    head = checker.head
    if against is not None and stated != against[1]:
        reason = (
            f"cut: a signed heartbeat states {against[0]} entries"
            if against[0] > head.entries
            else f"rewritten: a signed heartbeat states another head after {against[0]} entries"
        )
        return _bad(head, min(against[0], head.entries), reason)
    return VerifyResult(head.entries, head.chain, verified=True)


def _bad(last_good: Head, first_bad_entry: int, reason: str) -> VerifyResult:
    return VerifyResult(
        last_good.entries, last_good.chain, verified=False, first_bad_entry=first_bad_entry, reason=reason
    )
