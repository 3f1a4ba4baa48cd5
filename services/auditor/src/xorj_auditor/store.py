"""The append-only store of the audit log in PostgreSQL, with one writer at a time.

1. A batch's entries, the tree's hashes that they complete and its offsets are committed together, all or none.
2. The session that writes holds an advisory lock; when the session is lost, the lock and what was not committed are
   lost with it, so a writer that was deposed or stalled can never write beside its successor.
3. A batch's first entry and each partition's first offset are keys: what was stored once is refused a second time.
4. A commit is durable when `append` returns (synchronous_commit is set for the session).
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

import asyncpg
from xorj_core.audit_chain import AuditEntry, Batch, Head, PartitionKey

from xorj_auditor.rows import COLUMNS, SELECT, TABLE, entry_of

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

WRITER_LOCK = 0x786F726A_61756474
"""Advisory lock of the one writer ("xorjaudt")."""

ANSWER_S_MAX = 10.0
CONNECT_S_MAX = 5.0
PARTITION_AHEAD_US = 10 * 86_400_000_000
"""Months are prepared at least this long before they are needed."""

DATABASE_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What a database that is down, full, restarted or slow raises: the writer begins anew with what is committed.

(The client's internal error too: a session that was ended while it was idle is in no state to begin a statement.)
"""

_APPENDED = """
WITH batch AS (
    INSERT INTO audit_batches (first_entry, next_entry, appended_at_us, writer) VALUES ($1, $2, $3, $4)
), offsets AS (
    INSERT INTO audit_offsets (cluster_id, topic, partition_no, first_offset, next_offset, first_entry)
    SELECT *, $1 FROM unnest($5::text[], $6::text[], $7::integer[], $8::bigint[], $9::bigint[])
)
INSERT INTO audit_nodes (level, node_index, hash) SELECT * FROM unnest($10::smallint[], $11::bigint[], $12::bytea[])"""

_NEXT_OFFSETS = """
SELECT topic, partition_no, (
    SELECT next_offset FROM audit_offsets AS o
    WHERE o.cluster_id = $1 AND o.topic = p.topic AND o.partition_no = p.partition_no
    ORDER BY first_offset DESC LIMIT 1)
FROM unnest($2::text[], $3::integer[]) AS p (topic, partition_no)"""

