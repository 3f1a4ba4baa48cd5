"""`xorj bench audit`: how fast records are entered, how soon they are covered, how fast the log is verified, its size.

A world of a broker, a database and the auditor. In this order:

- From memory: records of `VALUE_BYTES` go through the auditor's own hashing and store into the empty log, in as many
  rounds as it takes; in each round the same rows are also copied into a table of the same columns and indexes, which is
  the limit.
- Verified: the log at 10^4, 10^5 and `entries` entries, by one process.
- From Kafka: records that wait on the log are entered by the auditor's process, from its first batch to its last.
- Paced: one record after another, each until a signed heartbeat that covers it, by the broker's append times.
- Replayed: the log of another world, in which `REPLAY_VAULTS` vaults have traded twice; its decisions are made again,
  all of them, for `REPLAY_S`.

1. Nothing is switched off: every commit is durable, every index and every hash is there.
2. The world is the bench's own (XORJ_HOME/bench) and is stopped however the measurement ends.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import asyncpg
import psutil
from aiokafka import AIOKafkaProducer
from xorj_auditor.checkpoints import checkpoint_key
from xorj_auditor.replay_source import replay_database
from xorj_auditor.rows import COLUMNS
from xorj_auditor.store import AuditStore
from xorj_auditor.verify import verify
from xorj_contracts.codec import decode, fact_type
from xorj_core.audit_chain import AuditEntry, GapReason, LogEnd
from xorj_core.facts import AuditHeartbeat
from xorj_halt.keys import load_registry, load_seed
from xorj_localnet.market.tokens import JUP, USDC
from xorj_localnet.paths import Home
from xorj_localnet.witness import ORIGIN
from xorj_localnet.world import ServiceSpec, World, WorldOptions
from xorj_log.connection import KafkaConnection
from xorj_log.reader import LogReader

from xorj_cli.bench.report import Figure, Limit, machine, percentile, report
from xorj_cli.bench.trade import TradeWish, bench_world
from xorj_cli.output import Failure

VALUE_BYTES: Final = 300
BATCH: Final = 2_000
ROUND: Final = 20_000
VERIFIED_AT: Final = (10_000, 100_000)
PACED: Final = 200
PACE_S: Final = 0.02
WAIT_S_MAX: Final = 60.0
REPLAY_VAULTS: Final = 40
REPLAY_S: Final = 3.0
TOPIC: Final = "prices"
FROM_KAFKA_TOPIC: Final = "portfolio-deltas"
MEGABYTE: Final = 1_000_000
TABLES: Final = (
    "audit_entries", "audit_batches", "audit_offsets", "audit_nodes", "audit_checkpoints", "audit_cosignatures",
)  # fmt: skip

_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(relid)), 0) FROM (
    SELECT relid FROM pg_partition_tree('audit_entries') UNION ALL SELECT unnest($1::regclass[])) AS t (relid)"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class AuditWish:
    """How many entries the log gets from memory, and how many records from Kafka."""

    entries: int = 1_000_000
    records: int = 200_000


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A record as the Kafka client hands it out."""

    offset: int
    timestamp: int
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


async def run_audit_bench(wish: AuditWish, say: Say) -> dict[str, Any]:
    """The report. Raises Failure, what a failing part raises, KafkaError, PostgreSQL's errors."""
    host = machine()
    home = Home.from_environment()
    say("starting broker and database")
    async with World(WorldOptions(home=home, directory=home.root / "bench")) as world:
        bench = _Bench(world, say)
        figures = [*await bench.from_memory(wish.entries), *await bench.size(wish.entries)]
        figures += await bench.from_kafka(wish.records)
        figures += await bench.heartbeats()
    figures += await replayed(say)
    return report("audit", figures, host)


async def replayed(say: Say) -> list[Figure]:
    """Decisions made again each second, from the database. Raises Failure when one of them is made another way."""
    async with bench_world("with_slot_waits", TradeWish(vaults=REPLAY_VAULTS), say) as bench:
        for name, mint in (("jup", JUP.mint), ("usdc", USDC.mint)):
            await bench.move_all(name, mint)
        registry = load_registry(bench.small.keys.registry_file)
        connection = await asyncpg.connect(bench.small.database.dsn("audit_reader"))
        decisions, began = 0, time.perf_counter()
        try:
            end = await connection.fetchval("SELECT max(entry_index) + 1 FROM audit_entries")
            say(f"replaying {end} entries")
            while time.perf_counter() - began < REPLAY_S:
                done = await replay_database(connection, registry, 0, end)
                decisions += done.decisions
                if not done.agrees:
                    raise Failure("bench_failed", f"{done.differing} decisions differ, {done.undecided} are open", "")
            seconds = time.perf_counter() - began
        finally:
            await connection.close()
    return [Figure("replay_per_s", round(decisions / seconds), "decisions/s", None, 5_000, 20_000)]


