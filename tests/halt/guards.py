"""What tests of guards share: an auditor process, guards, kills, and waiting for a fact."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from aiokafka import AIOKafkaProducer
from xorj_core.facts import Fact, Position
from xorj_halt.commands import kill_command
from xorj_halt.guard import Guard
from xorj_halt.keys import SigningKey, load_seed
from xorj_halt.view import Halted, HaltReason
from xorj_localnet.world import ServiceSpec, World
from xorj_log.writer import LogWriter

from tests.worlds import connection_of

VAULT = bytes([7]) * 32
OTHER_VAULT = bytes([8]) * 32


async def start_auditor(world: World) -> int:
    return await world.start_service(auditor_spec(world))


def auditor_spec(world: World) -> ServiceSpec:
    audit_key = world.keys.named("auditor-heartbeat").seed_file
    return ServiceSpec("auditor", "xorj_auditor", {"XORJ_AUDIT_KEY_FILE": str(audit_key)})


def guard_of(world: World, service: str, instance: str = "test") -> Guard:
    key = world.keys.named(service)
    connection = connection_of(world, service)
    return Guard(connection, world.keys.registry_file, key.seed_file, service, instance, build="test")


@contextmanager
def running(guard: Guard) -> Iterator[Guard]:
    guard.start()
    try:
        yield guard
    finally:
        guard.stop()


async def until(condition: Callable[[], object], what: str, within_s: float = 20.0) -> float:
    """Waits until `condition` is true; the seconds it took. Fails naming `what` it waited for."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"{what}: not within {within_s} s"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


def halted_for(guard: Guard, reason: HaltReason, vault: bytes | None = None) -> bool:
    verdict = guard.verdict(vault)
    return isinstance(verdict, Halted) and verdict.reason is reason


async def armed(guard: Guard) -> float:
    return await until(lambda: guard.verdict() is None, "the guard is armed")


def key_named(world: World, name: str) -> SigningKey:
    return load_seed(world.keys.named(name).seed_file)


async def publish(world: World, fact: Fact, principal: str = "operator") -> Position:
    connection = connection_of(world, principal)
    async with LogWriter(connection, f"{principal}/test", "test") as writer:
        return await writer.publish(fact)


async def append(
    world: World, topic: str, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
) -> Position:
    """A raw record, as anyone with the operator's certificate may write it."""
    connection = connection_of(world, "operator")
    producer = AIOKafkaProducer(**connection.client_options(), acks="all")
    await producer.start()
    try:
        sent = await producer.send_and_wait(topic, value=value, key=key, headers=list(headers))
    finally:
        await producer.stop()
    return Position(world.broker.cluster_id, topic, sent.partition, sent.offset)


async def kill(world: World, key: SigningKey, *, vault: bytes | None = None, reason: str = "test") -> Position:
    command = kill_command(key, reason, command_id=os.urandom(16), issued_at_us=time.time_ns() // 1000, vault=vault)
    return await publish(world, command)
