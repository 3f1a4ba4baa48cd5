"""What no build understands, and faults of the database: everything is entered all the same, once. In this order."""

import asyncio
import hashlib
import os
import struct
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c_py
from xorj_auditor.verify import verify
from xorj_contracts.codec import RECORD_BYTES_MAX, Envelope, encode
from xorj_core.audit_chain import EntryKind, encode_headers, record_leaf
from xorj_core.facts import Fact, KillCommanded, fact_id
from xorj_halt.view import HaltReason
from xorj_localnet.world import World
from xorj_log.reader import LogReader
from xorj_log.topics import TOPICS

from tests.auditor.real_world import anyone, appended, entered_once, entries_after, owner
from tests.contracts.fact_examples import example
from tests.halt.guards import armed, guard_of, halted_for, running, start_auditor, until
from tests.worlds import small_world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with small_world(Path(tmp_path_factory.mktemp("world"))) as started:
        await start_auditor(started)
        yield started


async def counted(world: World, name: str) -> float:
    """The sum of a metric of the auditor over its labels."""
    port = world.supervisor.said_when_ready("auditor")["health_port"]
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def value_of(fact: Fact) -> bytes:
    return encode(Envelope(fact_id(fact), (), b"", "test", "", 0, 0, ""), fact)


async def appended_with_header_name(world: World, name: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """The offset of a record whose header has these bytes as its name, which no client of ours could write."""
    placeholder = "n" * len(name)

    def spoiled(self: BatchBuilder) -> bytes:
        batch = bytearray(built(self)).replace(placeholder.encode(), name)
        struct.pack_into(">I", batch, 17, calc_crc32c_py(bytes(batch[21:])))
        return bytes(batch)

    built = BatchBuilder._build
    producer = AIOKafkaProducer(**anyone(world).client_options(), acks="all")
    await producer.start()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(BatchBuilder, "_build", spoiled)
            sent = await producer.send_and_wait("prices", value=b"v", headers=[(placeholder, b"h")])
    finally:
        await producer.stop()
    return int(sent.offset)


OPAQUE = {
    "oversized": b"\x0a\x20" + os.urandom(RECORD_BYTES_MAX),
    "undecodable": os.urandom(100),
    "empty": b"",
    "absent": None,
    "misplaced": value_of(example(KillCommanded)),
    "unknown type": value_of(example(KillCommanded)).replace(b"KillCommanded", b"KillCommandex"),
}


async def test_what_is_not_understood_is_entered_as_it_is_and_counted(world: World) -> None:
    for value in OPAQUE.values():
        entry = (await entries_after(world, await appended(world, value=value, key=b"k"), 20))[0]
        assert (entry["value"], entry["kind"]) == (value, EntryKind.RECORD)
    assert await counted(world, "xorj_audit_opaque_records_total") == len(OPAQUE)


async def test_a_header_name_that_is_no_text_stops_nobody_and_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = b"\xff\xfe\x00bad"
    offset = await appended_with_header_name(world, name, monkeypatch)
    after = await appended(world)
    entry = (await entries_after(world, replace(after, offset=offset), 20))[0]
    assert entry["headers"] == encode_headers([(name.decode("utf-8", "surrogateescape"), b"h")])
    assert name in entry["headers"]
    assert await entries_after(world, after, 20)


async def test_markers_of_transactions_are_a_gap_with_that_reason(world: World) -> None:
    producer = AIOKafkaProducer(**anyone(world).client_options(), transactional_id="test")
    await producer.start()
    try:
        for _ in range(2):
            async with producer.transaction():
                await producer.send_and_wait("prices", value=b"in a transaction", partition=0)
    finally:
        await producer.stop()
    await entries_after(world, await appended(world), 20)
    connection = await owner(world)
    try:
        gaps = await connection.fetch("SELECT value FROM audit_entries WHERE kind = $1", EntryKind.GAP)
    finally:
        await connection.close()
    assert [gap["value"] for gap in gaps] == [b"control", b"control"]


async def test_every_topic_of_the_table_is_entered(world: World) -> None:
    for topic in TOPICS:
        key = b"key" if topic.compacted_after_ms is not None else None
        position = await appended(world, topic.name, b"to " + topic.name.encode(), key=key)
        if topic.name != "heartbeats":
            assert await entries_after(world, position, 20)


@pytest.mark.slow
async def test_heartbeats_are_entered_by_digests_and_changes_of_state(world: World) -> None:
    """Digests prove the heartbeats that are still on the topic; a kill is a change that stands by itself."""
    with running(guard_of(world, "executor")) as guard:
        await armed(guard)
    async with asyncio.timeout(90):
        while heartbeats_in(digests := await heartbeat_entries(world, EntryKind.DIGEST)) < HEARTBEATS_AWAITED:
            await asyncio.sleep(0.2)
    leaves: dict[int, bytes] = {}
    async with LogReader(anyone(world), ["heartbeats"]) as reader:
        ends = await reader.end_offsets()
        while not await reader.has_reached(ends):
            for record in await reader.read(records_max=2000):
                at = record.position
                headers = encode_headers(record.headers)
                leaves[at.offset] = record_leaf(
                    at.cluster_id, "heartbeats", 0, at.offset, record.timestamp_ms, 0, record.key, headers, record.value
                )
    for digest in digests:
        own = b"".join(leaves[offset] for offset in range(digest["first_offset"], digest["next_offset"]))
        assert hashlib.sha256(own).digest() == digest["value"]
    changes = await heartbeat_entries(world, EntryKind.RECORD)
    assert {row["key"].split(b"/")[0] for row in changes if row["key"]} >= {b"auditor", b"executor"}
    # A digest ends with its minute or before a change, so there are few of them for many heartbeats.
    assert len(changes) < HEARTBEATS_AWAITED / 10
    assert len(digests) <= len(changes) + MINUTES_MAX


HEARTBEATS_AWAITED = 200
MINUTES_MAX = 4


def heartbeats_in(digests: Sequence[Mapping[str, int]]) -> int:
    return sum(row["next_offset"] - row["first_offset"] for row in digests)


async def heartbeat_entries(world: World, kind: EntryKind) -> list[dict[str, Any]]:
    connection = await owner(world)
    try:
        rows = await connection.fetch(
            "SELECT * FROM audit_entries WHERE topic = 'heartbeats' AND kind = $1 ORDER BY entry_index", kind
        )
    finally:
        await connection.close()
    return [dict(row) for row in rows]


async def test_while_the_database_is_down_no_lease_holds_and_nothing_is_skipped(world: World) -> None:
    with running(guard_of(world, "executor", "during-fault")) as guard:
        await armed(guard)
        world.kill("database")
        await until(lambda: halted_for(guard, HaltReason.NO_LEASE), "the lease lapses", 15)
        during = await appended(world)
        await world.restart("database")
        await entries_after(world, during, 30)
        await armed(guard)
    assert "auditor.database_fault" in world.logs("auditor")
    await entered_once(world)
    assert (await verify(world.database.dsn("audit_reader"))).verified


async def test_a_commit_that_fails_in_the_middle_leaves_nothing_half_written(world: World) -> None:
    """Steps: nodes, offsets and batches may not be written for a while, entries may; then they may again."""
    connection = await owner(world)
    try:
        await connection.execute("REVOKE INSERT ON audit_offsets FROM auditor")
        before = await connection.fetchval("SELECT count(*) FROM audit_entries")
        during = await appended(world)
        began = time.monotonic()
        while "permission denied" not in world.logs("auditor"):
            assert time.monotonic() - began < 20
            await asyncio.sleep(0.05)
        assert await connection.fetchval("SELECT count(*) FROM audit_entries") == before
        await connection.execute("GRANT INSERT ON audit_offsets TO auditor")
    finally:
        await connection.close()
    await entries_after(world, during, 30)
    await entered_once(world)
    assert (await verify(world.database.dsn("audit_reader"))).verified
