"""The reconciler as a process: facts in, deltas out, on a real broker and a real local chain."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from xorj_core.facts import (
    DeadLettered,
    Fact,
    PortfolioReconciled,
    Quote,
    ReconcileDue,
    ReconciliationRefused,
    ReconciliationRefusedReason,
    TradeFinalized,
    TradeIntended,
    fact_id,
)
from xorj_core.ids import delta_id, intent_id, trade_id
from xorj_log.inbox import FactRecord
from xorj_log.writer import LogWriter

from tests.reconciler.conftest import Stage
from tests.reconciler.vault_facts import JUP, USD, USDC, VaultExample, ranking
from tests.worlds import connection_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST_RANKING = ranking(1, (JUP, 10_000))


def about(example: VaultExample, *kinds: type[Fact]) -> Callable[[FactRecord], bool]:
    """Facts of these kinds about this vault."""
    return lambda item: isinstance(item.fact, kinds) and getattr(item.fact, "vault", b"") == example.vault


def answers(example: VaultExample) -> Callable[[FactRecord], bool]:
    return about(example, PortfolioReconciled, ReconciliationRefused)


def intent_from(delta: PortfolioReconciled) -> TradeIntended:
    """An intent for the whole of the delta's first leg."""
    trade = trade_id(delta.vault, delta.vault_trade_seq + 1)
    asked = delta_id(delta.vault, delta.trigger_fact_id, delta.snapshot_slot)
    empty = dict.fromkeys(("mint_in", "mint_out", "price_in_fact_id", "price_out_fact_id"), b"\x01" * 32)
    fields: dict[str, Any] = {field.name: 0 for field in dataclasses.fields(TradeIntended) if field.name != "basis"}
    fields |= {
        "intent_id": intent_id(trade, asked),
        "trade_id": trade,
        "vault": delta.vault,
        "delta_id": asked,
        **empty,
    }
    fields |= {"trade_seq": delta.vault_trade_seq + 1, "quote": Quote("test", 1, 1, 1, 0, (), b"\x02" * 32)}
    return TradeIntended(**{**fields, "verdicts": ()})


def end_of(intent: TradeIntended, context_slot: int) -> TradeFinalized:
    """The end of an intent that executed."""
    return TradeFinalized(
        intent.intent_id, intent.trade_id, intent.vault, intent.trade_seq, b"", context_slot, 1, 1, context_slot, 1
    )


async def settled(stage: Stage, example: VaultExample) -> PortfolioReconciled:
    """Publish the vault's settings and wait for its first delta."""
    await stage.chain.put_vault(example, {USDC: 1_000 * USD}, trade_seq=3)
    await stage.publish_prices(1)
    await stage.ingestor.publish(example.settings())
    [found] = await stage.seen.wait(about(example, PortfolioReconciled))
    assert isinstance(found.fact, PortfolioReconciled)
    return found.fact


async def test_a_ranking_becomes_a_delta_with_every_number(stage: Stage) -> None:
    example = VaultExample()
    usdc, jup = await stage.publish_prices(1)
    await stage.ingestor.publish(FIRST_RANKING)
    assert await stage.start_reconciler() < 30
    fact = await settled(stage, example)
    assert (fact.vault_trade_seq, fact.total_value_micro_usd, fact.in_balance) == (3, 1_000 * USD, False)
    assert fact.ranking_fact_id == fact_id(FIRST_RANKING)
    assert fact.settings_fact_id == fact.trigger_fact_id == fact_id(example.settings())
    assert [p.price_fact_id for p in fact.positions] == [fact_id(usdc), fact_id(jup)]
    assert [p.difference_micro_usd for p in fact.positions] == [1_000 * USD, -1_000 * USD]


async def test_an_open_trade_is_left_alone_and_its_end_asks_for_one_more_look(stage: Stage) -> None:
    """Holdings change with the trade; the look after the end sees them, at or after the end's slot."""
    example = VaultExample()
    delta = await settled(stage, example)
    intent = intent_from(delta)
    await stage.executor.publish(intent)
    await stage.ingestor.publish(example.settings(version=2))  # would be a reason to look
    await stage.chain.put_vault(example, {USDC: 0, JUP: 2_000 * USD}, trade_seq=4)
    end = end_of(intent, delta.snapshot_slot + 1)
    await stage.executor.publish(end)
    found = await stage.seen.wait(answers(example), count=2)
    last = found[-1].fact
    assert isinstance(last, PortfolioReconciled)
    assert (last.trigger_fact_id, last.vault_trade_seq, last.in_balance) == (fact_id(end), 4, True)
    assert last.snapshot_slot >= end.context_slot
    assert last.settings_version == 2, "one look answers the settings and the end"


