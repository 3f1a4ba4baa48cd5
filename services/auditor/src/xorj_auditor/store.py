"""The append-only store of audit entries in PostgreSQL, with one writer at a time.

1. Entries of one `append` are committed together; next offsets follow from the rows, so they can never disagree.
2. The session that writes holds an advisory lock: a second auditor is refused, and when the session is lost, what it
   had not committed is lost with it, so an old writer can never write beside a new one.
3. Nothing is appended to a log whose last entries do not follow from one another.
4. A commit is durable when `append` returns (synchronous_commit is set for the session).
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import asyncpg
from xorj_core.audit_chain import GENESIS, AuditEntry, Head

from xorj_auditor.rows import COLUMNS, SELECT, TABLE, BadRow, entry_of, row_of
from xorj_auditor.verify import BadEntry, Checker

WRITER_LOCK = 0x786F726A_61756474
"""Advisory lock of the one writer ("xorjaudt")."""

TAIL_CHECKED = 1_000


class StoreRefused(Exception):
    """Appending to this database would be wrong; the message says why."""


class AuditStore:
    """The one writer's session."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self.head = Head()

    async def __aenter__(self) -> Self:
        """Takes the lock and checks the end of the log; raises StoreRefused and asyncpg's errors."""
        connection = await asyncpg.connect(self._dsn, timeout=10, command_timeout=30)
        self._connection = connection
        try:
            await connection.execute("SET synchronous_commit = on")
            await _take_lock(connection)
            self.head = await _checked_head(connection)
        except BaseException:
            await connection.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def next_offsets(self, cluster_id: str) -> dict[tuple[str, int], int]:
        """The next offset to enter, by topic and partition, for one cluster."""
        rows = await self._open().fetch(
            f"SELECT topic, partition_no, max(next_offset) FROM {TABLE} WHERE cluster_id = $1 GROUP BY 1, 2",  # noqa: S608
            cluster_id,
        )
        return {(row[0], row[1]): row[2] for row in rows}

    async def chain_at(self, entries: int) -> bytes | None:
        """The link after this many entries, or None when there are fewer."""
        if entries == 0:
            return GENESIS
        found: bytes | None = await self._open().fetchval(
            f"SELECT chain FROM {TABLE} WHERE entry_index = $1",  # noqa: S608
            entries - 1,
        )
        return found

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Commits entries that follow the head, durably, all or none."""
        if not entries:
            return
        connection = self._open()
        async with connection.transaction():
            await connection.copy_records_to_table(TABLE, records=map(row_of, entries), columns=COLUMNS)
        self.head = Head(entries[-1].index + 1, entries[-1].chain)

    def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None:
            raise RuntimeError("the store is not open")
        return self._connection


async def _take_lock(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", WRITER_LOCK):
        raise StoreRefused("another auditor is writing to this database")


async def _checked_head(connection: "asyncpg.Connection[asyncpg.Record]") -> Head:
    """The head, after recomputing the last entries from one before them on."""
    rows = await connection.fetch(f"{SELECT} ORDER BY entry_index DESC LIMIT $1", TAIL_CHECKED + 1)
    try:
        tail = [entry_of(row) for row in reversed(rows)]
        if not tail:
            return Head()
        if tail[0].index > 0 and len(tail) > TAIL_CHECKED:
            before, tail = tail[0], tail[1:]
            checker = Checker(Head(before.index + 1, before.chain), from_the_beginning=False)
        else:
            checker = Checker()
        checker.check(tail)
    except (BadEntry, BadRow) as bad:
        raise StoreRefused(f"the audit log is damaged, nothing is appended to it: {bad}") from bad
    return checker.head
