"""The guard against a real broker and a real auditor. The tests follow one another in one world, in this order."""

import asyncio
import dataclasses
import os
import time

import pytest
from xorj_contracts.codec import decode, fact_type
from xorj_core.facts import Acknowledgement, Position, ReferencePriceObserved, ServiceHeartbeat
from xorj_core.keys import Role, parse_registry
from xorj_halt.commands import kill_command
from xorj_halt.guard import Guard
from xorj_halt.keys import signing_key
from xorj_halt.signatures import control_signature, signer_of_heartbeat
from xorj_halt.view import HaltReason
from xorj_localnet.world import World
from xorj_log.reader import LogReader, LogRecord

from tests.contracts.fact_examples import example
from tests.halt.guards import (
    OTHER_VAULT,
    VAULT,
    append,
    armed,
    guard_of,
    halted_for,
    key_named,
    kill,
    publish,
    running,
    start_auditor,
    until,
)
from tests.worlds import connection_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAPSE_S_MAX = 5.0
"""A lease lasts one second; the rest is for a busy machine."""


async def test_without_an_auditor_nobody_is_armed(world: World) -> None:
    guard = guard_of(world, "executor")
    assert halted_for(guard, HaltReason.BLOCKED)
    with running(guard):
        await until(lambda: guard.problem() is None, "control is read to its end")
        assert halted_for(guard, HaltReason.NO_LEASE)
    assert halted_for(guard, HaltReason.BLOCKED)


async def test_without_a_broker_a_guard_blocks_and_keeps_trying(world: World) -> None:
    nowhere = dataclasses.replace(connection_of(world, "executor"), bootstrap="127.0.0.1:1")
    keys = world.keys
    guard = Guard(nowhere, keys.registry_file, keys.named("executor").seed_file, "executor", "lost")
    with running(guard):
        await until(lambda: "no connection" in (guard.problem() or ""), "the guard says why")
        assert halted_for(guard, HaltReason.BLOCKED)
        assert not await guard.wait_covered([Position("", "prices", 0, 0)], 0.05)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_an_error_of_the_guards_own_blocks_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guard_of(world, "executor")

    def fail() -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(guard, "_verify_pending", fail)
    with running(guard):
        await until(lambda: "the guard failed" in (guard.problem() or ""), "the guard has failed")
        assert halted_for(guard, HaltReason.BLOCKED)


async def test_the_auditors_echo_arms_a_guard_and_its_cover_is_awaited(world: World) -> None:
    await start_auditor(world)
    guard = guard_of(world, "signer")
    with running(guard):
        await armed(guard)
        price: ReferencePriceObserved = example(ReferencePriceObserved)
        position = await publish(world, price, "ingestor")
        assert await guard.wait_covered([position], 5.0)
        assert guard.covered(position)
        assert not guard.covered(dataclasses.replace(position, cluster_id="another"))
        later = Position(position.cluster_id, position.topic, position.partition, position.offset + 1)
        assert not await guard.wait_covered([position, later], 0.05)


async def test_a_stopped_auditor_ends_the_lease_and_its_return_renews_it(world: World) -> None:
    with running(guard_of(world, "executor")) as guard:
        await armed(guard)
        world.pause("auditor")
        await until(lambda: halted_for(guard, HaltReason.NO_LEASE), "the lease lapses", LAPSE_S_MAX)
        world.resume("auditor")
        await armed(guard)


async def test_a_stopped_broker_ends_the_lease_instead_of_deafening_the_guard(world: World) -> None:
    with running(guard_of(world, "executor")) as guard:
        await armed(guard)
        world.pause("broker")
        await until(lambda: halted_for(guard, HaltReason.NO_LEASE), "the lease lapses", LAPSE_S_MAX)
        world.resume("broker")
        await armed(guard)


async def test_a_broker_that_was_killed_and_started_again_is_found_again(world: World) -> None:
    with running(guard_of(world, "executor")) as guard:
        await armed(guard)
        world.kill("broker")
        await until(lambda: halted_for(guard, HaltReason.NO_LEASE), "the lease lapses", LAPSE_S_MAX)
        await world.restart("broker")
        await until(lambda: guard.verdict() is None, "the guard is armed", 60)
        assert world.supervisor.running("auditor")


async def test_heartbeats_replayed_without_the_auditor_prove_nothing(world: World) -> None:
    price: ReferencePriceObserved = example(ReferencePriceObserved)
    with running(guard_of(world, "executor")) as guard:
        await armed(guard)
        position = await publish(world, dataclasses.replace(price, observed_at_us=77), "ingestor")
        assert await guard.wait_covered([position], 5.0)
    await world.end("auditor")
    recorded = [r for r in await records_of(world, "heartbeats") if fact_type(r.value) == "AuditHeartbeat"]
    with running(guard_of(world, "executor")) as guard:
        await until(lambda: guard.problem() is None, "control is read to its end")
        for record in recorded[-10:]:
            await append(world, "heartbeats", record.key, record.value or b"")
        # The cover they state is true; the lease they were once good for is not.
        assert await guard.wait_covered([position], 10.0)
        assert halted_for(guard, HaltReason.NO_LEASE)
    await start_auditor(world)


