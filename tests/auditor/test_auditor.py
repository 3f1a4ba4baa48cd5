"""The auditor on a real broker and a real database. The tests follow one another in one world, in this order."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from xorj_auditor.history import last_heartbeat
from xorj_auditor.rows import OF_TRADE, SELECT, WITH_FACT, entry_of
from xorj_auditor.verify import VerifyResult, verify
from xorj_auditor.verify_range import Statement
from xorj_core.audit_chain import EntryKind
from xorj_core.facts import AuditHeartbeat
from xorj_halt.keys import load_registry
from xorj_localnet.supervisor import ChildFailed
from xorj_localnet.world import World
from xorj_log.reader import LogReader

from tests.auditor.real_world import AUDITED, anyone, delete_records, entered_once, owner
from tests.halt.guards import auditor_spec, start_auditor
from tests.worlds import connection_of, small_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEADERS = [("traceparent", b"00-1"), ("empty", b""), ("traceparent", b"again")]
PER_PARTITION = 40
BURST = 10_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with small_world(Path(tmp_path_factory.mktemp("world"))) as started:
        yield started


async def write(world: World, per_partition: int, *, topics: list[str] | None = None) -> int:
    """Writes garbage of every shape to every partition: absent keys and values, headers, empty and binary values."""
    producer = AIOKafkaProducer(**anyone(world).client_options(), acks="all", enable_idempotence=True, linger_ms=5)
    await producer.start()
    sent = []
    try:
        for topic in AUDITED:
            if topics is not None and topic.name not in topics:
                continue
            for partition in range(topic.partitions):
                for number in range(per_partition):
                    keyed = topic.compacted_after_ms is not None or number % 3 != 1
                    sent.append(
                        await producer.send(
                            topic.name,
                            key=os.urandom(32) if keyed else None,
                            value=(None, b"", os.urandom(300))[number % 3],
                            partition=partition,
                            headers=HEADERS if number % 2 else None,
                        )
                    )
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return len(sent)


async def ends_of(world: World) -> dict[tuple[str, int], int]:
    async with LogReader(anyone(world), [topic.name for topic in AUDITED]) as reader:
        return await reader.end_offsets()


async def heartbeat_covering(world: World, ends: dict[tuple[str, int], int]) -> AuditHeartbeat:
    """Waits for a signed heartbeat that covers all of `ends`."""
    registry = load_registry(world.keys.registry_file)
    async with asyncio.timeout(60):
        while True:
            heartbeat = await last_heartbeat(connection_of(world, "operator"), registry)
            if heartbeat is not None:
                covered = {(part.topic, part.partition): part.next_offset for part in heartbeat.covered}
                if all(covered.get(key, 0) >= end for key, end in ends.items()):
                    return heartbeat


async def verified(world: World, heartbeat: AuditHeartbeat | None = None) -> VerifyResult:
    stated = () if heartbeat is None else (Statement(heartbeat.entries, None, heartbeat.head, "a heartbeat"),)
    return await verify(world.database.dsn("audit_reader"), statements=stated)


async def test_every_record_of_every_topic_is_entered_once_and_covered(world: World) -> None:
    written = await write(world, PER_PARTITION)
    await start_auditor(world)
    heartbeat = await heartbeat_covering(world, await ends_of(world))
    assert await entered_once(world) >= written
    result = await verified(world, heartbeat)
    assert result.verified
    assert result.entries >= heartbeat.entries


async def test_killed_in_the_middle_it_enters_every_record_exactly_once(world: World) -> None:
    connection = await owner(world)
    try:
        before = await connection.fetchval("SELECT count(*) FROM audit_entries")
        writing = asyncio.create_task(write(world, BURST, topics=["prices", "strategies"]))
        async with asyncio.timeout(60):
            while await connection.fetchval("SELECT count(*) FROM audit_entries") < before + BURST // 10:
                pass
        world.kill("auditor")
        await writing
        await world.restart("auditor")
        async with asyncio.timeout(60):
            while await connection.fetchval("SELECT count(*) FROM audit_entries") < before + BURST:
                pass
        world.kill("auditor")
        await world.restart("auditor")
    finally:
        await connection.close()
    heartbeat = await heartbeat_covering(world, await ends_of(world))
    await entered_once(world)
    assert (await verified(world, heartbeat)).verified


async def test_told_to_stop_it_ends_in_order_and_resumes_where_it_was(world: World) -> None:
    await world.end("auditor")
    assert "auditor.stopped" in world.logs("auditor")
    await write(world, 1)
    await world.restart("auditor")
    await heartbeat_covering(world, await ends_of(world))
    await entered_once(world)


TABLES = ("entries", "batches", "offsets", "nodes", "checkpoints", "cosignatures")


async def test_the_auditors_role_may_change_nothing(world: World) -> None:
    columns = {"entries": "leaf", "batches": "writer", "offsets": "topic", "nodes": "hash", "checkpoints": "note"}
    month = await month_of(world)
    for role in ("auditor", "audit_reader"):
        connection = await asyncpg.connect(world.database.dsn(role))
        try:
            for table in TABLES:
                column = columns.get(table, "line")
                for statement in (
                    f"UPDATE audit_{table} SET {column} = {column}",
                    f"DELETE FROM audit_{table}",
                    f"TRUNCATE audit_{table}",
                    f"DROP TABLE audit_{table}",
                ):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await connection.execute(statement)
            for statement in (
                f"INSERT INTO {month} SELECT * FROM audit_entries LIMIT 1",
                f"ALTER TABLE audit_entries DETACH PARTITION {month}",
                "CREATE TABLE audit_entries_mine (n integer)",
                "UPDATE alembic_version SET version_num = '0'",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
        finally:
            await connection.close()


async def test_the_writer_gets_months_near_the_time_of_the_database_and_no_others(world: World) -> None:
    now_us, day_us = time.time_ns() // 1000, 86_400_000_000
    writer = await asyncpg.connect(world.database.dsn("auditor"))
    reader = await asyncpg.connect(world.database.dsn("audit_reader"))
    try:
        until_us = await writer.fetchval("SELECT audit_prepare_partitions($1)", now_us)
        assert until_us - now_us > 27 * day_us
        for far_us in (now_us + 50 * day_us, now_us - 50 * day_us, 0):
            with pytest.raises(asyncpg.DatetimeFieldOverflowError):
                await writer.fetchval("SELECT audit_prepare_partitions($1)", far_us)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetchval("SELECT audit_prepare_partitions($1)", now_us)
    finally:
        await writer.close()
        await reader.close()


async def month_of(world: World) -> str:
    connection = await owner(world)
    try:
        name: str = await connection.fetchval("SELECT tableoid::regclass::text FROM audit_entries LIMIT 1")
    finally:
        await connection.close()
    return name


async def test_an_entry_is_found_by_fact_and_by_trade_through_an_index(world: World) -> None:
    fact, trade = os.urandom(32), os.urandom(32)
    producer = AIOKafkaProducer(**anyone(world).client_options(), acks="all")
    await producer.start()
    try:
        value = b"\x0a\x20" + fact + b"rest"
        await producer.send_and_wait("prices", value=value, headers=[("trade-id", trade)])
    finally:
        await producer.stop()
    await heartbeat_covering(world, await ends_of(world))
    connection = await asyncpg.connect(world.database.dsn("audit_reader"))
    try:
        await connection.execute("SET enable_seqscan = off")
        for condition, wanted in ((WITH_FACT, fact), (OF_TRADE, trade)):
            rows = await connection.fetch(f"{SELECT} WHERE {condition}", wanted)
            assert [entry_of(row).value for row in rows] == [value]
            plan = await connection.fetch(f"EXPLAIN {SELECT} WHERE {condition.replace('$1', repr(wanted.hex()))}")
            assert "Index Scan" in "\n".join(row[0] for row in plan)
    finally:
        await connection.close()


async def test_deleted_records_are_entered_as_a_gap(world: World) -> None:
    await world.end("auditor")
    await write(world, 5, topics=["breakers"])
    await delete_records(world, "breakers")
    await write(world, 1, topics=["breakers"])
    await world.restart("auditor")
    await heartbeat_covering(world, await ends_of(world))
    connection = await owner(world)
    try:
        gaps = await connection.fetch("SELECT * FROM audit_entries WHERE kind = $1", EntryKind.GAP)
    finally:
        await connection.close()
    gaps = [gap for gap in gaps if gap["topic"] == "breakers"]
    assert [(gap["next_offset"] - gap["first_offset"], gap["value"]) for gap in gaps] == [(5, b"deleted")]
    assert (await verified(world)).verified


@pytest.mark.parametrize("column", ["key", "headers", "value", "leaf", "chain"])
async def test_one_changed_byte_is_found_and_named(world: World, column: str) -> None:
    connection = await owner(world)
    try:
        index = await connection.fetchval(
            f"SELECT entry_index FROM audit_entries WHERE length({column}) > 0 ORDER BY entry_index OFFSET 50 LIMIT 1"
        )
        flipped = f"{column} = set_byte({column}, 0, get_byte({column}, 0) # 1)"
        flip = f"UPDATE audit_entries SET {flipped} WHERE entry_index = $1"
        await connection.execute(flip, index)
        result = await verified(world)
        await connection.execute(flip, index)
    finally:
        await connection.close()
    assert not result.verified
    assert result.fault is not None
    assert result.fault.where == index
    assert (await verified(world)).verified


async def test_damage_at_the_end_is_refused_at_start_and_stops_everything(world: World) -> None:
    await world.end("auditor")
    connection = await owner(world)
    near_the_end = "(SELECT max(entry_index) - 3 FROM audit_entries)"
    change = f"UPDATE audit_entries SET timestamp_ms = timestamp_ms + $1 WHERE entry_index = {near_the_end}"
    try:
        await connection.execute(change, 1)
        with pytest.raises(ChildFailed, match="damaged"):
            await world.start_service(auditor_spec(world))
        await connection.execute(change, -1)
    finally:
        await connection.close()


async def test_a_cut_tail_is_found_against_the_signed_heartbeat_and_refused(world: World) -> None:
    heartbeat = await last_heartbeat(connection_of(world, "operator"), load_registry(world.keys.registry_file))
    assert heartbeat is not None
    connection = await owner(world)
    try:
        await connection.execute("DELETE FROM audit_entries WHERE entry_index >= $1", heartbeat.entries - 2)
    finally:
        await connection.close()
    result = await verified(world, heartbeat)
    assert not result.verified
    assert result.fault is not None
    with pytest.raises(ChildFailed, match="the audit log is cut"):
        await world.start_service(auditor_spec(world))
