"""Takes every record of every topic into the audit log, in one total order.

1. Reading begins where the stored entries of this cluster end, so a restart enters each record exactly once.
2. What is announced as covered has been committed before.
3. Heartbeats are entered as `xorj_auditor.quiet` says; their counters are echoed.
4. The order within a partition is the log's; between partitions it is the order of arrival, fixed by the commit.
5. While a batch is being committed the next one is read and hashed; at most one is under way.
6. A record that no build understands is entered like any other, and counted.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge
from xorj_contracts.codec import RECORD_BYTES_MAX, fact_type
from xorj_core.audit_chain import AuditEntry, Batch, EntryKind, GapReason, Head, LogEnd, PartitionKey, Received
from xorj_core.merkle import Frontier
from xorj_log.reader import LogReader
from xorj_log.topics import BY_FACT, BY_NAME, TOPICS
from xorj_log.writer import TRADE_ID_HEADER

from xorj_auditor.echoes import Echoes, Heard
from xorj_auditor.quiet import HEARTBEATS, QuietTopic
from xorj_auditor.store import AuditStore

BATCH_RECORDS_MAX = 2_000
LAG_EVERY_S = 2.0
TRADES_LOGGED_MAX = 50

_ENTRIES = Gauge("xorj_audit_entries", "Entries in the audit log")
_GAPS = Counter("xorj_audit_gaps", "Gaps in offsets that were entered since start", ["reason"])
_LAG = Gauge("xorj_audit_lag_records", "Records on the log that are not yet entered")
_OPAQUE = Counter("xorj_audit_opaque_records", "Records entered that this build does not understand", ["why"])
_IGNORED = Counter("xorj_audit_heartbeats_ignored", "Records of the heartbeats topic that are not echoed")
_BACKWARDS = Counter("xorj_audit_clock_backwards", "Batches for which the clock was behind the last append time")
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stored:
    """What is durably stored: the head, the tree, and the next offset by topic and partition but for heartbeats."""

    head: Head
    tree: Frontier
    covered: Mapping[PartitionKey, int]


def opaque(topic: str, value: bytes | None) -> str | None:
    """Why this build does not understand a record, by its envelope alone; None for a fact of the topic."""
    if value is not None and len(value) > RECORD_BYTES_MAX:
        return "oversized"
    name = fact_type(value)
    if name in BY_NAME[topic].facts:
        return None
    if not name:
        return "undecodable"
    return "misplaced" if name in BY_FACT else "unknown type"


class Ingest:
    """The loop from the log to the store. `committed` is set after every commit but those of heartbeats alone."""

    def __init__(self, reader: LogReader, store: AuditStore, echoes: Echoes, end: LogEnd) -> None:
        """`end`: where the stored log ends, and the reader is to go on."""
        self._reader = reader
        self._store = store
        self._echoes = echoes
        self._end = end
        self._quiet = QuietTopic(end)
        self.stored = self._as_stored()
        self.committed = asyncio.Event()
        for (topic, partition), offset in end.next_offsets.items():
            reader.seek(topic, partition, offset)
        _ENTRIES.set(end.head.entries)

    async def run(self, stopping: asyncio.Event) -> None:
        """Enter records until `stopping`. Raises LogRewound and the store's errors: then nothing more is covered."""
        committing: asyncio.Task[None] | None = None
        try:
            while not stopping.is_set():
                entered = await self._enter(await self._reader.read_received(records_max=BATCH_RECORDS_MAX))
                if committing is not None and (entered is not None or committing.done()):
                    await committing
                    committing = None
                if entered is not None:
                    committing = asyncio.create_task(self._commit(*entered))
        finally:
            if committing is not None:
                await committing

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

    async def _enter(
        self, received: Sequence[tuple[PartitionKey, Sequence[Received]]]
    ) -> tuple[Batch, Stored, bool] | None:
        """The batch for what was received, what will be stored with it, and whether it holds more than heartbeats."""
        now_us, now_s = time.time_ns() // 1000, time.monotonic()
        if received and now_us < self._end.head.appended_at_us:
            _BACKWARDS.inc()
            behind_ms = (self._end.head.appended_at_us - now_us) // 1000
            _log.warning("auditor.clock_backwards", behind_ms=behind_ms)
        has_more = False
        for (topic, partition), records in received:
            reason_of = await self._gap_reasons(topic, partition, records)
            if topic == HEARTBEATS:
                self._quiet.take(records, lambda record: self._is_change(record, now_s), now_us, reason_of)
            else:
                self._end.enter(topic, partition, records, now_us, reason_of)
                self._count_opaque(topic, records)
                has_more = True
        batch = self._end.take()
        return (batch, self._as_stored(), has_more) if batch.entries else None

    async def _commit(self, batch: Batch, stored: Stored, has_more: bool) -> None:
        await self._store.append(batch)
        self.stored = stored
        if has_more:
            self.committed.set()
        _ENTRIES.set(stored.head.entries)
        for entry in batch.entries:
            if entry.kind is EntryKind.GAP:
                _tell_gap(entry)
        if trades := _trades(batch.entries):
            _log.info("auditor.stored", entries=stored.head.entries, trade_ids=trades)

    async def _gap_reasons(
        self, topic: str, partition: int, records: Sequence[Received]
    ) -> Callable[[int, int], GapReason]:
        """Why offsets are missing in these records; asks the broker only if some are."""
        expected = self._quiet.expected() if topic == HEARTBEATS else self._end.next_offsets.get((topic, partition), 0)
        if records[-1].offset - expected + 1 == len(records):
            return _no_gap
        beginning = await self._reader.beginning_offset(topic, partition)
        is_new = (topic, partition) not in self._end.next_offsets

        def reason(offset: int, next_offset: int) -> GapReason:
            if self._reader.is_marker(topic, partition, offset, next_offset):
                return GapReason.CONTROL
            if offset < beginning:
                return GapReason.MISSING_AT_START if is_new else GapReason.DELETED
            return GapReason.COMPACTED if BY_NAME[topic].compacted_after_ms is not None else GapReason.UNKNOWN

        return reason

    def _is_change(self, record: Received, now_s: float) -> bool:
        heard = self._echoes.hear(record, now_s)
        if heard is Heard.IGNORED:
            _IGNORED.inc()
        return heard is Heard.CHANGED

    def _count_opaque(self, topic: str, records: Sequence[Received]) -> None:
        for record in records:
            if (why := opaque(topic, record.value)) is not None:
                _OPAQUE.labels(why).inc()

    def _as_stored(self) -> Stored:
        covered = {key: offset for key, offset in self._end.next_offsets.items() if key[0] != HEARTBEATS}
        return Stored(self._end.head, self._end.tree.copy(), covered)


def partitions() -> list[PartitionKey]:
    """Every partition of every topic of the table: the auditor reads them all."""
    return [(topic.name, partition) for topic in TOPICS for partition in range(topic.partitions)]


def _no_gap(offset: int, next_offset: int) -> GapReason:
    raise AssertionError(f"a gap from {offset} to {next_offset} that was not counted")


def _tell_gap(entry: AuditEntry) -> None:
    reason = (entry.value or b"").decode()
    _GAPS.labels(reason).inc()
    where = f"{entry.topic}/{entry.partition}"
    _log.warning("auditor.gap", where=where, first=entry.offset, next=entry.next_offset, reason=reason)


def _trades(entries: Sequence[AuditEntry]) -> list[str]:
    """The trades in a batch, as their records' headers name them: for logs."""
    marker = TRADE_ID_HEADER.encode()
    found = {entry.headers[21:53].hex() for entry in entries if entry.headers[8:16] == marker}
    return sorted(found)[:TRADES_LOGGED_MAX]
