"""A short stretch of recorded data traded by the real services: real mints and closes, exact amounts.

Needs XORJ_RECORDED_DATA, the directory of the recordings.
"""

import csv
import os
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from solders.pubkey import Pubkey
from xorj_cli.audit import verify_audit
from xorj_cli.audit_place import place_of
from xorj_cli.output import Exit
from xorj_core.facts import (
    PortfolioReconciled,
    RankingObserved,
    ReferencePriceObserved,
    RiskProfile,
    TradeConfirmed,
    TradeFinalized,
    TradeIntended,
)
from xorj_localnet.genesis.vaults import VaultPlan
from xorj_localnet.market.pools import FEE_RATE_PPM, pools_of, reserves_at
from xorj_localnet.market.scenario import Trader
from xorj_solana.programs import LOCAL_CPMM_PROGRAM

from tests.stage import Stage, staged

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(200)]

VAULT = "aggressive"
PLAN = VaultPlan(VAULT, RiskProfile.AGGRESSIVE, {"USDC": 1_000})


def recorded_data() -> Path:
    named = os.environ.get("XORJ_RECORDED_DATA", "")
    if not named:
        pytest.skip("XORJ_RECORDED_DATA names no directory of recorded data")
    return Path(named)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    data = recorded_data()
    async with staged(Path(tmp_path_factory.mktemp("recorded")) / "world", (PLAN,), recorded=data) as started:
        yield started


def closes(symbol: str) -> list[Decimal]:
    """The recorded closes in USD, read again by this test."""
    with (recorded_data() / "prices" / f"{symbol}_USDT-1h.csv").open(newline="") as file:
        return [Decimal(row["close"]) for row in csv.DictReader(file)]


def received(stage: Stage, tick: int, mint_in: bytes, mint_out: bytes, amount_in: int) -> int:
    """What the pool of two mints pays when its reserves are those of the recorded closes at `tick`."""
    names = str(Pubkey(mint_in)), str(Pubkey(mint_out))
    pool = next(p for p in pools_of(stage.world.scenario.tokens, LOCAL_CPMM_PROGRAM) if p.holds(*names))
    by_mint = dict(
        zip((token.mint for token in pool.tokens), reserves_at(pool, stage.world.scenario, tick), strict=True)
    )
    reserve_in, reserve_out = by_mint[names[0]], by_mint[names[1]]
    fee = -(-amount_in * FEE_RATE_PPM // 1_000_000)
    return reserve_out - -(-reserve_in * reserve_out // (reserve_in + amount_in - fee))


async def test_the_ranking_is_made_of_the_recorded_wallets(stage: Stage) -> None:
    await stage.world.publish_ranking()
    ranking = await stage.next(RankingObserved, lambda f: bool(f.traders))
    assert [str(Pubkey(t.wallet)) for t in ranking.traders] == [t.wallet for t in stage.world.scenario.traders]
    balanced = await stage.next(PortfolioReconciled, lambda f: f.in_balance)
    best = max(stage.world.scenario.traders, key=lambda t: t.trust_score_hundredths)
    assert best.trust_score_hundredths >= 8_500
    targets = {str(Pubkey(p.mint)): p.target_weight_bps for p in balanced.positions}
    assert {mint: weight for mint, weight in targets.items() if weight} == dict(_mirrored(stage, balanced).allocation)
    for position in balanced.positions:
        assert abs(position.difference_micro_usd) <= balanced.total_value_micro_usd * PLAN.dead_band_bps // 10_000


@pytest.mark.parametrize(("tick", "symbol"), [(1, "SOL"), (25, "BONK"), (49, "JTO")])
async def test_a_trade_at_a_recorded_hour_pays_exactly_what_the_recorded_price_gives(
    stage: Stage, tick: int, symbol: str
) -> None:
    begun = len(stage.facts)
    await stage.tick(tick)
    pico_usd = int(closes(symbol)[tick] * 10**12)
    observed = await stage.next(
        ReferencePriceObserved,
        lambda f: f.mint == stage.mint(symbol) and f.price_pico_usd == pico_usd,
        after=begun,
    )
    assert observed.decimals == {"SOL": 9, "BONK": 5, "JTO": 9}[symbol]
    held = await stage.balances(VAULT)
    await stage.target(**{symbol: 10_000})
    # Every other token is sold into this one, a leg at a time, each through a pool that no leg has used before it.
    legs = sum(amount > 0 for name, amount in held.items() if name != symbol)
    for leg in range(1, legs + 1):
        confirmed = await stage.next(TradeConfirmed, _nth(stage, leg, begun), after=begun)
        mine = confirmed.intent_id
        intent = await stage.next(TradeIntended, _of_intent(mine))
        assert intent.mint_out == stage.mint(symbol)
        expected = received(stage, tick, intent.mint_in, intent.mint_out, confirmed.amount_in_base_units)
        assert confirmed.amount_out_base_units == expected
        assert expected >= intent.amount_out_min_base_units
        await stage.next(TradeFinalized, _of_intent(mine))
    after = await stage.balances(VAULT)
    assert {name for name, amount in after.items() if amount} == {symbol}


def _mirrored(stage: Stage, fact: PortfolioReconciled) -> Trader:
    """The trader that a delta mirrors."""
    return next(t for t in stage.world.scenario.traders if bytes(Pubkey.from_string(t.wallet)) == fact.trader)


def _of_intent(intent_id: bytes) -> Callable[[TradeIntended | TradeFinalized], bool]:
    """Whether a fact belongs to an intent."""
    return lambda fact: fact.intent_id == intent_id


def _nth(stage: Stage, count: int, begun: int) -> Callable[[TradeConfirmed], bool]:
    """Whether a confirmation is the `count`-th since `begun`."""

    def is_nth(fact: TradeConfirmed) -> bool:
        seen = [r.fact for r in stage.facts[begun:] if isinstance(r.fact, TradeConfirmed)]
        return len(seen) >= count and seen[count - 1] == fact

    return is_nth


async def test_the_audit_log_of_the_stretch_is_intact(stage: Stage) -> None:
    _, exit_code = await verify_audit(place_of(stage.running), show_progress=False)
    assert exit_code is Exit.OK