async def test_what_no_registered_key_signed_stops_nothing(world: World) -> None:
    unregistered = signing_key(os.urandom(32))
    operator, auditors = key_named(world, "operator-1"), key_named(world, "auditor-heartbeat")
    forged = kill_command(operator, "stop", command_id=os.urandom(16), issued_at_us=1)
    with running(guard_of(world, "executor")) as guard:
        await armed(guard)
        await kill(world, unregistered)
        await kill(world, auditors)
        await publish(world, dataclasses.replace(forged, reason="stop it"))
        value = b"neither an envelope nor signed by anyone that is known"
        await append(world, "control", None, value)
        last = await append(world, "control", None, value, headers=[control_signature(value, unregistered)])
        await until(lambda: guard.control_next_offset > last.offset, "control is read")
        await armed(guard)


async def test_a_kill_of_one_vault_stops_that_vault_alone(world: World) -> None:
    with running(guard_of(world, "executor")) as guard:
        await armed(guard)
        await kill(world, key_named(world, "operator-1"), vault=VAULT)
        await until(lambda: halted_for(guard, HaltReason.KILLED, VAULT), "the vault is stopped")
        await until(lambda: guard.verdict(OTHER_VAULT) is None and guard.verdict() is None, "others trade on")


async def test_a_kill_is_heard_while_the_process_computes_without_a_pause(world: World) -> None:
    with running(guard_of(world, "executor")) as guard:
        await armed(guard)
        position = await kill(world, key_named(world, "signer"), reason="busy")
        deadline = time.monotonic() + 20
        while not halted_for(guard, HaltReason.KILLED):  # never yields to its own loop
            assert time.monotonic() < deadline, f"{position} was not heard"


async def test_every_key_with_the_role_kills_once_and_each_guard_acknowledges(world: World) -> None:
    registry = parse_registry(world.keys.registry_file.read_bytes())
    names = [key.name for key in world.keys.keys if "kill" in key.roles]
    assert len(names) == sum(Role.KILL in key.roles for key in registry)
    commands = {
        name: kill_command(key_named(world, name), name, command_id=os.urandom(16), issued_at_us=1) for name in names
    }
    with running(guard_of(world, "executor", "first")), running(guard_of(world, "signer", "second")):
        before = await end_of(world, "heartbeats")
        for command in commands.values():
            await publish(world, command)
            await publish(world, command)  # a repeat
        wanted = {command.command_id for command in commands.values()}
        heartbeats: list[ServiceHeartbeat] = []
        async with asyncio.timeout(20):
            while {i for i in ("executor/first", "signer/second") if wanted <= acknowledged(heartbeats, i)} != {
                "executor/first",
                "signer/second",
            }:
                heartbeats = [
                    fact
                    for record in await records_of(world, "heartbeats", before)
                    if isinstance(fact := decode(record.value).fact, ServiceHeartbeat)
                ]
    assert all(signer_of_heartbeat(registry, heartbeat) for heartbeat in heartbeats)
    for heartbeat in heartbeats:
        ids = [acknowledgement.command_id for acknowledgement in heartbeat.acknowledgements]
        assert len(ids) == len(set(ids))


async def test_a_new_guard_finds_the_kill_that_an_earlier_one_heard(world: World) -> None:
    with running(guard_of(world, "ingestor")) as guard:
        await until(lambda: halted_for(guard, HaltReason.KILLED), "the kill is found")
        assert guard.verdict(OTHER_VAULT) is not None


@pytest.mark.parametrize("name", ["operator-2", "reconciler"])
async def test_a_signed_control_record_of_a_kind_from_the_future_is_a_kill(world: World, name: str) -> None:
    value = b"a fact of a later build, signed by " + name.encode()
    position = await append(world, "control", None, value, headers=[control_signature(value, key_named(world, name))])
    with running(guard_of(world, "executor")) as guard:
        await until(lambda: guard.control_next_offset > position.offset, "control is read")
        reasons = [kill.reason for kill in guard.kills if kill.control_offset == position.offset]
        assert len(reasons) == 1
        assert reasons[0].startswith("not understood")


def acknowledged(heartbeats: list[ServiceHeartbeat], instance: str) -> set[bytes]:
    found: list[Acknowledgement] = []
    for heartbeat in heartbeats:
        found += heartbeat.acknowledgements if heartbeat.instance == instance else ()
    return {acknowledgement.command_id for acknowledgement in found}


async def end_of(world: World, topic: str) -> int:
    async with LogReader(connection_of(world, "operator"), (topic,)) as reader:
        return (await reader.end_offsets())[(topic, 0)]


async def records_of(world: World, topic: str, start: int = 0) -> list[LogRecord]:
    """Everything on the one partition of `topic` from `start` to its present end."""
    records: list[LogRecord] = []
    async with LogReader(connection_of(world, "operator"), (topic,), only={(topic, 0): start}) as reader:
        ends = await reader.end_offsets()
        while not await reader.has_reached(ends):
            records += await reader.read()
    return records
