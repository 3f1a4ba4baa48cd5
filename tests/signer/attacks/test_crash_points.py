"""What a crash leaves between each two steps of the request path: of the signer (SIGKILL) and of its database.

Each test: plant the fault for one vault, ask, let it happen, start the parts again, and compare what the ledger, the
log and the caller hold. Which of two lawful outcomes a crash leaves does not matter; what may never be is in `agree`.
"""

import asyncio
import dataclasses
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from xorj.signer.v1 import signer_pb2
from xorj_core.facts import TradeSigned
from xorj_core.facts.common import Position
from xorj_halt.keys import verifies

from tests.signer.attacks.fortress import Fortress, until
from tests.signer.dying_signer import STEPS
from tests.signer.rig import RefusedCall
from tests.signer.running import signer_process
from tests.signer.trades import Trade, honest_trade
from tests.worlds import reachable

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[3]
QUICK = ("after-reserve", "after-complete", "after-publish")
"""The crashes that the ordinary test run takes; the others are the same by their outcome."""
BOUND_FROM = STEPS.index("after-reserve")
SIGNED_FROM = STEPS.index("after-complete")


class Frail:
    """A signer into which faults are planted."""

    def __init__(self, fortress: Fortress, fault: Path) -> None:
        self.fortress = fortress
        self.fault = fault
        running = fortress.running
        spec = signer_process(running.world, running.key)
        env = {**spec.env, "XORJ_TEST_FAULT": str(fault)}
        argv = (sys.executable, "-m", "tests.signer.dying_signer")
        self.spec = dataclasses.replace(spec, argv=argv, env=env, cwd=ROOT)

    async def start(self) -> None:
        """As it stands, with whatever fault is planted."""
        await self.fortress.running.world.start_process(self.spec)

    def plant(self, step: str, trade: Trade, how: str) -> None:
        for suffix in (".reached", ".go"):
            self.fault.with_suffix(suffix).unlink(missing_ok=True)
        wish = {"step": step, "vault": trade.intent.vault.hex(), "how": how}
        aside = self.fault.with_suffix(".aside")
        aside.write_text(json.dumps(wish))
        aside.replace(self.fault)

    def heal(self) -> None:
        self.fault.unlink(missing_ok=True)
        self.fault.with_suffix(".go").touch()

    async def reached(self) -> None:
        async for _ in until("the planted step"):
            if self.fault.with_suffix(".reached").exists():
                return

    async def died(self) -> None:
        async for _ in until("the signer's death"):
            if not self.fortress.running.world.supervisor.running("signer"):
                return

    async def rows(self, trade: Trade) -> list[asyncpg.Record]:
        """What the ledger binds for a trade's sequence, living intents only."""
        connection = await asyncpg.connect(self.fortress.running.world.database.dsn("signer"))
        try:
            return list(
                await connection.fetch(
                    "SELECT i.intent_id, a.signed_fact IS NOT NULL AS signed, a.published_offset FROM intent i"
                    " LEFT JOIN attempt a USING (intent_id)"
                    " WHERE i.vault = $1 AND i.trade_seq = $2 AND i.expired_fact_id IS NULL",
                    trade.intent.vault,
                    trade.intent.trade_seq,
                )
            )
        finally:
            await connection.close()

    async def on_log(self, trade: Trade) -> list[TradeSigned]:
        return [fact for fact in await self.fortress.signed() if fact.vault == trade.intent.vault]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def frail(standing: Fortress, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Frail]:
    world = standing.running.world
    await world.end("signer")
    frail = Frail(standing, Path(tmp_path_factory.mktemp("fault")) / "fault.json")
    await frail.start()
    yield frail
    frail.heal()
    await world.end("signer")
    await world.start_process(signer_process(world, standing.running.key))


