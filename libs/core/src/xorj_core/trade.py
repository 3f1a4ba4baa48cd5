"""Decides whether one delta becomes one trade: picks the leg, asks every check in order, records each verdict.

Order of checks: kill switch, lease, freshness of the delta, limits, prices, quote, slippage, mode. (Breakers stand
after the lease and are absent now.)

1. The amount in never exceeds the holding in the delta, and is the whole holding when the leg is its whole value.
2. The minimum out is at least the quote bound and at least the reference bound.
3. The sequence is the delta's `vault_trade_seq` + 1: stale holdings carry a stale sequence, which the chain refuses.
4. Nothing is intended unless every verdict passed; in mode observe nothing is intended at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from xorj_core.bounds import minimum_out, quote_bound, reference_bound
from xorj_core.facts import (
    NO_QUOTE,
    Halt,
    MintPosition,
    Mode,
    PortfolioReconciled,
    Quote,
    ReferencePriceObserved,
    SeenRecord,
    TradeBasis,
    TradeIntended,
    TradeRefused,
    TradeRefusedReason,
    Verdict,
    fact_id,
)
from xorj_core.ids import delta_id, intent_id, trade_id
from xorj_core.money import value_micro_usd
from xorj_core.profiles import LIMITS

DECISION_VERSION = 2
RETRY_SOON_MS = 2_000
RETRY_LATER_MS = 60_000
AMOUNT_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Leg:
    """One swap that moves a vault towards its target."""

    overweight: MintPosition
    underweight: MintPosition
    amount_in_base_units: int
    value_micro_usd: int  # at the delta's prices


@dataclass(frozen=True, slots=True)
class PriceRead:
    """A reference price with the broker's append time of its record."""

    fact: ReferencePriceObserved
    appended_at_ms: int


@dataclass(frozen=True, slots=True)
class QuoteRefused:
    """There is no usable quote."""

    reason: TradeRefusedReason  # QUOTE_UNAVAILABLE or QUOTE_INVALID
    detail: str


@dataclass(frozen=True, slots=True)
class TradeLimits:
    """Bounds of the executor's own settings."""

    delta_age_ms_max: int
    price_age_ms_max: int
    price_impact_bps_max: int


@dataclass(frozen=True, slots=True)
class TradeInputs:
    """Everything a decision depends on. Times are the broker's append times and the clock read beside the decision."""

    delta: PortfolioReconciled
    delta_appended_at_ms: int
    now_ms: int
    mode: Mode
    halt: Halt
    halt_detail: str
    control_next_offset: int
    settings_version: int  # the newest that was read for this vault; 0 when none was
    settings_enabled: bool
    price_in: PriceRead | None
    price_out: PriceRead | None
    quote: Quote | QuoteRefused | None  # None: not asked for
    expiry_slot: int
    limits: TradeLimits


@dataclass(frozen=True, slots=True)
class _Failure:
    reason: TradeRefusedReason
    retry_after_ms: int


_Check: TypeAlias = tuple[Verdict, _Failure | None]


def delta_id_of(delta: PortfolioReconciled) -> bytes:
    """The id that an answer to this delta carries."""
    return delta_id(delta.vault, delta.trigger_fact_id, delta.snapshot_slot)


def choose_leg(delta: PortfolioReconciled) -> Leg | None:
    """The largest overweight into the largest underweight; None when there is nothing to trade.

    Equal differences are ordered by mint, so that the choice is the same everywhere. Amounts round down.
    """
    over = [p for p in delta.positions if p.difference_micro_usd > 0 and p.amount_base_units and p.value_micro_usd]
    under = [p for p in delta.positions if p.difference_micro_usd < 0]
    if delta.in_balance or not over or not under:
        return None
    giver = min(over, key=lambda p: (-p.difference_micro_usd, p.mint))
    taker = min(under, key=lambda p: (p.difference_micro_usd, p.mint))
    value = min(giver.difference_micro_usd, -taker.difference_micro_usd, giver.value_micro_usd)
    amount = giver.amount_base_units * value // giver.value_micro_usd
    return Leg(giver, taker, amount, value) if amount else None


def refuse_before_quote(inputs: TradeInputs) -> TradeRefused | None:
    """The refusal that no quote could change, so that no venue is asked for nothing."""
    leg = choose_leg(inputs.delta)
    verdicts: list[Verdict] = []
    for verdict, failure in _checks_before_quote(inputs, leg):
        verdicts.append(verdict)
        if failure is not None:
            return _refused(inputs, verdicts, failure)
    return None