class _Bench:
    """One running world."""

    def __init__(self, world: World, say: Say) -> None:
        self._world = world
        self._say = say
        self._key_file = world.keys.named("auditor-heartbeat").seed_file
        self._key = checkpoint_key(ORIGIN, load_seed(self._key_file))

    async def from_memory(self, entries: int) -> list[Figure]:
        """Entering, beside bare COPY, and verifying at several sizes on the way."""
        owner = await asyncpg.connect(self._dsn("xorj_owner"))
        figures: list[Figure] = []
        rates: list[float] = []
        copies: list[float] = []
        try:
            await owner.execute("CREATE TABLE bench_copy (LIKE audit_entries INCLUDING ALL)")
            async with AuditStore(self._dsn("auditor"), "bench") as store:
                if not await store.lead():
                    raise Failure("bench_failed", "another auditor writes to the bench's database", "stop it")
                end = LogEnd("from memory")  # another cluster: the real one's offsets begin at zero
                while end.head.entries < entries:
                    if end.head.entries in VERIFIED_AT:
                        figures += await self._verified(end.head.entries, f"_at_{end.head.entries}")
                    goal = next((size for size in VERIFIED_AT if end.head.entries < size < entries), entries)
                    records = _records(end.head.entries, min(ROUND, goal - end.head.entries))
                    began = time.perf_counter()
                    rows = await _entered(end, store, records)
                    rates.append(len(records) / (time.perf_counter() - began))
                    copies.append(len(rows) / await _copied(owner, rows))
                    await owner.execute("TRUNCATE bench_copy")
                checkpoint = self._key.sign(end.tree.size, end.tree.root())
                await store.add_checkpoint(end.tree.size, checkpoint.note().decode(), time.time_ns() // 1000)
            figures += await self._verified(end.head.entries, "")
        finally:
            await owner.execute("DROP TABLE IF EXISTS bench_copy")
            await owner.close()
        limit = Limit("copy_per_s", round(median(copies)))
        shares = median(rate / copy for rate, copy in zip(rates, copies, strict=True))
        return [
            Figure("ingest_per_s", round(median(rates)), "entries/s", limit, 10_000, 55_000),
            Figure("ingest_share_of_copy", round(shares, 3), "", None, None, 0.5),
            *figures,
        ]

    async def size(self, entries: int) -> list[Figure]:
        """Bytes in the database for each entry: tables, indexes and all."""
        connection = await asyncpg.connect(self._dsn("xorj_owner"))
        try:
            size = int(await connection.fetchval(_SIZE, list(TABLES[1:])))
        finally:
            await connection.close()
        return [Figure("bytes_per_entry", round(size / entries), "B", Limit("value_bytes", VALUE_BYTES))]

    async def from_kafka(self, records: int) -> list[Figure]:
        """From the log into the database, through the auditor's process."""
        self._say(f"{records} records through Kafka")
        await _produce(self._kafka(), records)
        connection = await asyncpg.connect(self._dsn("audit_reader"))
        try:
            entered = await connection.fetchval("SELECT max(next_entry) FROM audit_batches")
            told = {"XORJ_AUDIT_KEY_FILE": str(self._key_file), "XORJ_AUDIT_ORIGIN": ORIGIN}
            await self._world.start_service(ServiceSpec("auditor", "xorj_auditor", told))
            deadline = time.monotonic() + WAIT_S_MAX + records / 1_000
            query = (
                "SELECT first_entry, next_entry, appended_at_us FROM audit_batches WHERE first_entry >= $1 ORDER BY 1"
            )
            while time.monotonic() < deadline:
                batches = await connection.fetch(query, entered)
                if batches and batches[-1]["next_entry"] - entered >= records:
                    break
                await asyncio.sleep(0.1)
            else:
                raise Failure("bench_stalled", "the auditor did not enter the records", "see its log")
        finally:
            await connection.close()
        full = [batch for batch in batches if batch["next_entry"] - batch["first_entry"] >= BATCH // 2]
        seconds = (full[-1]["appended_at_us"] - full[0]["appended_at_us"]) / MEGABYTE
        counted = full[-1]["first_entry"] - full[0]["first_entry"]
        return [Figure("ingest_from_kafka_per_s", round(counted / seconds), "records/s", None, 10_000, 55_000)]

    async def heartbeats(self) -> list[Figure]:
        """From a record's append to the append of the first heartbeat that covers it."""
        self._say(f"{PACED} records, one every {PACE_S * 1000:.0f} ms")
        waits_ms = await _waits_ms(self._kafka())
        return [
            Figure("heartbeat_p50_ms", percentile(waits_ms, 50), "ms", None, 20, 8),
            Figure("heartbeat_p99_ms", percentile(waits_ms, 99), "ms"),
        ]

    async def _verified(self, entries: int, suffix: str) -> list[Figure]:
        self._say(f"verifying {entries} entries")
        process = psutil.Process()
        before = process.memory_info().rss
        peak = before

        async def watch() -> None:
            nonlocal peak
            while True:
                peak = max(peak, process.memory_info().rss)
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        began = time.perf_counter()
        result = await verify(self._dsn("audit_reader"), log_keys=(self._key.note_key,))
        seconds = time.perf_counter() - began
        watching.cancel()
        if not result.verified or result.entries != entries:
            raise Failure("bench_failed", f"the log is not verified: {result}", "this is a defect")
        return [
            Figure(f"verify_per_s_core{suffix}", round(entries / seconds), "entries/s", None, 100_000, 370_000),
            Figure(f"verify_memory{suffix}", round((peak - before) / MEGABYTE, 1), "MB"),
        ]

    def _dsn(self, role: str) -> str:
        return self._world.database.dsn(role, "xorj_audit")

    def _kafka(self) -> KafkaConnection:
        admin = self._world.certificates.of("admin")
        return KafkaConnection(
            self._world.broker.address, admin.ca_file, admin.certificate_file, admin.key_file, "xorj-bench"
        )


async def _entered(end: LogEnd, store: AuditStore, records: Sequence[_Arrived]) -> list[AuditEntry]:
    """Enters the records as the auditor does: one batch is committed while the next is hashed."""
    rows: list[AuditEntry] = []
    committing: asyncio.Task[None] | None = None
    for at in range(0, len(records), BATCH):
        end.enter(TOPIC, 0, records[at : at + BATCH], time.time_ns() // 1000, _no_gap)
        batch = end.take()
        rows += batch.entries
        if committing is not None:
            await committing
        committing = asyncio.create_task(store.append(batch))
        await asyncio.sleep(0)
    if committing is not None:
        await committing
    return rows


async def _copied(connection: "asyncpg.Connection[asyncpg.Record]", rows: Sequence[AuditEntry]) -> float:
    """Seconds to copy the rows, each batch durable by itself."""
    began = time.perf_counter()
    for at in range(0, len(rows), BATCH):
        async with connection.transaction():
            await connection.copy_records_to_table("bench_copy", records=rows[at : at + BATCH], columns=COLUMNS)
    return time.perf_counter() - began


def _records(first: int, count: int) -> list[_Arrived]:
    """Records as our services write them: an envelope's beginning, a key, the trade's header."""
    now_ms = time.time_ns() // 1_000_000
    return [
        _Arrived(
            number,
            now_ms,
            os.urandom(32),
            (("trade-id", os.urandom(32)),),
            b"\x0a\x20" + os.urandom(VALUE_BYTES - 2),
        )
        for number in range(first, first + count)
    ]


async def _produce(connection: KafkaConnection, count: int) -> None:
    producer: Any = AIOKafkaProducer(
        **connection.client_options(), acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=200_000
    )
    await producer.start()
    try:
        last = None
        for record in _records(0, count):
            last = await producer.send(
                FROM_KAFKA_TOPIC, key=record.key, value=record.value, headers=list(record.headers)
            )
        await producer.flush()
        if last is not None:
            await last
    finally:
        await producer.stop()


async def _waits_ms(connection: KafkaConnection) -> list[float]:
    """Milliseconds from each paced record to its heartbeat."""
    producer: Any = AIOKafkaProducer(**connection.client_options(), acks="all", enable_idempotence=True, linger_ms=0)
    await producer.start()
    waits: list[float] = []
    waiting: dict[int, int] = {}
    try:
        async with LogReader(connection, ("heartbeats",)) as reader:
            for (topic, partition), offset in (await reader.end_offsets()).items():
                reader.seek(topic, partition, offset)
            for _ in range(PACED):
                due = time.monotonic() + PACE_S
                sent = await producer.send_and_wait(TOPIC, value=os.urandom(VALUE_BYTES))
                waiting[sent.offset] = sent.timestamp
                while waiting and time.monotonic() < due:
                    waits += await _covered(reader, waiting, timeout_ms=max(1, int((due - time.monotonic()) * 1000)))
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            deadline = time.monotonic() + WAIT_S_MAX
            while waiting and time.monotonic() < deadline:
                waits += await _covered(reader, waiting, timeout_ms=100)
    finally:
        await producer.stop()
    if waiting:
        raise Failure("bench_stalled", f"{len(waiting)} records were not covered", "see the auditor's log")
    return waits


async def _covered(reader: LogReader, waiting: dict[int, int], *, timeout_ms: int) -> list[float]:
    """The waits of those records that the heartbeats which have arrived cover; they wait no longer."""
    waits = []
    for record in await reader.read(timeout_ms=timeout_ms):
        if fact_type(record.value) != "AuditHeartbeat":
            continue
        fact = decode(record.value).fact
        assert isinstance(fact, AuditHeartbeat)
        until = next((one.next_offset for one in fact.covered if one.topic == TOPIC), 0)
        for offset in [offset for offset in waiting if offset < until]:
            waits.append(float(record.timestamp_ms - waiting.pop(offset)))
    return waits


def _no_gap(offset: int, next_offset: int) -> GapReason:
    raise AssertionError(f"a gap from {offset} to {next_offset}")
