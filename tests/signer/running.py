"""The signer as it is deployed: its own process, its own guard, a real auditor; nobody chooses its answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from xorj.signer.v1 import signer_pb2
from xorj_core.base58 import address_text
from xorj_core.facts import Fact
from xorj_core.facts.common import Position
from xorj_localnet.hsm import SignerKey, find_softhsm, provision
from xorj_localnet.process import ProcessSpec
from xorj_localnet.world import ServiceSpec, World
from xorj_log.inbox import FactRecord, read_record
from xorj_log.reader import LogReader
from xorj_log.writer import LogWriter
from xorj_solana.programs import LOCAL_VAULT_PROGRAM

from tests.signer.rig import RefusedCall, ask
from tests.signer.trades import DEPLOYMENT, Trade
from tests.worlds import connection_of, small_world

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


CLUSTER = address_text(DEPLOYMENT.genesis_hash)


def signer_process(world: World, key: SignerKey, **env: str) -> ProcessSpec:
    """The signer as the local world starts it."""
    told = {
        "XORJ_INSTANCE": "1",
        "XORJ_GENESIS_HASH": CLUSTER,
        "XORJ_LOCAL_GENESIS_HASH": CLUSTER,
        "XORJ_VAULT_PROGRAM": str(LOCAL_VAULT_PROGRAM),
        **key.settings,
        **env,
    }
    return world.service_process(ServiceSpec("signer", "xorj_signer", told))


def reason_of(answer: signer_pb2.SignTradeResponse | RefusedCall) -> str:
    """Why it was refused; empty for a signature."""
    return answer.reason if isinstance(answer, RefusedCall) else ""


@asynccontextmanager
async def running_signer(directory: Path) -> AsyncIterator[Running]:
    """A world with an auditor and a signer over SoftHSM, where it is installed."""
    async with small_world(directory) as world:
        key = provision(world.directory / "hsm", find_softhsm())
        await start_auditor(world)
        await world.start_process(signer_process(world, key))
        yield Running(world, key)


async def start_auditor(world: World) -> None:
    """The auditor, whose heartbeats the signer's guard needs."""
    audit_key = str(world.keys.named("auditor-heartbeat").seed_file)
    env = {"XORJ_INSTANCE": "1", "XORJ_AUDIT_KEY_FILE": audit_key}
    await world.start_service(ServiceSpec("auditor", "xorj_auditor", env))