def decide_trade(inputs: TradeInputs) -> TradeIntended | TradeRefused:
    """The one answer to a delta that is not in balance. A leg too small to move a base unit is refused as well."""
    leg = choose_leg(inputs.delta)
    verdicts: list[Verdict] = []
    for verdict, failure in _all_checks(inputs, leg):
        verdicts.append(verdict)
        if failure is not None:
            return _refused(inputs, verdicts, failure)
    if leg is None or inputs.price_in is None or inputs.price_out is None or not isinstance(inputs.quote, Quote):
        raise AssertionError("a check passed without its input")
    return _intended(inputs, leg, inputs.price_in, inputs.price_out, inputs.quote, tuple(verdicts))


def _all_checks(inputs: TradeInputs, leg: Leg | None) -> Iterator[_Check]:
    yield from _checks_before_quote(inputs, leg)
    yield _quote_check(inputs, leg)
    yield from _slippage_checks(inputs, leg)
    live = inputs.mode is Mode.LIVE
    yield _check("mode", live, inputs.mode.name.lower(), TradeRefusedReason.OBSERVE_MODE, RETRY_LATER_MS)


def _checks_before_quote(inputs: TradeInputs, leg: Leg | None) -> Iterator[_Check]:
    reasons = TradeRefusedReason
    halt, detail = inputs.halt, inputs.halt_detail
    yield _check("kill-switch", halt is not Halt.KILLED, detail, reasons.KILLED, RETRY_LATER_MS)
    yield _check("lease", halt is not Halt.NO_LEASE, detail, reasons.NO_LEASE, RETRY_SOON_MS)
    age_ms = inputs.now_ms - inputs.delta_appended_at_ms
    fresh = age_ms <= inputs.limits.delta_age_ms_max
    yield _check("delta-age", fresh, f"{age_ms} ms", reasons.DELTA_STALE, RETRY_SOON_MS)
    current = inputs.settings_version <= inputs.delta.settings_version
    enabled = inputs.settings_enabled or inputs.settings_version < inputs.delta.settings_version
    detail = f"version {inputs.settings_version}, delta {inputs.delta.settings_version}"
    yield _check("settings", current and enabled, detail, reasons.SETTINGS_CHANGED, RETRY_SOON_MS)
    yield from _limit_checks(inputs, leg)
    for name, price in (("price-in", inputs.price_in), ("price-out", inputs.price_out)):
        yield _price_check(name, price, inputs)


def _limit_checks(inputs: TradeInputs, leg: Leg | None) -> Iterator[_Check]:
    delta, reasons = inputs.delta, TradeRefusedReason
    value = leg.value_micro_usd if leg else 0
    detail = f"{value} micro-USD"
    low, high = delta.trade_value_micro_usd_min, delta.trade_value_micro_usd_max
    yield _check("value-min", leg is not None and value >= low, detail, reasons.BELOW_MINIMUM, RETRY_LATER_MS)
    yield _check("value-max", value <= high, detail, reasons.LIMIT_EXCEEDED, RETRY_LATER_MS)
    profile = LIMITS.get(delta.profile)
    allowed = profile is not None and 0 <= delta.slippage_bps_max <= profile.slippage_bps_max
    detail = f"{delta.slippage_bps_max} bps, profile {delta.profile.name.lower()}"
    yield _check("slippage-limit", allowed, detail, reasons.LIMIT_EXCEEDED, RETRY_LATER_MS)


def _price_check(name: str, price: PriceRead | None, inputs: TradeInputs) -> _Check:
    stale = TradeRefusedReason.PRICE_STALE
    if price is None:
        return _check(name, price is not None, "none read", stale, RETRY_SOON_MS)
    age_ms = inputs.now_ms - price.appended_at_ms
    usable = age_ms <= inputs.limits.price_age_ms_max and price.fact.price_pico_usd > 0
    return _check(name, usable, f"{price.fact.price_pico_usd} pico-USD, {age_ms} ms old", stale, RETRY_SOON_MS)


def _quote_check(inputs: TradeInputs, leg: Leg | None) -> _Check:
    reasons = TradeRefusedReason
    quote = inputs.quote or QuoteRefused(reasons.QUOTE_UNAVAILABLE, "not asked for")
    if isinstance(quote, QuoteRefused):
        return Verdict("quote", passed=False, detail=quote.detail), _Failure(quote.reason, RETRY_SOON_MS)
    detail = f"{quote.amount_in_base_units} for {quote.amount_out_base_units}"
    wanted = leg.amount_in_base_units if leg else 0
    right = quote.amount_in_base_units == wanted and 0 < quote.amount_out_base_units <= AMOUNT_MAX
    return _check("quote", right, detail, reasons.QUOTE_INVALID, RETRY_SOON_MS)