_WRITER = """
SELECT a.pid,
    CASE WHEN a.state LIKE 'idle%' OR a.wait_event_type = 'Client'
         THEN extract(epoch FROM clock_timestamp() - a.state_change) ELSE 0 END
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1 AND l.objid = $2 AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


class StoreRefused(Exception):
    """Appending to this database would be wrong; the message says why."""


class NotWriter(Exception):
    """The session that writes was lost; another one may have taken over."""


@dataclass(frozen=True, slots=True)
class Writer:
    """The session that holds the lock, and for how long its process has not spoken to the database."""

    pid: int
    silent_s: float


class AuditStore:
    """One session of the writer's role; it may write once `lead` has returned True."""

    def __init__(self, dsn: str, writer: str) -> None:
        """`writer` names this instance in its batches and in the database's list of sessions."""
        self._dsn = dsn
        self._writer = writer
        self._connection: Connection | None = None
        self._using = asyncio.Lock()
        self._prepared_until_us = 0
        self.answered_s = 0.0
        """When the database answered last, on the monotonic clock."""

    async def __aenter__(self) -> Self:
        """Connects; raises DATABASE_FAULTS."""
        self._connection = await asyncpg.connect(
            self._dsn,
            timeout=CONNECT_S_MAX,
            command_timeout=ANSWER_S_MAX,
            server_settings={"application_name": self._writer, "synchronous_commit": "on"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def lead(self) -> bool:
        """Takes the lock if it is free; whether this session has it."""
        return bool(await self.session.fetchval("SELECT pg_try_advisory_lock($1)", WRITER_LOCK))

    async def writer(self) -> Writer | None:
        """The session that holds the lock, if one does."""
        row = await self.session.fetchrow(_WRITER, WRITER_LOCK >> 32, WRITER_LOCK & 0xFFFFFFFF)
        return None if row is None else Writer(row[0], float(row[1]))

    async def depose(self, writer: Writer) -> None:
        """Ends the writer's session: what it has not committed is undone, and it can write no more."""
        await self.session.execute("SELECT pg_terminate_backend($1)", writer.pid)

    async def ping(self) -> None:
        """Shows the database that this process lives, and this process that the database does."""
        async with self._using:
            await self.session.execute("SELECT 1")
            self.answered_s = time.monotonic()

    async def head(self) -> Head:
        """The end of the chain as it is stored."""
        row = await self.session.fetchrow(
            "SELECT entry_index, chain, appended_at_us FROM audit_entries ORDER BY entry_index DESC LIMIT 1"
        )
        return Head() if row is None else Head(row[0] + 1, row[1], row[2])

    async def next_offsets(self, cluster_id: str, partitions: Sequence[PartitionKey]) -> dict[PartitionKey, int]:
        """The next offset to enter, for those of the partitions that have any."""
        topics, numbers = [topic for topic, _ in partitions], [number for _, number in partitions]
        rows = await self.session.fetch(_NEXT_OFFSETS, cluster_id, topics, numbers)
        return {(row[0], row[1]): row[2] for row in rows if row[2] is not None}

    async def entries(self, start: int, end: int) -> list[AuditEntry]:
        """The stored entries from `start` to, not including, `end`. Raises BadRow."""
        rows = await self.session.fetch(
            f"{SELECT} WHERE entry_index >= $1 AND entry_index < $2 ORDER BY entry_index", start, end
        )
        return [entry_of(row) for row in rows]

    async def chain_at(self, entries: int) -> bytes | None:
        """The link after this many entries, at least one; None when there are fewer."""
        found: bytes | None = await self.session.fetchval(
            "SELECT chain FROM audit_entries WHERE entry_index = $1", entries - 1
        )
        return found

    async def append(self, batch: Batch) -> None:
        """Commits a batch that follows what is stored, durably, all or none. Raises DATABASE_FAULTS, NotWriter."""
        entries = batch.entries
        if not entries:
            return
        async with self._using:
            session = self.session
            await self._prepare(entries[-1].appended_at_us)
            async with session.transaction():
                await session.copy_records_to_table(TABLE, records=entries, columns=COLUMNS)
                await session.execute(
                    _APPENDED,
                    entries[0].index,
                    entries[-1].index + 1,
                    entries[-1].appended_at_us,
                    self._writer,
                    [cluster_id for cluster_id, _, _ in batch.offsets],
                    [topic for _, topic, _ in batch.offsets],
                    [partition for _, _, partition in batch.offsets],
                    [first for first, _ in batch.offsets.values()],
                    [following for _, following in batch.offsets.values()],
                    [node.level for node, _ in batch.nodes],
                    [node.index for node, _ in batch.nodes],
                    [found for _, found in batch.nodes],
                )
            self.answered_s = time.monotonic()

    async def add_checkpoint(self, size: int, note: str, signed_at_us: int) -> None:
        """Keeps a signed checkpoint; one of this size that is there already stays."""
        async with self._using:
            await self.session.execute(
                "INSERT INTO audit_checkpoints (size, note, signed_at_us) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                size,
                note,
                signed_at_us,
            )
            self.answered_s = time.monotonic()

    async def add_cosignature(self, size: int, witness: str, line: str, cosigned_at_us: int) -> None:
        """Keeps a witness's cosignature of the checkpoint of this size."""
        async with self._using:
            await self.session.execute(
                "INSERT INTO audit_cosignatures (size, witness, line, cosigned_at_us) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT DO NOTHING",
                size,
                witness,
                line,
                cosigned_at_us,
            )

    async def cosigned_size(self, witness: str) -> int:
        """The size of the largest checkpoint that this witness has cosigned; 0 when it has none."""
        size: int = await self.session.fetchval(
            "SELECT coalesce(max(size), 0) FROM audit_cosignatures WHERE witness = $1", witness
        )
        return size

    async def _prepare(self, appended_at_us: int) -> None:
        """Months are made by a function that acts as the owner; it refuses what is far from the database's time."""
        if appended_at_us + PARTITION_AHEAD_US > self._prepared_until_us:
            self._prepared_until_us = await self.session.fetchval("SELECT audit_prepare_partitions($1)", appended_at_us)

    @property
    def session(self) -> Connection:
        """The connection; raises NotWriter when it is lost."""
        if self._connection is None or self._connection.is_closed():
            raise NotWriter("the writer's session is lost")
        return self._connection
