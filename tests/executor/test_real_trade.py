"""One delta becomes one finalized trade on real parts, whatever dies or misbehaves on the way.

The tests share one world and run in order: each uses its own vault or the next sequence, the kill comes last.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from xorj_core.facts import (
    AttemptPlanned,
    DeadLettered,
    TradeConfirmed,
    TradeFinalized,
    TradeIntended,
    TradeRefused,
    TradeRefusedReason,
    TradeSigned,
    TradeSubmitted,
)
from xorj_log.writer import LogWriter

from tests.executor.real_world import Stage, staged
from tests.worlds import connection_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
LONG = {"XORJ_EXECUTOR_INTENT_SLOTS": "400", "XORJ_EXECUTOR_ATTEMPT_SLOTS": "290"}
"""Slots are short here: an attempt must outlive the group's session timeout after a kill -9."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory: Path = tmp_path_factory.mktemp("executor-world")
    async with staged(directory, executor=LONG) as found:
        for opened in found.world.vaults:
            await found.publish_settings(opened)
        yield found


def holdings(stage: Stage, name: str) -> dict[str, int]:
    """What a vault was given, by symbol."""
    opened = stage.vault(name)
    by_mint = opened.plan.deposits(stage.world.scenario)
    return {t.symbol: by_mint[t.mint] for t in stage.world.scenario.tokens if t.mint in by_mint}


async def test_all_usdc_becomes_jup(stage: Stage) -> None:
    opened = stage.vault("conservative")
    vault = bytes(opened.vault)
    await stage.publish_delta(opened, holdings(stage, "conservative"), "JUP", 0)
    finalized: TradeFinalized = await stage.wait(TradeFinalized, vault)
    intended: TradeIntended = stage.of(TradeIntended, vault)[0]
    assert intended.amount_in_base_units == 1_000_000_000
    assert finalized.amount_in_base_units == 1_000_000_000
    assert finalized.amount_out_base_units == intended.quote.amount_out_base_units
    assert finalized.amount_out_base_units >= intended.amount_out_min_base_units
    for kind in (TradeIntended, AttemptPlanned, TradeSigned, TradeSubmitted, TradeConfirmed, TradeFinalized):
        assert len(stage.of(kind, vault)) == 1, kind


async def test_a_quote_for_another_mint_is_refused_and_the_next_one_is_taken(stage: Stage) -> None:
    opened = stage.vault("aggressive")
    vault = bytes(opened.vault)
    await stage.world.venue_fault({"path": "/swap/v2/build", "kind": "wrong_mint", "count": 1})
    await stage.publish_delta(opened, holdings(stage, "aggressive"), "SOL", 0)
    refused: TradeRefused = await stage.wait(TradeRefused, vault)
    assert refused.reason is TradeRefusedReason.QUOTE_INVALID
    assert [v.check for v in refused.verdicts][:2] == ["kill-switch", "lease"]
    await stage.publish_delta(opened, holdings(stage, "aggressive"), "SOL", 0)
    await stage.wait(TradeFinalized, vault)
    assert len(stage.of(TradeIntended, vault)) == 1


@pytest.mark.parametrize("fault", [(500, b"{}"), (200, b"<html>rubbish"), (200, b'{"jsonrpc":"2.0","id":1}')])
async def test_an_rpc_that_answers_rubbish_is_waited_out(stage: Stage, fault: tuple[int, bytes]) -> None:
    opened = stage.vault("aggressive")
    vault = bytes(opened.vault)
    last: TradeFinalized = stage.of(TradeFinalized, vault)[-1]
    intended: TradeIntended = stage.of(TradeIntended, vault)[-1]
    symbols = {price.mint: symbol for symbol, price in stage.prices.items()}
    held, wanted = symbols[intended.mint_out], symbols[intended.mint_in]
    rpc = stage.world.faulty_rpc
    rpc.fault, rpc.faults_answered = fault, 0
    await stage.publish_delta(opened, {held: last.amount_out_base_units}, wanted, last.trade_seq)

    await stage.wait_until(lambda: rpc.faults_answered >= 3)
    rpc.fault = None
    finalized: TradeFinalized = await stage.wait(TradeFinalized, vault, count=last.trade_seq + 1)
    assert finalized.trade_seq == last.trade_seq + 1
    assert finalized.amount_in_base_units == last.amount_out_base_units


async def test_garbage_goes_to_the_dead_letters_and_other_vaults_trade_on(stage: Stage) -> None:
    stranger = b"\x07" * 32
    for topic, name in (("portfolio-deltas", "reconciler"), ("confirmations", "executor"), ("signed-txs", "signer")):
        async with LogWriter(connection_of(stage.world.small, name), "test", "test") as writer:
            await writer.append(topic, stranger, b"\xff garbage")

    def dead() -> set[str]:
        facts = [r.fact for r in stage.facts if isinstance(r.fact, DeadLettered) and r.fact.reader == "executor"]
        return {fact.position.topic for fact in facts}

    await stage.wait_until(lambda: dead() >= {"portfolio-deltas", "confirmations", "signed-txs"})


async def test_after_a_kill_nothing_is_intended_and_outcomes_are_still_recorded(stage: Stage) -> None:
    opened = stage.vault("conservative")
    vault = bytes(opened.vault)
    out = stage.of(TradeFinalized, vault)[0].amount_out_base_units
    # A trade in flight when the kill comes: submitted already, so that the chain will end it.
    await stage.publish_delta(opened, {"JUP": out}, "USDC", 1)
    await stage.wait(TradeSubmitted, vault, count=2)
    await stage.publish_kill()
    finalized: TradeFinalized = await stage.wait(TradeFinalized, vault, count=2)
    assert finalized.amount_in_base_units == out
    refused_before = len(stage.of(TradeRefused, vault))
    await stage.publish_delta(opened, {"USDC": finalized.amount_out_base_units}, "JUP", 2)
    refused: TradeRefused = await stage.wait(TradeRefused, vault, count=refused_before + 1)
    assert refused.reason is TradeRefusedReason.KILLED
    assert len(stage.of(TradeIntended, vault)) == 2
