"""The signer as its own process beside a real auditor: the guard is its own, and nobody can choose its answers."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from xorj.signer.v1 import signer_pb2
from xorj_core.facts import Fact, ServiceStarted, TradeSigned
from xorj_core.facts.common import Position
from xorj_halt.commands import kill_command
from xorj_halt.keys import load_seed, verifies
from xorj_localnet.hsm import SignerKey, find_softhsm, provision
from xorj_localnet.process import ProcessSpec
from xorj_localnet.world import ServiceSpec, World
from xorj_log.inbox import FactRecord, read_record
from xorj_log.reader import LogReader
from xorj_log.writer import LogWriter
from xorj_solana.programs import LOCAL_VAULT_PROGRAM

from tests.signer.rig import RefusedCall, ask
from tests.signer.trades import Trade, honest_trade
from tests.worlds import connection_of, small_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_S = 30.0
PASSING = ("NO_LEASE", "NOT_AUDITED", "SETTINGS_MISSING", "PRICE_MISSING")


class Running:
    """The world, its signer's address, and its key."""

    def __init__(self, world: World, key: SignerKey) -> None:
        self.world = world
        self.key = key

    @property
    def address(self) -> str:
        return str(self.world.supervisor.said_when_ready("signer")["address"])

    async def publish(self, principal: str, *facts: Fact) -> list[Position]:
        async with LogWriter(connection_of(self.world, principal), principal, "test") as writer:
            return [await writer.publish(fact) for fact in facts]

    async def publish_trade(self, trade: Trade) -> list[Position]:
        await self.publish("ingestor", *trade.background())
        return await self.publish("executor", trade.intent, trade.plan)

    async def answer(self, positions: list[Position], *, until: str = "") -> signer_pb2.SignTradeResponse | RefusedCall:
        """Ask as an executor does: again while the reason is a passing one and not the one waited for."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                signed = await ask(self.world, self.address, *positions)
                if not until or time.monotonic() > give_up:
                    return signed
            except RefusedCall as refused:
                if refused.reason == until or time.monotonic() > give_up:
                    return refused
                if not until and refused.reason not in PASSING:
                    return refused
            await asyncio.sleep(0.05)

    async def facts(self, topic: str) -> list[Fact]:
        found: list[Fact] = []
        async with LogReader(connection_of(self.world, "auditor"), (topic,)) as reader:
            ends = await reader.end_offsets()
            while not await reader.has_reached(ends):
                items = [read_record(record) for record in await reader.read()]
                found += [item.fact for item in items if isinstance(item, FactRecord)]
        return found


def signer_process(world: World, key: SignerKey, **env: str) -> ProcessSpec:
    """The signer as the local world starts it."""
    told = {
        "XORJ_INSTANCE": "1",
        "XORJ_GENESIS_HASH": "genesis of this test",
        "XORJ_LOCAL_GENESIS_HASH": "genesis of this test",
        "XORJ_VAULT_PROGRAM": str(LOCAL_VAULT_PROGRAM),
        **key.settings,
        **env,
    }
    return world.service_process(ServiceSpec("signer", "xorj_signer", told))


def reason_of(answer: signer_pb2.SignTradeResponse | RefusedCall) -> str:
    """Why it was refused; empty for a signature."""
    return answer.reason if isinstance(answer, RefusedCall) else ""


def secret_of(key: SignerKey) -> str:
    """The seed of a file key, as the file holds it."""
    return Path(key.settings["XORJ_SIGNER_KEY_FILE"]).read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with small_world(Path(tmp_path_factory.mktemp("world"))) as world:
        key = provision(world.directory / "hsm", find_softhsm())
        audit_key = str(world.keys.named("auditor-heartbeat").seed_file)
        env = {"XORJ_INSTANCE": "1", "XORJ_AUDIT_KEY_FILE": audit_key}
        await world.start_service(ServiceSpec("auditor", "xorj_auditor", env))
        await world.start_process(signer_process(world, key))
        yield Running(world, key)


async def test_a_trade_that_the_auditor_holds_is_signed(running: Running) -> None:
    trade = honest_trade(running.key.public_key)
    answer = await running.answer(await running.publish_trade(trade))
    assert isinstance(answer, signer_pb2.SignTradeResponse), answer
    assert verifies(running.key.public_key, trade.plan.message, answer.signature)
    signed = [f for f in await running.facts("signed-txs") if isinstance(f, TradeSigned)]
    assert [(f.provider, f.signature) for f in signed] == [(running.key.provider, answer.signature)]
    started = [f for f in await running.facts("observations") if isinstance(f, ServiceStarted)]
    assert any(fact.service == "signer" for fact in started)


async def test_the_same_bytes_after_a_crash_give_the_same_signature(running: Running) -> None:
    positions = await running.publish_trade(honest_trade(running.key.public_key))
    first = await running.answer(positions)
    running.world.kill("signer")
    await running.world.restart("signer")
    again = await running.answer(positions)
    assert isinstance(first, signer_pb2.SignTradeResponse)
    assert again == first


async def test_without_an_auditor_the_lease_lapses(running: Running) -> None:
    signed = await running.publish_trade(honest_trade(running.key.public_key))
    assert isinstance(await running.answer(signed), signer_pb2.SignTradeResponse)
    running.world.pause("auditor")
    try:
        refused = await running.answer(signed, until="NO_LEASE")
        unseen = await running.publish_trade(honest_trade(running.key.public_key))
        unaudited = await running.answer(unseen, until="NOT_AUDITED")
    finally:
        running.world.resume("auditor")
    assert reason_of(refused) == "NO_LEASE"
    assert reason_of(unaudited) in ("NOT_AUDITED", "NO_LEASE")
    assert isinstance(await running.answer(unseen), signer_pb2.SignTradeResponse)


async def test_a_signer_that_is_not_told_otherwise_observes(running: Running) -> None:
    positions = await running.publish_trade(honest_trade(running.key.public_key))
    await running.world.end("signer")
    spec = signer_process(running.world, running.key)
    env = {name: value for name, value in spec.env.items() if name != "XORJ_MODE"}
    observing = ProcessSpec("signer", spec.argv, env, ready_s_max=30.0, ready_file=spec.ready_file)
    await running.world.start_process(observing)
    refused = await running.answer(positions, until="OBSERVE_MODE")
    await running.world.end("signer")
    await running.world.start_process(spec)
    assert reason_of(refused) == "OBSERVE_MODE"
    assert isinstance(await running.answer(positions), signer_pb2.SignTradeResponse)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"XORJ_SIGNER_PROVIDER": "file", "XORJ_LOCAL_GENESIS_HASH": "another"}, "local cluster only"),
        ({"XORJ_SIGNER_PROVIDER": "file", "XORJ_SIGNER_KEY_FILE": "/nowhere/a.seed"}, "/nowhere/a.seed"),
        ({"XORJ_SIGNER_PROVIDER": "none"}, "XORJ_SIGNER_PROVIDER"),
        ({"XORJ_VAULT_PROGRAM": "no address"}, "cannot start"),
        ({"XORJ_KEYS_FILE": "/nowhere/keys.json"}, "/nowhere/keys.json"),
    ],
)
async def test_settings_that_cannot_work_are_named_at_start(
    running: Running, changed: dict[str, str], told: str, tmp_path: Path
) -> None:
    seed = provision(tmp_path, None)
    spec = signer_process(running.world, seed, **changed)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XORJ_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "xorj_signer"],
        env={**environment, **spec.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert secret_of(seed) not in done.stderr


async def test_a_kill_stops_the_signer_by_itself_also_for_what_it_has_signed(running: Running) -> None:
    """The last test of the module: a kill stays in force."""
    signed = await running.publish_trade(honest_trade(running.key.public_key))
    assert isinstance(await running.answer(signed), signer_pb2.SignTradeResponse)
    operator = load_seed(running.world.keys.named("operator-1").seed_file)
    command = kill_command(operator, "a test", command_id=os.urandom(16), issued_at_us=time.time_ns() // 1000)
    await running.publish("operator", command)
    refused = await running.answer(signed, until="KILLED")
    assert reason_of(refused) == "KILLED"
    fresh = await running.answer(await running.publish_trade(honest_trade(running.key.public_key)), until="KILLED")
    assert reason_of(fresh) == "KILLED"
