"""Takes every record of every topic into the audit log, in one total order.

1. Reading begins where the stored entries of this cluster end, so a restart enters each record exactly once.
2. What is announced as covered has been committed before.
3. Heartbeats are no entries: their counters are echoed instead.
4. The order within a partition is the log's; between partitions it is the order of arrival, fixed by the commit.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge
from xorj_core.audit_chain import AuditEntry, EntryKind, Head, encode_headers, enter_record
from xorj_log.reader import LogReader, LogRecord, PartitionKey
from xorj_log.topics import TOPICS
from xorj_log.writer import TRADE_ID_HEADER

from xorj_auditor.echoes import Echoes
from xorj_auditor.store import AuditStore

HEARTBEATS = "heartbeats"
BATCH_RECORDS_MAX = 2_000
LAG_EVERY_S = 2.0

_ENTRIES = Gauge("xorj_audit_entries", "Entries in the audit log")
_GAPS = Counter("xorj_audit_gaps", "Gaps in offsets that were entered since start")
_LAG = Gauge("xorj_audit_lag_records", "Records on the log that are not yet entered")
_IGNORED = Counter("xorj_audit_heartbeats_ignored", "Records of the heartbeats topic that are not echoed")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stored:
    """What is durably stored: the head, and the next offset by topic and partition."""

    head: Head
    covered: Mapping[PartitionKey, int]


def enter_all(stored: Stored, records: Iterable[LogRecord]) -> tuple[tuple[AuditEntry, ...], Stored]:
    """The entries for records that follow what is stored, and what will then be stored. Raises LogRewound."""
    head = stored.head
    covered = dict(stored.covered)
    entries: list[AuditEntry] = []
    for record in records:
        at = record.position
        new = enter_record(
            head,
            covered,
            at.cluster_id,
            at.topic,
            at.partition,
            at.offset,
            record.timestamp_ms,
            record.key,
            encode_headers(record.headers),
            record.value,
        )
        entries.extend(new)
        head = Head(new[-1].index + 1, new[-1].chain)
        covered[(at.topic, at.partition)] = at.offset + 1
    return tuple(entries), Stored(head, covered)


class Ingest:
    """The loop from the log to the store. `changed` is set after every commit and every counter worth echoing."""

    def __init__(self, reader: LogReader, store: AuditStore, echoes: Echoes) -> None:
        self._reader = reader
        self._store = store
        self._echoes = echoes
        self.stored = Stored(store.head, {})
        self.committed = asyncio.Event()

    async def resume(self) -> None:
        """Place the reader where the stored entries end, and at the end of the heartbeats."""
        covered = await self._store.next_offsets(self._reader.cluster_id)
        for (topic, partition), offset in covered.items():
            self._reader.seek(topic, partition, offset)
        ends = await self._reader.end_offsets()
        self._reader.seek(HEARTBEATS, 0, ends[(HEARTBEATS, 0)])
        self.stored = Stored(self._store.head, covered)
        _ENTRIES.set(self.stored.head.entries)

    async def run(self, stopping: asyncio.Event) -> None:
        """Enter records until `stopping`. Raises LogRewound and asyncpg's errors: then nothing more is covered."""
        while not stopping.is_set():
            await self._enter(await self._reader.read(records_max=BATCH_RECORDS_MAX))

    async def watch_lag(self, stopping: asyncio.Event) -> None:
        """Measure how far behind the log the store is, until `stopping`."""
        while not stopping.is_set():
            try:
                ends = await self._reader.end_offsets()
            except KafkaError as error:  # the broker is away: the lag is not known, and the heart tells the rest
                _log.warning("auditor.lag_unknown", error=str(error))
            else:
                covered = self.stored.covered
                _LAG.set(sum(end - covered.get(key, 0) for key, end in ends.items() if key[0] != HEARTBEATS))
            try:
                async with asyncio.timeout(LAG_EVERY_S):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def _enter(self, records: list[LogRecord]) -> None:
        now_s = time.monotonic()
        others = []
        for record in records:
            if record.position.topic != HEARTBEATS:
                others.append(record)
            elif not self._echoes.hear(record, now_s):
                _IGNORED.inc()
        if not others:
            return
        entries, stored = enter_all(self.stored, others)
        await self._store.append(entries)
        self.stored = stored
        self.committed.set()
        _ENTRIES.set(stored.head.entries)
        if trades := {value.hex() for r in others for name, value in r.headers if name == TRADE_ID_HEADER}:
            _log.info("auditor.stored", entries=stored.head.entries, trade_ids=sorted(trades))
        _GAPS.inc(sum(entry.kind is EntryKind.GAP for entry in entries))


def topic_names() -> tuple[str, ...]:
    """Every topic of the table: the auditor reads them all."""
    return tuple(topic.name for topic in TOPICS)
