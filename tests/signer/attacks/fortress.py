"""The deployed signer under attack, and the one account of what it was ever allowed to sign.

1. A test names what is lawful by `lawful`; everything else that gets a signature is a failure, whoever asked.
2. After each attack the same process still serves.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from grpc_health.v1 import health_pb2, health_pb2_grpc
from xorj.signer.v1 import signer_pb2
from xorj_core.facts import Fact, SigningRefused, TradeSigned
from xorj_core.facts.common import Position
from xorj_core.facts.trade_intents import AttemptPlanned
from xorj_log.writer import LogWriter

from tests.signer.rig import RefusedCall, ask, channel_of
from tests.signer.running import PASSING, PATIENCE_S, Running, running_signer
from tests.signer.trades import Trade
from tests.worlds import connection_of

OWNED = ("ingestor", "reconciler", "executor", "operator")
"""The principals that the attacker has: every service but auditor and signer."""


class Fortress:
    """The signer, everything that the attacker owns, and what was lawful."""

    def __init__(self, running: Running, writers: dict[str, LogWriter]) -> None:
        self.running = running
        self.writers = writers
        self._lawful: set[tuple[bytes, int, bytes]] = set()

    @property
    def bot(self) -> bytes:
        return self.running.key.public_key

    @property
    def pid(self) -> int:
        return self.running.world.supervisor.pids()["signer"]

    def lawful(self, *plans: AttemptPlanned) -> None:
        """Allow these attempts to be signed, and only with these bytes."""
        self._lawful |= {(plan.intent_id, plan.attempt, hashlib.sha256(plan.message).digest()) for plan in plans}

    async def publish(self, principal: str, *facts: Fact) -> list[Position]:
        return [await self.writers[principal].publish(fact) for fact in facts]

    async def publish_trade(self, trade: Trade) -> list[Position]:
        """Settings and prices, then intent and attempt; the positions of the last two."""
        await self.publish("ingestor", *trade.background())
        return await self.publish("executor", trade.intent, trade.plan)

    async def ask(
        self, intent: Position, attempt: Position, *, caller: str = "executor", timeout_s: float | None = 10.0
    ) -> signer_pb2.SignTradeResponse:
        """One call. Raises RefusedCall."""
        return await ask(self.running.world, self.running.address, intent, attempt, caller=caller, timeout_s=timeout_s)

    async def sign(self, trade: Trade) -> tuple[list[Position], signer_pb2.SignTradeResponse]:
        """A trade that must be signed."""
        self.lawful(trade.plan)
        positions = await self.publish_trade(trade)
        answer = await self.running.answer(positions)
        assert isinstance(answer, signer_pb2.SignTradeResponse), answer
        return positions, answer

    async def refusal(self, positions: list[Position], *, until: str = "") -> RefusedCall:
        """The refusal of what must not be signed; asked again while its reason is a passing one and not `until`."""
        answer = await self.running.answer(positions, until=until)
        assert isinstance(answer, RefusedCall), f"a signature was given: {answer}"
        return answer

    async def refused(self, trade: Trade) -> str:
        """Publish and ask for what must not be signed: the reason, which also stands on the log."""
        refused = await self.refusal(await self.publish_trade(trade))
        reasons = [fact.reason.name for fact in await self.refusals(trade) if fact.reason.name not in PASSING]
        assert reasons == [refused.reason]
        return refused.reason

    async def refusals(self, trade: Trade) -> list[SigningRefused]:
        """What the log says about refusals of a trade's attempt."""
        facts = await self.running.facts("signed-txs")
        wanted = (trade.plan.vault, trade.plan.intent_id)
        return [f for f in facts if isinstance(f, SigningRefused) and (f.vault, f.intent_id) == wanted]

    async def signed(self) -> list[TradeSigned]:
        """Every signature that the log knows."""
        return [fact for fact in await self.running.facts("signed-txs") if isinstance(fact, TradeSigned)]

    async def only_lawful(self) -> None:
        """Fails if the log knows a signature over anything that was not lawful."""
        signed = {(fact.intent_id, fact.attempt, fact.message_sha256) for fact in await self.signed()}
        assert signed <= self._lawful, f"{len(signed - self._lawful)} unlawful signatures"

    async def serves(self) -> bool:
        """Whether the signer says that it is well."""
        async with channel_of(self.running.world, self.running.address, "reconciler") as channel:
            asked = health_pb2.HealthCheckRequest(service="xorj.signer.v1.Signer")
            health = await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=5)
        return bool(health.status == health_pb2.HealthCheckResponse.SERVING)


async def until(what: str, seconds: float = PATIENCE_S) -> AsyncIterator[None]:
    """Rounds of a loop that waits for a condition; fails after `seconds`."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        yield
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


@asynccontextmanager
async def besieged(directory: Path) -> AsyncIterator[Fortress]:
    """A deployed signer and its attacker."""
    async with running_signer(directory) as running, AsyncExitStack() as stack:
        writers = {
            name: await stack.enter_async_context(LogWriter(connection_of(running.world, name), name, "attack"))
            for name in OWNED
        }
        yield Fortress(running, writers)
