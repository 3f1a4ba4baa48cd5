"""What tests of the auditor on real parts share: records on the log, and what of them stands in the database."""

import time

import asyncpg
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from xorj_core.audit_chain import EntryKind
from xorj_core.facts import Position
from xorj_localnet.world import World
from xorj_log.connection import KafkaConnection
from xorj_log.reader import LogReader
from xorj_log.topics import TOPICS

from tests.worlds import connection_of

AUDITED = [topic for topic in TOPICS if topic.name != "heartbeats"]


def anyone(world: World) -> KafkaConnection:
    """The broker's administrator: may write to every topic, as the union of all services may."""
    return connection_of(world, "admin")


async def owner(world: World) -> "asyncpg.Connection[asyncpg.Record]":
    """The role that owns the audit log and may change it."""
    return await asyncpg.connect(world.database.dsn("xorj_owner", "xorj_audit"))


async def appended(world: World, topic: str = "prices", value: bytes | None = b"a record", **more: object) -> Position:
    """One more record on the log."""
    producer = AIOKafkaProducer(**anyone(world).client_options(), acks="all", max_request_size=4_000_000)
    await producer.start()
    try:
        sent = await producer.send_and_wait(topic, value=value, **more)
    finally:
        await producer.stop()
    return Position(world.broker.cluster_id, sent.topic, sent.partition, sent.offset)


async def entries_after(
    world: World, position: Position, within_s: float, *, required: bool = True
) -> "list[asyncpg.Record]":
    """The entries that stand for this offset, as soon as there are any; there is at most one."""
    connection = await owner(world)
    deadline = time.monotonic() + within_s
    try:
        while time.monotonic() < deadline:
            rows = await connection.fetch(
                "SELECT * FROM audit_entries WHERE topic = $1 AND partition_no = $2 AND first_offset <= $3"
                " AND next_offset > $3",
                position.topic,
                position.partition,
                position.offset,
            )
            assert len(rows) <= 1
            if rows:
                return list(rows)
    finally:
        await connection.close()
    assert not required, f"{position} was not entered within {within_s} s"
    return []


async def entered_once(world: World) -> int:
    """Compares the entries with the log, record by record; returns how many records there are."""
    on_log = {}
    async with LogReader(anyone(world), [topic.name for topic in AUDITED]) as reader:
        ends = await reader.end_offsets()
        while not await reader.has_reached(ends):
            for record in await reader.read(records_max=5000):
                at = record.position
                on_log[(at.topic, at.partition, at.offset)] = (record.timestamp_ms, record.key, record.value)
    connection = await owner(world)
    try:
        rows = await connection.fetch("SELECT * FROM audit_entries WHERE kind = $1", EntryKind.RECORD)
    finally:
        await connection.close()
    stored = {
        (row["topic"], row["partition_no"], row["first_offset"]): (row["timestamp_ms"], row["key"], row["value"])
        for row in rows
    }
    assert len(rows) == len(stored)
    missing = {key for key in on_log if key not in stored}
    assert not missing
    assert all(stored[key] == record for key, record in on_log.items())
    return len(stored)


async def delete_records(world: World, topic: str) -> None:
    """Deletes everything from the topic's one partition, as retention does."""
    async with LogReader(anyone(world), [topic], only={(topic, 0): 0}) as reader:
        end = (await reader.end_offsets())[(topic, 0)]
    admin = AIOKafkaAdminClient(**anyone(world).client_options())
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=end)})
    finally:
        await admin.close()