async def agree(frail: Frail, trade: Trade, positions: list[Position], given: bytes | None) -> None:
    """After the crash: one intent for the sequence, and one signature, the same in ledger, log and answer."""
    answer = await frail.fortress.running.answer(positions)
    assert isinstance(answer, signer_pb2.SignTradeResponse), answer
    assert verifies(frail.fortress.bot, trade.plan.message, answer.signature)
    assert given in (None, answer.signature)
    assert {fact.signature for fact in await frail.on_log(trade)} == {answer.signature}
    rows = await frail.rows(trade)
    assert [(row["intent_id"], row["signed"]) for row in rows] == [(trade.intent.intent_id, True)]


async def ask_once(frail: Frail, positions: list[Position]) -> signer_pb2.SignTradeResponse | RefusedCall:
    try:
        return await frail.fortress.ask(positions[0], positions[1])
    except RefusedCall as refused:
        return refused


@pytest.mark.parametrize(
    "step", [step if step in QUICK else pytest.param(step, marks=pytest.mark.slow) for step in STEPS]
)
async def test_a_signer_killed_between_two_steps_leaves_one_intent_and_no_unknown_signature(
    frail: Frail, step: str
) -> None:
    fortress = frail.fortress
    trade = honest_trade(fortress.bot)
    fortress.lawful(trade.plan)
    positions = await fortress.publish_trade(trade)
    await settled(frail, trade)
    frail.plant(step, trade, "die")
    answer = await ask_once(frail, positions)
    await frail.died()
    frail.heal()
    left = await frail.rows(trade)
    assert bool(left) == (STEPS.index(step) >= BOUND_FROM)
    assert any(row["signed"] for row in left) == (STEPS.index(step) >= SIGNED_FROM)
    await frail.start()
    if STEPS.index(step) >= SIGNED_FROM:  # nobody asks again: the log comes to know it by itself
        async for _ in until("the outbox"):
            if await frail.on_log(trade):
                break
    rival = honest_trade(fortress.bot, owner=trade.settings.owner, seq=1)
    if left:
        assert await fortress.refused(rival) == "SEQUENCE_TAKEN"
    given = answer.signature if isinstance(answer, signer_pb2.SignTradeResponse) else None
    await agree(frail, trade, positions, given)


async def settled(frail: Frail, trade: Trade) -> None:
    """Until the signer would get past everything that comes before the ledger: it signs another attempt's neighbour.

    A request that is refused for a passing reason never reaches the planted step.
    """
    neighbour = honest_trade(frail.fortress.bot)
    await frail.fortress.sign(neighbour)
    assert neighbour.intent.vault != trade.intent.vault


SLOWER = ("after-reserve", "within-complete", "after-complete")


@pytest.mark.parametrize("step", ["within-reserve", *(pytest.param(step, marks=pytest.mark.slow) for step in SLOWER)])
async def test_a_database_killed_between_two_steps_loses_nothing_that_was_promised(frail: Frail, step: str) -> None:
    fortress = frail.fortress
    world = fortress.running.world
    trade = honest_trade(fortress.bot)
    fortress.lawful(trade.plan)
    positions = await fortress.publish_trade(trade)
    await settled(frail, trade)
    frail.plant(step, trade, "hold")
    asked = asyncio.create_task(ask_once(frail, positions))
    await frail.reached()
    world.kill("database")
    frail.heal()
    answer = await asked
    if step != "after-complete":
        assert isinstance(answer, RefusedCall)
        assert answer.reason == "LEDGER_UNAVAILABLE"
        assert not await frail.on_log(trade)
    reachable(world.directory)  # another test run may have closed the directory that all of them share
    await world.restart("database")
    if not world.supervisor.running("auditor"):
        await world.restart("auditor")
    left = await frail.rows(trade)
    assert bool(left) == (step != "within-reserve"), "memory was ahead of the disk" if left else "a row was lost"
    given = answer.signature if isinstance(answer, signer_pb2.SignTradeResponse) else None
    if not left:  # nothing was promised: a rival may have the sequence, and then the first one may not
        rival = honest_trade(fortress.bot, owner=trade.settings.owner)
        await fortress.sign(rival)
        refused = await fortress.refusal(positions)
        assert refused.reason == "SEQUENCE_TAKEN"
    else:
        await agree(frail, trade, positions, given)
    assert world.supervisor.running("signer")