async def test_a_vault_that_cannot_be_read_is_refused_and_looked_at_again(stage: Stage) -> None:
    """A vault that is not on the chain is looked at again after the refusal, until it is there."""
    example = VaultExample()
    await stage.ingestor.publish(example.settings())
    [refused] = await stage.seen.wait(about(example, ReconciliationRefused))
    assert isinstance(refused.fact, ReconciliationRefused)
    assert refused.fact.reason is ReconciliationRefusedReason.VAULT_UNREADABLE
    await stage.chain.put_vault(example, {USDC: 7 * USD})
    [delta] = await stage.seen.wait(about(example, PortfolioReconciled))
    dues = {fact_id(item.fact): item.fact for item in stage.seen.facts if about(example, ReconcileDue)(item)}
    assert isinstance(delta.fact, PortfolioReconciled)
    assert delta.fact.trigger_fact_id in dues


async def test_garbage_on_each_topic_is_dead_lettered_and_freezes_only_its_vault(stage: Stage) -> None:
    """1. Garbage under a vault's key on each topic keyed by vault; garbage on the others. 2. That vault gets no delta
    for a new ranking, another does. 3. A later record of that key that decodes ends it."""
    frozen, other = VaultExample(), VaultExample()
    await settled(stage, frozen)
    await settled(stage, other)
    async with LogWriter(connection_of(stage.world, "reconciler"), "reconciler/test", "test") as reconciler:
        for writer, topic, key in (
            (stage.ingestor, "user-settings", frozen.vault),
            (stage.executor, "trade-intents", b"no vault"),
            (stage.executor, "confirmations", b""),
            (reconciler, "portfolio-deltas", b"\xff"),
            (stage.ingestor, "strategies", b"engine"),
            (stage.ingestor, "prices", None),
        ):
            await writer.append(topic, key, b"garbage")
    letters = await stage.seen.wait(
        lambda item: isinstance(item.fact, DeadLettered) and item.fact.value == b"garbage", count=6
    )
    topics = {item.fact.position.topic for item in letters if isinstance(item.fact, DeadLettered)}
    assert len(topics) == 6
    newer = ranking(2, (USDC, 5_000), (JUP, 5_000))
    await stage.ingestor.publish(newer)
    await stage.seen.wait(lambda item: answers(other)(item) and fact_id(newer) in item.envelope.causation_ids)
    assert not [i for i in stage.seen.facts if answers(frozen)(i) and fact_id(newer) in i.envelope.causation_ids]
    await stage.ingestor.publish(frozen.settings(version=2))
    [delta] = await stage.seen.wait(
        lambda item: answers(frozen)(item) and fact_id(newer) in item.envelope.causation_ids
    )
    assert isinstance(delta.fact, PortfolioReconciled)
    assert delta.fact.settings_version == 2


async def test_after_kill_9_history_is_not_answered_again_and_new_facts_are(stage: Stage) -> None:
    """1. Kill. 2. A new vault's settings arrive. 3. Restart. 4. Only the new vault is answered."""
    await stage.seen.poll()
    before = {fact_id(i.fact) for i in stage.seen.facts if isinstance(i.fact, PortfolioReconciled)}
    example = VaultExample()
    await stage.chain.put_vault(example, {USDC: 5 * USD})
    stage.world.kill("reconciler")
    await stage.ingestor.publish(example.settings())
    await stage.world.restart("reconciler")
    await stage.seen.wait(about(example, PortfolioReconciled))
    marker = VaultExample()
    await settled(stage, marker)
    after = [i.fact for i in stage.seen.facts if isinstance(i.fact, PortfolioReconciled)]
    assert {fact.vault for fact in after if fact_id(fact) not in before} == {example.vault, marker.vault}


async def test_sigterm_stops_it_in_order(stage: Stage) -> None:
    await stage.world.end("reconciler")
    assert '"failed": false' in stage.world.logs("reconciler").splitlines()[-1]
