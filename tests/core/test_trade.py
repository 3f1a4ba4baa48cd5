"""decide_trade: its numbered invariants, and every refusal in the order of the checks."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xorj_core.bounds import quote_bound, reference_bound
from xorj_core.facts import NO_QUOTE, Halt, Mode, TradeIntended, TradeRefused
from xorj_core.facts import TradeRefusedReason as Reason
from xorj_core.trade import QuoteRefused, TradeInputs, choose_leg, decide_trade, refuse_before_quote

from tests.core.trade_facts import (
    JUP,
    NOW_MS,
    SOL,
    USD,
    USDC,
    all_into_jup,
    delta_of,
    inputs_of,
    position,
    price_of,
    quote_of,
    without_targets,
)

AMOUNTS = st.integers(min_value=1, max_value=2**63)
PRICES = st.integers(min_value=1, max_value=10**18)
DECIMALS = st.integers(min_value=0, max_value=12)


def test_all_usdc_becomes_jup() -> None:
    answer = decide_trade(inputs_of(all_into_jup(), quote_of(1_000_000_000, 1_999_000_000)))
    assert isinstance(answer, TradeIntended)
    assert (answer.amount_in_base_units, answer.mint_in, answer.mint_out) == (1_000_000_000, USDC, JUP)
    assert answer.amount_out_min_base_units == 1_980_000_000  # the reference bound; the quote's is 1,979,010,000
    assert answer.trade_seq == 1
    assert all(v.passed for v in answer.verdicts)
    order = [v.check for v in answer.verdicts]
    assert order[:2] == ["kill-switch", "lease"]
    assert order[-4:] == ["quote", "price-impact", "slippage", "mode"]


@given(
    amounts=st.tuples(AMOUNTS, AMOUNTS), prices=st.tuples(PRICES, PRICES), decimals=DECIMALS, share=st.integers(0, 100)
)
def test_a_leg_never_exceeds_the_holding_nor_its_value(
    amounts: tuple[int, int], prices: tuple[int, int], decimals: int, share: int
) -> None:
    """Invariant 1."""
    over = position(USDC, amounts[0], prices[0], decimals, 0)
    over = replace(over, difference_micro_usd=over.value_micro_usd * share // 100)
    under = position(JUP, amounts[1], prices[1], decimals, 0)
    under = replace(under, difference_micro_usd=-under.value_micro_usd - 1)
    leg = choose_leg(delta_of(over, under))
    if leg is None:
        return
    assert 0 < leg.amount_in_base_units <= over.amount_base_units
    assert leg.value_micro_usd <= min(over.difference_micro_usd, -under.difference_micro_usd)
    assert leg.amount_in_base_units * over.value_micro_usd <= over.amount_base_units * leg.value_micro_usd


@given(amount=AMOUNTS, price=PRICES, decimals=DECIMALS)
def test_a_leg_of_the_whole_value_takes_the_whole_holding(amount: int, price: int, decimals: int) -> None:
    """Invariant 1: exact all-in, no dust left by rounding."""
    over = position(USDC, amount, price, decimals, 0)
    under = replace(position(JUP, 0, USD, 6, 0), difference_micro_usd=-over.value_micro_usd)
    leg = choose_leg(delta_of(over, under))
    assert leg is None if over.value_micro_usd == 0 else leg is not None and leg.amount_in_base_units == amount


@given(amount=st.integers(10**6, 10**10), out_share=st.integers(9_900, 12_000), price=st.integers(10**6, 10**13))
def test_the_minimum_out_is_at_least_both_bounds(amount: int, out_share: int, price: int) -> None:
    """Invariant 2."""
    fair = amount * USD // price
    quote = quote_of(amount, max(1, fair * out_share // 10_000))
    inputs = replace(inputs_of(all_into_jup(amount), quote), price_out=price_of(JUP, price))
    answer = decide_trade(inputs)
    reference = reference_bound(amount, USD, 6, price, 6, 100)
    if isinstance(answer, TradeRefused):
        assert answer.reason is Reason.SLIPPAGE
        assert quote.amount_out_base_units < reference
        return
    assert answer.amount_out_min_base_units == max(reference, quote_bound(quote.amount_out_base_units, 100))
    assert answer.amount_out_min_base_units <= quote.amount_out_base_units


def test_one_base_unit_below_the_reference_bound_is_refused() -> None:
    bound = reference_bound(1_000_000_000, USD, 6, USD // 2, 6, 100)
    assert isinstance(decide_trade(inputs_of(all_into_jup(), quote_of(1_000_000_000, bound))), TradeIntended)
    refused = decide_trade(inputs_of(all_into_jup(), quote_of(1_000_000_000, bound - 1)))
    assert isinstance(refused, TradeRefused)
    assert refused.reason is Reason.SLIPPAGE


def test_the_largest_overweight_goes_into_the_largest_underweight() -> None:
    delta = delta_of(
        position(USDC, 100_000_000, USD, 6, 40_000_000),
        position(SOL, 10**9, 80 * USD, 9, 0),
        position(JUP, 0, USD // 2, 6, 90_000_000),
        position(b"\x0d" * 32, 0, USD, 6, 50_000_000),
    )
    leg = choose_leg(delta)
    assert leg is not None
    assert (leg.overweight.mint, leg.underweight.mint) == (SOL, JUP)
    assert leg.amount_in_base_units == 10**9


def test_nothing_is_traded_in_balance() -> None:
    assert choose_leg(without_targets(all_into_jup())) is None


GOOD = inputs_of(all_into_jup(), quote_of(1_000_000_000, 2_000_000_000))
REFUSALS = [
    (replace(GOOD, halt=Halt.KILLED), Reason.KILLED),
    (replace(GOOD, halt=Halt.NO_LEASE), Reason.NO_LEASE),
    (replace(GOOD, now_ms=NOW_MS + 60_001), Reason.DELTA_STALE),
    (replace(GOOD, settings_version=2), Reason.SETTINGS_CHANGED),
    (replace(GOOD, settings_enabled=False), Reason.SETTINGS_CHANGED),
    (replace(GOOD, delta=replace(GOOD.delta, trade_value_micro_usd_min=10**9 + 1)), Reason.BELOW_MINIMUM),
    (replace(GOOD, delta=replace(GOOD.delta, trade_value_micro_usd_max=10**9 - 1)), Reason.LIMIT_EXCEEDED),
    (replace(GOOD, delta=replace(GOOD.delta, slippage_bps_max=101)), Reason.LIMIT_EXCEEDED),
    (replace(GOOD, price_in=None), Reason.PRICE_STALE),
    (replace(GOOD, price_out=price_of(JUP, USD // 2, appended_at_ms=NOW_MS - 30_001)), Reason.PRICE_STALE),
    (replace(GOOD, price_out=price_of(JUP, 0)), Reason.PRICE_STALE),
    (replace(GOOD, quote=None), Reason.QUOTE_UNAVAILABLE),
    (replace(GOOD, quote=QuoteRefused(Reason.QUOTE_INVALID, "wrong mint")), Reason.QUOTE_INVALID),
    (replace(GOOD, quote=quote_of(999_999_999, 2_000_000_000)), Reason.QUOTE_INVALID),
    (replace(GOOD, quote=replace(quote_of(1_000_000_000, 2_000_000_000), price_impact_bps=501)), Reason.PRICE_IMPACT),
    (replace(GOOD, quote=quote_of(1_000_000_000, 1_900_000_000)), Reason.SLIPPAGE),
    (replace(GOOD, mode=Mode.OBSERVE), Reason.OBSERVE_MODE),
]


@pytest.mark.parametrize(("inputs", "reason"), REFUSALS, ids=[f"{i}-{r.name}" for i, (_, r) in enumerate(REFUSALS)])
def test_every_check_refuses_with_its_own_reason(inputs: TradeInputs, reason: Reason) -> None:
    """Invariant 4; the last verdict is the one that failed, and all before it passed."""
    answer = decide_trade(inputs)
    assert isinstance(answer, TradeRefused)
    assert answer.reason is reason
    assert [v.passed for v in answer.verdicts] == [True] * (len(answer.verdicts) - 1) + [False]
    assert answer.retry_after_ms > 0


@pytest.mark.parametrize(("inputs", "reason"), REFUSALS[:11], ids=[str(i) for i in range(11)])
def test_what_no_quote_could_change_is_refused_without_one(inputs: TradeInputs, reason: Reason) -> None:
    refused = decide_trade(inputs)
    assert isinstance(refused, TradeRefused)
    assert refuse_before_quote(replace(inputs, quote=None)) == replace(refused, quote=NO_QUOTE)
