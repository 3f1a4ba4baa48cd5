"""The life of a trade on the real world and services: read it beside docs/life-of-a-trade.md.

One world for all tests, in this order: a trade; the executor killed at the worst moment; the auditor stopped; the
audit log tampered with; the kill switch.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from solders.pubkey import Pubkey
from xorj_cli.audit import verify_audit
from xorj_cli.audit_place import place_of
from xorj_cli.kill import kill
from xorj_cli.output import Exit
from xorj_core import ids
from xorj_core.facts import (
    AttemptPlanned,
    PortfolioReconciled,
    RankingObserved,
    RiskProfile,
    TradeConfirmed,
    TradeFinalized,
    TradeIntended,
    TradeRefused,
    TradeRefusedReason,
    TradeSigned,
    TradeSubmitted,
    fact_id,
)
from xorj_localnet.genesis.vaults import MICRO, VaultPlan
from xorj_localnet.market.pools import FEE_RATE_PPM, pools_of
from xorj_log.topics import BY_FACT, SERVICES
from xorj_solana.programs import LOCAL_CPMM_PROGRAM
from xorj_solana.rpc import Commitment
from xorj_solana.tokens import parse_token_account

from tests.stage import Stage, staged

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(200)]

VAULT = "moderate"
PLAN = VaultPlan(VAULT, RiskProfile.MODERATE, {"USDC": 1_000})
ALL_USDC = 1_000 * MICRO


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(Path(tmp_path_factory.mktemp("life")) / "world", (PLAN,)) as started:
        yield started


async def reserves(stage: Stage, mint_in: bytes, mint_out: bytes) -> tuple[int, int]:
    """What the pool of two mints holds now."""
    names = str(Pubkey(mint_in)), str(Pubkey(mint_out))
    pool = next(p for p in pools_of(stage.world.scenario.tokens, LOCAL_CPMM_PROGRAM) if p.holds(*names))
    answer = await stage.rpc.get_multiple_accounts(list(pool.vaults), Commitment.CONFIRMED)
    amounts = [parse_token_account(account.data) for account in answer.accounts if account is not None]
    by_mint = {bytes(account.mint): account.amount for account in amounts}
    return by_mint[mint_in], by_mint[mint_out]


def received(reserve_in: int, reserve_out: int, amount_in: int) -> int:
    """What a constant-product pool pays: the fee is rounded up, what stays in the pool too."""
    fee = -(-amount_in * FEE_RATE_PPM // 1_000_000)
    return reserve_out - -(-reserve_in * reserve_out // (reserve_in + amount_in - fee))


async def test_a_ranking_becomes_one_confirmed_trade_to_the_last_base_unit(stage: Stage) -> None:
    assert (await stage.balances(VAULT))["USDC"] == ALL_USDC
    before = await reserves(stage, stage.mint("USDC"), stage.mint("JUP"))

    await stage.target(JUP=10_000)
    confirmed = await stage.next(TradeConfirmed)

    expected_jup = received(*before, ALL_USDC)
    assert (confirmed.amount_in_base_units, confirmed.amount_out_base_units) == (ALL_USDC, expected_jup)
    held = await stage.balances(VAULT)
    assert held == {"SOL": 0, "USDC": 0, "JUP": expected_jup, "BONK": 0, "JTO": 0}
    on_chain = await stage.vault_on_chain(VAULT)
    assert on_chain.last_trade is not None
    assert (on_chain.trade_seq, on_chain.last_trade.amount_out) == (1, expected_jup)
    finalized = await stage.next(TradeFinalized)
    assert finalized.intent_id == confirmed.intent_id


async def test_every_step_is_a_fact_on_its_topic_by_its_only_writer(stage: Stage) -> None:
    finalized = await stage.next(TradeFinalized)
    mine = finalized.intent_id
    intent = await stage.next(TradeIntended, lambda f: f.intent_id == mine)
    ranking = await stage.next(RankingObserved, lambda f: bool(f.traders))
    delta = await stage.next(PortfolioReconciled, lambda f: _delta(f) == intent.delta_id)
    planned = await stage.next(AttemptPlanned, lambda f: f.intent_id == mine)
    signed = await stage.next(TradeSigned, lambda f: f.intent_id == mine)
    submitted = await stage.next(TradeSubmitted, lambda f: f.intent_id == mine)
    confirmed = await stage.next(TradeConfirmed, lambda f: f.intent_id == mine)
    steps: list[object] = [ranking, delta, intent, planned, signed, submitted, confirmed, finalized]
    writers = ["ingestor", "reconciler", "executor", "executor", "signer", "executor", "executor", "executor"]
    records = [stage.record_of(fact) for fact in steps]
    for fact, record, writer in zip(steps, records, writers, strict=True):
        topic = BY_FACT[type(fact).__name__]
        assert (record.record.position.topic, topic.writers) == (topic.name, (writer,))
        assert record.envelope.producer.split("/")[0] == writer
    times = [record.record.timestamp_ms for record in records]
    assert times == sorted(times)
    assert intent.trade_id == ids.trade_id(intent.vault, 1)
    assert {r.envelope.trade_id for r in records[2:]} == {intent.trade_id}
    assert [type(f).__name__ for f in stage.of(TradeFinalized)] == ["TradeFinalized"]
    assert stage.undecodable == []


def _delta(fact: PortfolioReconciled) -> bytes:
    return ids.delta_id(fact.vault, fact.trigger_fact_id, fact.snapshot_slot)


async def test_the_logs_of_every_service_can_be_joined_on_the_trade(stage: Stage) -> None:
    intent = await stage.next(TradeIntended)
    ranking = await stage.next(RankingObserved, lambda f: bool(f.traders))
    names = {
        name: [json.loads(line) for line in stage.world.small.logs(name).splitlines() if line.startswith("{")]
        for name in SERVICES
    }
    of_trade = {name for name, lines in names.items() if intent.trade_id.hex() in json.dumps(lines)}
    of_ranking = {name for name, lines in names.items() if fact_id(ranking).hex() in json.dumps(lines)}
    # No trade exists yet when a ranking is read: the reconciler's line names both.
    assert of_trade == {"reconciler", "executor", "signer", "auditor"}
    assert of_ranking == {"ingestor", "reconciler"}


async def test_the_executor_killed_between_signing_and_submitting_leaves_exactly_one_trade(stage: Stage) -> None:
    jup = (await stage.balances(VAULT))["JUP"]
    before = await reserves(stage, stage.mint("JUP"), stage.mint("SOL"))
    begun = len(stage.facts)

    # 1. The network swallows what the executor sends.
    stage.proxy.hold("sendTransaction")
    await stage.target(SOL=10_000)
    # 2. The trade is signed; the executor is about to hand it over. Nothing has reached the chain.
    signed = await stage.next(TradeSigned, after=begun)
    await asyncio.wait_for(stage.proxy.held.wait(), 20)
    # 3. The executor dies and is started again.
    stage.world.small.kill("executor")
    stage.proxy.let_through()
    assert (await stage.vault_on_chain(VAULT)).trade_seq == 1
    await stage.world.small.restart("executor")
    # 4. The trade ends once, with the signature that existed before.
    finalized = await stage.next(TradeFinalized, after=begun)
    assert finalized.signature == signed.signature
    on_chain = await stage.vault_on_chain(VAULT)
    assert on_chain.last_trade is not None
    assert (on_chain.trade_seq, bytes(on_chain.last_trade.intent_id)) == (2, signed.intent_id)
    assert (await stage.balances(VAULT))["SOL"] == received(*before, jup)
    assert len(stage.of(TradeSigned)) == len(stage.of(TradeFinalized)) == 2


async def test_while_the_auditor_stands_still_nothing_is_signed_and_then_trading_comes_back(stage: Stage) -> None:
    begun = len(stage.facts)
    stage.world.small.pause("auditor")
    try:
        await asyncio.sleep(1.2)  # the lease is over 1 s after the last echo: what follows is after it, by any clock
        stopped = len(stage.facts)
        await stage.target(USDC=10_000)
        await stage.next(PortfolioReconciled, after=stopped)
        refused = await stage.next(TradeRefused, after=stopped)
        assert refused.reason is TradeRefusedReason.NO_LEASE
        assert [r for r in stage.facts[stopped:] if isinstance(r.fact, TradeIntended | TradeSigned)] == []
    finally:
        stage.world.small.resume("auditor")
    await stage.next(TradeFinalized, after=begun)
    assert (await stage.balances(VAULT))["USDC"] > 0


async def test_the_audit_log_is_intact_and_one_changed_byte_is_found(stage: Stage) -> None:
    body, exit_code = await verify_audit(place_of(stage.running), show_progress=False)
    assert (body["verified"], exit_code) == (True, Exit.OK)
    flip = "UPDATE audit_entries SET value = set_byte(value, 20, get_byte(value, 20) # 1) WHERE entry_index = $1"
    superuser = await asyncpg.connect(stage.world.small.database.dsn("postgres", "xorj_audit"))
    try:
        index = await superuser.fetchval("SELECT min(entry_index) FROM audit_entries WHERE topic = 'trade-intents'")
        await superuser.execute(flip, index)
        body, exit_code = await verify_audit(place_of(stage.running), show_progress=False)
        assert (body["verified"], body["first_bad_entry"], exit_code) == (False, index, Exit.CHECK_FAILED)
        await superuser.execute(flip, index)
    finally:
        await superuser.close()
    body, exit_code = await verify_audit(place_of(stage.running), show_progress=False)
    assert exit_code is Exit.OK


async def test_a_kill_stops_the_next_trade_and_nothing_is_signed_after_it(stage: Stage) -> None:
    trades = len(stage.of(TradeSigned))
    body, exit_code = await kill(stage.running, "the end of the test", None)
    assert exit_code is Exit.OK, body
    services = {ack["service"] for ack in body["acknowledgements"]}
    assert services == {"auditor", "executor", "ingestor", "reconciler", "signer"}

    killed = len(stage.facts)
    await stage.target(BONK=10_000)
    refused = await stage.next(TradeRefused, lambda f: f.reason is TradeRefusedReason.KILLED, after=killed)
    assert refused.vault == bytes(stage.vault(VAULT).vault)
    body, exit_code = await verify_audit(place_of(stage.running), show_progress=False)
    assert exit_code is Exit.OK
    assert len(stage.of(TradeSigned)) == trades
