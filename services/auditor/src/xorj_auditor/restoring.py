"""Fills an empty audit database from a verified export, as the owner; never continues a log by itself.

1. Only an empty database is filled, all or nothing.
2. Entries, tree, offsets and batches are what the auditor's own store would have written: it goes on from them.
3. Whether the log may be continued is asked of the witness before, and of every start of the auditor after.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import asyncpg
from xorj_core.audit_chain import AuditEntry
from xorj_core.merkle import Frontier

from xorj_auditor.export import StoredNote
from xorj_auditor.rows import COLUMNS, TABLE

TOGETHER = 2_000


class RestoreRefused(Exception):
    """Nothing was restored; the message says why."""


async def restore(owner_dsn: str, items: Iterable[AuditEntry | StoredNote]) -> int:
    """Restores what `read_export` yields; the number of entries. Raises RestoreRefused and asyncpg's errors."""
    connection: Any = await asyncpg.connect(owner_dsn, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE audit_entries IN ACCESS EXCLUSIVE MODE")
            if await connection.fetchval("SELECT EXISTS (SELECT FROM audit_entries)"):
                raise RestoreRefused("this database has entries: a log is restored into an empty one only")
            return await _fill(connection, items)
    finally:
        await connection.close()


async def _fill(connection: Any, items: Iterable[AuditEntry | StoredNote]) -> int:
    tree = Frontier()
    months: set[str] = set()
    waiting: list[AuditEntry] = []
    for item in items:
        if isinstance(item, AuditEntry):
            waiting.append(item)
            if len(waiting) < TOGETHER:
                continue
        await _append(connection, waiting, tree, months)
        waiting = []
        if isinstance(item, StoredNote):
            await connection.execute(
                "INSERT INTO audit_checkpoints (size, note, signed_at_us) VALUES ($1, $2, $3)",
                item.size,
                item.note,
                item.signed_at_us,
            )
    await _append(connection, waiting, tree, months)
    return tree.size


async def _append(connection: Any, entries: list[AuditEntry], tree: Frontier, months: set[str]) -> None:
    if not entries:
        return
    for entry in entries:
        await _prepare(connection, entry.appended_at_us, months)
    await connection.copy_records_to_table(TABLE, records=entries, columns=COLUMNS)
    first = entries[0].index
    await connection.execute(
        "INSERT INTO audit_batches (first_entry, next_entry, appended_at_us, writer) VALUES ($1, $2, $3, 'restored')",
        first,
        entries[-1].index + 1,
        entries[-1].appended_at_us,
    )
    spans: dict[tuple[str, str, int], tuple[int, int]] = {}
    for entry in entries:
        place = (entry.cluster_id, entry.topic, entry.partition)
        begun, _ = spans.get(place, (entry.offset, 0))
        spans[place] = (begun, entry.next_offset)
    offsets = [(*place, begun, following, first) for place, (begun, following) in spans.items()]
    await connection.copy_records_to_table("audit_offsets", records=offsets)
    nodes = tree.extend([entry.leaf for entry in entries])
    rows = [(node.level, node.index, found) for node, found in nodes]
    await connection.copy_records_to_table("audit_nodes", records=rows)


async def _prepare(connection: Any, at_us: int, months: set[str]) -> None:
    """The partition of a month, made as the owner may: the writer's own function makes only months near now."""
    moment = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    name = f"audit_entries_{moment:%Y%m}"
    if name in months:
        return
    begin = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    until = begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
    bounds = f"FROM ({int(begin.timestamp()) * 1_000_000}) TO ({int(until.timestamp()) * 1_000_000})"
    await connection.execute(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF audit_entries FOR VALUES {bounds}")
    months.add(name)