def _slippage_checks(inputs: TradeInputs, leg: Leg | None) -> Iterator[_Check]:
    quote, reasons = inputs.quote, TradeRefusedReason
    if leg is None or inputs.price_in is None or inputs.price_out is None or not isinstance(quote, Quote):
        raise AssertionError("a check passed without its input")
    impact = quote.price_impact_bps
    allowed = impact <= inputs.limits.price_impact_bps_max
    yield _check("price-impact", allowed, f"{impact} bps", reasons.PRICE_IMPACT, RETRY_LATER_MS)
    bound = _reference_bound(inputs.delta, leg, inputs.price_in, inputs.price_out)
    detail = f"quote {quote.amount_out_base_units}, reference bound {bound}"
    enough = bound <= quote.amount_out_base_units
    yield _check("slippage", enough, detail, reasons.SLIPPAGE, RETRY_SOON_MS)


def _intended(
    inputs: TradeInputs,
    leg: Leg,
    price_in: PriceRead,
    price_out: PriceRead,
    quote: Quote,
    verdicts: tuple[Verdict, ...],
) -> TradeIntended:
    delta = inputs.delta
    sequence = delta.vault_trade_seq + 1
    trade, identity = trade_id(delta.vault, sequence), delta_id_of(delta)
    bound = quote_bound(quote.amount_out_base_units, delta.slippage_bps_max)
    return TradeIntended(
        intent_id=intent_id(trade, identity),
        trade_id=trade,
        vault=delta.vault,
        trade_seq=sequence,
        delta_id=identity,
        mint_in=leg.overweight.mint,
        mint_out=leg.underweight.mint,
        amount_in_base_units=leg.amount_in_base_units,
        amount_out_min_base_units=minimum_out(bound, _reference_bound(delta, leg, price_in, price_out)),
        slippage_bps_max=delta.slippage_bps_max,
        quote=quote,
        price_in_fact_id=fact_id(price_in.fact),
        price_out_fact_id=fact_id(price_out.fact),
        price_in_pico_usd=price_in.fact.price_pico_usd,
        price_out_pico_usd=price_out.fact.price_pico_usd,
        decimals_in=price_in.fact.decimals,
        decimals_out=price_out.fact.decimals,
        value_micro_usd=value_micro_usd(leg.amount_in_base_units, price_in.fact.decimals, price_in.fact.price_pico_usd),
        verdicts=verdicts,
        expiry_slot=inputs.expiry_slot,
        basis=basis_of(inputs),
    )


def _reference_bound(delta: PortfolioReconciled, leg: Leg, price_in: PriceRead, price_out: PriceRead) -> int:
    return reference_bound(
        leg.amount_in_base_units,
        price_in.fact.price_pico_usd,
        price_in.fact.decimals,
        price_out.fact.price_pico_usd,
        price_out.fact.decimals,
        delta.slippage_bps_max,
    )


def _refused(inputs: TradeInputs, verdicts: list[Verdict], failure: _Failure) -> TradeRefused:
    quote = inputs.quote
    unquoted = quote if isinstance(quote, QuoteRefused) else QuoteRefused(TradeRefusedReason.UNSPECIFIED, "")
    return TradeRefused(
        vault=inputs.delta.vault,
        delta_id=delta_id_of(inputs.delta),
        trade_seq=inputs.delta.vault_trade_seq + 1,
        reason=failure.reason,
        detail=f"{verdicts[-1].check}: {verdicts[-1].detail}",
        verdicts=tuple(verdicts),
        retry_after_ms=failure.retry_after_ms,
        basis=basis_of(inputs),
        quote=quote if isinstance(quote, Quote) else NO_QUOTE,
        quote_refused=unquoted.reason,
        quote_detail=unquoted.detail,
    )


def basis_of(inputs: TradeInputs) -> TradeBasis:
    """The inputs as the answer records them; what stands on the log is named by fact id and append time."""
    limits = inputs.limits
    return TradeBasis(
        delta=SeenRecord(fact_id(inputs.delta), inputs.delta_appended_at_ms),
        now_ms=inputs.now_ms,
        mode=inputs.mode,
        halt=inputs.halt,
        halt_detail=inputs.halt_detail,
        control_next_offset=inputs.control_next_offset,
        settings_version=inputs.settings_version,
        settings_enabled=inputs.settings_enabled,
        price_in=_seen(inputs.price_in),
        price_out=_seen(inputs.price_out),
        delta_age_ms_max=limits.delta_age_ms_max,
        price_age_ms_max=limits.price_age_ms_max,
        price_impact_bps_max=limits.price_impact_bps_max,
    )


def _seen(price: PriceRead | None) -> SeenRecord:
    return SeenRecord() if price is None else SeenRecord(fact_id(price.fact), price.appended_at_ms)


def _check(name: str, passed: bool, detail: str, reason: TradeRefusedReason, retry_after_ms: int) -> _Check:
    return Verdict(name, passed, detail), None if passed else _Failure(reason, retry_after_ms)
