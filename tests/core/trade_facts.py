"""Deltas, prices and intents for the tests of trade decisions."""

from dataclasses import replace

from xorj_core.facts import (
    AttemptPlanned,
    Halt,
    MintPosition,
    Mode,
    PortfolioReconciled,
    Position,
    Quote,
    ReferencePriceObserved,
    RiskProfile,
    TradeIntended,
)
from xorj_core.money import value_micro_usd
from xorj_core.trade import PriceRead, TradeInputs, TradeLimits, decide_trade

VAULT = b"\x01" * 32
USDC, JUP, SOL = b"\x0a" * 32, b"\x0b" * 32, b"\x0c" * 32
USD = 10**12
NOW_MS = 1_000_000
LIMITS = TradeLimits(delta_age_ms_max=60_000, price_age_ms_max=30_000, price_impact_bps_max=500)


def position(mint: bytes, amount: int, price: int, decimals: int, target_micro_usd: int) -> MintPosition:
    """A mint of a delta; only values matter."""
    value = value_micro_usd(amount, decimals, price)
    return MintPosition(mint, decimals, amount, price, bytes(32), value, 0, target_micro_usd, value - target_micro_usd)


def delta_of(*positions: MintPosition, trade_seq: int = 0, trigger: int = 1) -> PortfolioReconciled:
    """A delta of a moderate vault: 1 % slippage, trades of 1 to 10,000 USD."""
    return PortfolioReconciled(
        vault=VAULT,
        trigger_fact_id=trigger.to_bytes(32, "big"),
        snapshot_slot=100 + trigger,
        vault_trade_seq=trade_seq,
        trader=bytes(32),
        ranking_fact_id=bytes(32),
        settings_fact_id=bytes(32),
        settings_version=1,
        profile=RiskProfile.MODERATE,
        slippage_bps_max=100,
        trade_value_micro_usd_min=10**6,
        trade_value_micro_usd_max=10**10,
        dead_band_bps=100,
        total_value_micro_usd=sum(p.value_micro_usd for p in positions),
        positions=tuple(sorted(positions, key=lambda p: p.mint)),
        in_balance=False,
    )


def all_into_jup(usdc_base_units: int = 1_000_000_000, trade_seq: int = 0, trigger: int = 1) -> PortfolioReconciled:
    """100 % JUP wanted, only USDC there; JUP costs half a dollar."""
    value = value_micro_usd(usdc_base_units, 6, USD)
    return delta_of(
        position(USDC, usdc_base_units, USD, 6, 0),
        position(JUP, 0, USD // 2, 6, value),
        trade_seq=trade_seq,
        trigger=trigger,
    )


def price_of(mint: bytes, price: int, decimals: int = 6, appended_at_ms: int = NOW_MS) -> PriceRead:
    """A price that was just read."""
    return PriceRead(ReferencePriceObserved(mint, price, decimals, "venue", "market", 1), appended_at_ms)


def quote_of(amount_in: int, amount_out: int) -> Quote:
    """A venue's offer."""
    return Quote("jupiter", amount_in, amount_out, amount_out * 99 // 100, 1, (b"\x05" * 32,), bytes(32))


def inputs_of(delta: PortfolioReconciled, quote: Quote | None = None) -> TradeInputs:
    """Inputs under which everything passes, given a good quote."""
    return TradeInputs(
        delta=delta,
        delta_appended_at_ms=NOW_MS,
        now_ms=NOW_MS,
        mode=Mode.LIVE,
        halt=Halt.UNSPECIFIED,
        halt_detail="",
        control_next_offset=0,
        settings_version=1,
        settings_enabled=True,
        price_in=price_of(USDC, USD),
        price_out=price_of(JUP, USD // 2),
        quote=quote,
        expiry_slot=500,
        limits=LIMITS,
    )


def intended_of(trade_seq: int = 1, trigger: int = 1) -> TradeIntended:
    """The intent of `all_into_jup`."""
    delta = all_into_jup(trade_seq=trade_seq - 1, trigger=trigger)
    answer = decide_trade(inputs_of(delta, quote_of(1_000_000_000, 2_000_000_000)))
    assert isinstance(answer, TradeIntended)
    return answer


def planned_of(intended: TradeIntended, attempt: int = 1, expiry_slot: int = 300) -> AttemptPlanned:
    """A plan of an intent."""
    return AttemptPlanned(
        intended.intent_id,
        intended.trade_id,
        intended.vault,
        intended.trade_seq,
        attempt,
        b"message",
        (),
        bytes(32),
        1000,
        expiry_slot,
        200_000,
        0,
        2_000_000_000,
        100_000,
        200,
    )


def at(topic: str, offset: int) -> Position:
    """A position on the test's cluster."""
    return Position("cluster", topic, 0, offset)


def without_targets(delta: PortfolioReconciled) -> PortfolioReconciled:
    """The same holdings, in balance."""
    return replace(delta, in_balance=True)
