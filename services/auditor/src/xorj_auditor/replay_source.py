"""Where replay reads from: the audit database, or entries in memory (an exported log)."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from xorj_core.audit_chain import AuditEntry, EntryKind, decode_headers
from xorj_core.keys import KeyRegistry

from xorj_auditor.replay import TOPICS, Controls, Record, ReplayReport, Stored, adopted_policies, replay, stored_of

CHUNK = 2_000
_COLUMNS = "entry_index, cluster_id, topic, partition_no, first_offset, timestamp_ms, headers, value"
_RANGE = f"""
SELECT {_COLUMNS} FROM audit_entries
WHERE entry_index >= $1 AND entry_index < $2 AND kind = 1 AND topic = ANY($3) ORDER BY entry_index"""  # noqa: S608
_CONTROL = f"""
SELECT {_COLUMNS} FROM audit_entries
WHERE topic = 'control' AND partition_no = 0 AND kind = 1 ORDER BY entry_index"""  # noqa: S608
_OBSERVATIONS = f"""
SELECT {_COLUMNS} FROM audit_entries
WHERE topic = 'observations' AND kind = 1 AND position('PolicyAdopted'::bytea IN value) > 0"""  # noqa: S608
_FACTS = r"""
SELECT value, timestamp_ms, cluster_id, topic, partition_no, first_offset FROM audit_entries
WHERE kind = 1 AND substring(value from 1 for 2) = '\x0a20'::bytea AND substring(value from 3 for 8) = ANY($1)"""

Progress = Callable[[int, int], None]


async def replay_database(
    connection: Any, registry: KeyRegistry, start: int, end: int, on_progress: Progress | None = None
) -> ReplayReport:
    """Replays the entries from `start` to, not including, `end`. Raises asyncpg's errors."""
    controls = Controls(registry, [_record(row) for row in await connection.fetch(_CONTROL)])
    policies = adopted_policies([_record(row) for row in await connection.fetch(_OBSERVATIONS)])

    async def lookup(fact_ids: Sequence[bytes]) -> Iterable[Stored]:
        wanted = set(fact_ids)
        rows = await connection.fetch(_FACTS, [fact_id[:8] for fact_id in fact_ids])
        return [Stored(*row) for row in rows if row[0][2:34] in wanted]

    async def batches() -> AsyncIterator[Sequence[Record]]:
        # Ranges of indexes, not a cursor: lookups use the same connection between them.
        for begin in range(start, end, CHUNK):
            until = min(begin + CHUNK, end)
            rows = await connection.fetch(_RANGE, begin, until, list(TOPICS))
            yield [_record(row) for row in rows]
            if on_progress is not None:
                on_progress(until - start, end - start)

    return await replay(batches(), controls, policies, lookup)


async def replay_entries(entries: Sequence[AuditEntry], registry: KeyRegistry) -> ReplayReport:
    """Replays entries that are all in memory."""
    records = [_record_of(entry) for entry in entries if entry.kind is EntryKind.RECORD]
    stored: dict[bytes, list[Stored]] = {}
    for record in records:
        if record.value is not None and record.value[:2] == b"\n ":
            stored.setdefault(record.value[2:34], []).append(stored_of(record))

    async def lookup(fact_ids: Sequence[bytes]) -> Iterable[Stored]:
        return [one for fact_id in fact_ids for one in stored.get(fact_id, ())]

    async def batches() -> AsyncIterator[Sequence[Record]]:
        chosen = [record for record in records if record.topic in TOPICS]
        for begin in range(0, len(chosen), CHUNK):
            yield chosen[begin : begin + CHUNK]

    controls = Controls(registry, [record for record in records if record.topic == "control"])
    policies = adopted_policies(record for record in records if record.topic == "observations")
    return await replay(batches(), controls, policies, lookup)


def _record(row: Any) -> Record:
    index, cluster_id, topic, partition, offset, timestamp_ms, headers, value = row
    parsed = decode_headers(headers) if topic == "control" else ()
    return Record(index, cluster_id, topic, partition, offset, timestamp_ms, parsed, value)


def _record_of(entry: AuditEntry) -> Record:
    headers = decode_headers(entry.headers) if entry.topic == "control" else ()
    place = (entry.cluster_id, entry.topic, entry.partition, entry.offset)
    return Record(entry.index, *place, entry.timestamp_ms, headers, entry.value)
