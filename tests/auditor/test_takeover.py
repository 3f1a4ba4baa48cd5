"""Two auditors as two processes on one database, with a witness: one writes, the other takes over. In this order."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio
from xorj_auditor.store import AuditStore
from xorj_auditor.verify import verify
from xorj_core.checkpoint import parse_checkpoint, parse_key
from xorj_halt.keys import verifies
from xorj_localnet.supervisor import ChildFailed
from xorj_localnet.witness import LocalWitness, start_witness
from xorj_localnet.world import ServiceSpec, World

from tests.auditor.real_world import appended, delete_records, entered_once, entries_after, owner
from tests.halt.guards import auditor_spec
from tests.worlds import small_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAKEOVER_S_MAX = 5.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with small_world(Path(tmp_path_factory.mktemp("world"))) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def witness(world: World) -> LocalWitness:
    return await start_witness(world)


def auditor(world: World, witness: LocalWitness, name: str) -> ServiceSpec:
    spec = auditor_spec(world)
    return replace(spec, name=name, principal="auditor", env={**spec.env, **witness.settings(), "XORJ_INSTANCE": name})


async def writer_of_last_batch(world: World) -> str:
    connection = await owner(world)
    try:
        writer: str = await connection.fetchval("SELECT writer FROM audit_batches ORDER BY first_entry DESC LIMIT 1")
    finally:
        await connection.close()
    return writer


async def written_by(world: World, name: str, within_s: float) -> float:
    """Appends records until one was entered by `name`; how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        entries = await entries_after(world, await appended(world), within_s)
        assert entries
        if await writer_of_last_batch(world) == f"auditor/{name}":
            return time.monotonic() - began
    raise AssertionError(f"{name} has not written within {within_s} s")


async def test_one_writes_and_the_other_stands_by_ready(world: World, witness: LocalWitness) -> None:
    await world.start_service(auditor(world, witness, "one"))
    await world.start_service(auditor(world, witness, "two"))
    assert await written_by(world, "one", 10) < 10
    assert "auditor.stands_by" in world.logs("two")
    async with AuditStore(world.database.dsn("auditor"), "test") as third:
        assert not await third.lead()
        writer = await third.writer()
    assert writer is not None
    assert writer.silent_s < 2


async def test_a_killed_writer_is_followed_within_five_seconds(world: World, witness: LocalWitness) -> None:
    world.kill("one")
    assert await written_by(world, "two", TAKEOVER_S_MAX) < TAKEOVER_S_MAX
    await entered_once(world)
    await world.restart("one")


async def test_a_stalled_writer_is_deposed_within_five_seconds_and_can_write_no_more(
    world: World, witness: LocalWitness
) -> None:
    world.pause("two")
    assert await written_by(world, "one", TAKEOVER_S_MAX) < TAKEOVER_S_MAX
    assert "auditor.writer_deposed" in world.logs("one")
    world.resume("two")
    async with asyncio.timeout(20):
        while "auditor.database_fault" not in world.logs("two"):
            await asyncio.sleep(0.05)
    for _ in range(5):
        await entries_after(world, await appended(world), 10)
        assert await writer_of_last_batch(world) == "auditor/one"
    await entered_once(world)
    assert (await verify(world.database.dsn("audit_reader"))).verified


@pytest.mark.slow
async def test_without_a_witness_nobody_takes_over_and_with_it_somebody_does(
    world: World, witness: LocalWitness
) -> None:
    for name in ("one", "two"):
        if not world.supervisor.running(name):
            await world.start_service(auditor(world, witness, name))
    world.kill("witness")
    world.kill("one")
    async with asyncio.timeout(20):
        while "auditor.waits_for_a_witness" not in world.logs("two"):
            await asyncio.sleep(0.05)
    position = await appended(world)
    assert not await entries_after(world, position, 1.0, required=False)
    await world.end("two")
    assert world.logs("two").count("waits_for_a_witness") >= 1
    await world.restart("witness")
    await world.start_service(auditor(world, witness, "three"))
    assert await entries_after(world, position, 10)


async def test_the_latest_checkpoint_is_cosigned_and_shown(world: World, witness: LocalWitness) -> None:
    running = next(name for name in ("three", "one") if world.supervisor.running(name))
    port = world.supervisor.said_when_ready(running)["health_port"]
    end = (await verify(world.database.dsn("audit_reader"))).entries
    key = parse_key(witness.key)
    async with httpx.AsyncClient() as client, asyncio.timeout(15):
        while True:
            shown = parse_checkpoint((await client.get(f"http://127.0.0.1:{port}/checkpoint")).content)
            if shown.checkpoint.size >= end:
                break
            await asyncio.sleep(0.05)
    shown.signed_by(key, verifies)


async def test_a_database_that_the_witness_does_not_know_is_refused(world: World, witness: LocalWitness) -> None:
    """Steps: the log goes on beyond a copy; the copy comes back; every heartbeat on the log is gone too."""
    for name in ("one", "two", "three"):
        if world.supervisor.running(name):
            await world.end(name)
    connection = await owner(world)
    try:
        end = await connection.fetchval("SELECT max(entry_index) FROM audit_entries")
        await restore_older_copy(connection, end // 2)
    finally:
        await connection.close()
    await delete_records(world, "heartbeats")
    with pytest.raises(ChildFailed, match="does not know this history"):
        await world.start_service(auditor(world, witness, "four"))


async def restore_older_copy(connection: "asyncpg.Connection[asyncpg.Record]", near: int) -> None:
    """Leaves what a backup would hold: everything up to the largest checkpoint of at most `near` entries."""
    size = await connection.fetchval("SELECT max(size) FROM audit_checkpoints WHERE size <= $1", near)
    first = await connection.fetchval("SELECT max(next_entry) FROM audit_batches WHERE next_entry <= $1", size)
    assert first is not None
    size = await connection.fetchval("SELECT max(size) FROM audit_checkpoints WHERE size <= $1", first)
    await connection.execute("DELETE FROM audit_cosignatures WHERE size > $1", size)
    await connection.execute("DELETE FROM audit_checkpoints WHERE size > $1", size)
    await connection.execute("DELETE FROM audit_offsets WHERE first_entry >= $1", first)
    await connection.execute("DELETE FROM audit_batches WHERE first_entry >= $1", first)
    await connection.execute("DELETE FROM audit_nodes WHERE (node_index + 1) << level > $1", first)
    await connection.execute("DELETE FROM audit_entries WHERE entry_index >= $1", first)
