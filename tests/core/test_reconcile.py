"""The comparison of holdings with a target; numbers in names are the invariants of `xorj_core.reconcile`."""

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xorj_core.facts.common import RiskProfile, TargetWeight
from xorj_core.facts.portfolio_deltas import PortfolioReconciled, ReconciliationRefused
from xorj_core.facts.portfolio_deltas import ReconciliationRefusedReason as Reason
from xorj_core.facts.strategies import RankedTrader, RankingObserved
from xorj_core.facts.user_settings import SettingsChanged
from xorj_core.reconcile import (
    LookAgain,
    ReconciliationInputs,
    SeenPrice,
    VaultSnapshot,
    VaultUnreadable,
    decide_reconciliation,
)
from xorj_core.select import choose_trader

OWNER, VAULT, TRIGGER = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
USDC, JUP, BONK = b"\x10" * 32, b"\x20" * 32, b"\x30" * 32
NOW_MS = 1_000_000
USD = 10**6


def settings(**changes: object) -> SettingsChanged:
    base = SettingsChanged(
        vault=VAULT,
        owner=OWNER,
        version=1,
        profile=RiskProfile.MODERATE,
        enabled=True,
        slippage_bps_max=150,
        allowed_mints=(USDC, JUP, BONK),
        dead_band_bps=100,
        trade_value_micro_usd_min=USD,
        trade_value_micro_usd_max=10_000 * USD,
        day_value_micro_usd_max=100_000 * USD,
        owner_signature=b"",
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def trader(rank: int, trust: int, *weights: tuple[bytes, int]) -> RankedTrader:
    return RankedTrader(rank, bytes([rank]) * 32, trust, tuple(TargetWeight(m, w) for m, w in weights))


def ranking(*traders: RankedTrader) -> RankingObserved:
    return RankingObserved("engine", 1, b"\x05" * 32, traders, ())


ALL_JUP = trader(1, 9_600, (JUP, 10_000))


def price(usd_micro: int, decimals: int, age_ms: int = 0) -> SeenPrice:
    return SeenPrice(b"\x07" * 32, usd_micro * 10**6, decimals, NOW_MS - age_ms)


def holding(
    held: dict[bytes, int], *, slot: int = 1, owner: bytes = OWNER, enabled: bool = True, trade_seq: int = 0
) -> VaultSnapshot:
    return VaultSnapshot(slot, owner, enabled, trade_seq, held)


def inputs(**changes: object) -> ReconciliationInputs:
    base = ReconciliationInputs(
        vault=VAULT,
        trigger_fact_id=TRIGGER,
        settings=settings(),
        settings_fact_id=b"\x08" * 32,
        ranking=ranking(ALL_JUP),
        ranking_fact_id=b"\x09" * 32,
        prices={USDC: price(USD, 6), JUP: price(USD // 2, 6), BONK: price(20, 5)},
        snapshot=holding({USDC: 1_000 * USD}, slot=77, trade_seq=4),
        now_ms=NOW_MS,
        price_age_ms_max=30_000,
        look_again=LookAgain(1_000, 60_000),
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def reconciled(given: ReconciliationInputs) -> PortfolioReconciled:
    fact = decide_reconciliation(given)
    assert isinstance(fact, PortfolioReconciled), fact
    return fact


def test_all_usdc_against_a_target_of_all_jup() -> None:
    fact = reconciled(inputs())
    assert (fact.total_value_micro_usd, fact.vault_trade_seq, fact.snapshot_slot) == (1_000 * USD, 4, 77)
    usdc, jup = fact.positions
    assert (usdc.mint, usdc.difference_micro_usd, usdc.target_value_micro_usd) == (USDC, 1_000 * USD, 0)
    assert (jup.mint, jup.difference_micro_usd, jup.target_weight_bps) == (JUP, -1_000 * USD, 10_000)
    assert fact.slippage_bps_max == 100, "the profile's limit is lower than the owner's"
    assert not fact.in_balance


def test_a_vault_on_target_is_in_balance() -> None:
    assert reconciled(inputs(snapshot=holding({JUP: 5 * USD}))).in_balance


def test_a_difference_of_exactly_the_dead_band_is_left_alone_and_one_unit_more_is_not() -> None:
    held = {JUP: 2 * 99 * USD, USDC: USD}  # 1 % of 100 USD
    assert reconciled(inputs(snapshot=holding(held))).in_balance
    assert not reconciled(inputs(snapshot=holding({**held, USDC: USD + 10_102}))).in_balance


def test_a_leg_below_the_minimum_value_is_left_alone() -> None:
    held = holding({USDC: 5 * USD})
    assert reconciled(inputs(snapshot=held, settings=settings(trade_value_micro_usd_min=5 * USD + 1))).in_balance
    assert not reconciled(inputs(snapshot=held, settings=settings(trade_value_micro_usd_min=5 * USD))).in_balance


@pytest.mark.parametrize(
    ("changes", "reason", "retry_after_ms"),
    [
        ({"settings": None}, Reason.NO_SETTINGS, 60_000),
        ({"settings": settings(enabled=False)}, Reason.DISABLED, 60_000),
        ({"ranking": None}, Reason.NO_RANKING, 60_000),
        ({"settings": settings(profile=RiskProfile.UNSPECIFIED)}, Reason.NO_ELIGIBLE_TRADER, 60_000),
        ({"ranking": ranking(trader(1, 8_999, (JUP, 10_000)))}, Reason.NO_ELIGIBLE_TRADER, 60_000),
        ({"settings": settings(allowed_mints=(USDC,))}, Reason.NO_ELIGIBLE_TRADER, 60_000),
        ({"snapshot": VaultUnreadable("no answer")}, Reason.VAULT_UNREADABLE, 1_000),
        ({"snapshot": holding({USDC: 1}, owner=b"\x66" * 32)}, Reason.OWNER_MISMATCH, 60_000),
        ({"snapshot": holding({USDC: 1}, enabled=False)}, Reason.DISABLED, 60_000),
        ({"snapshot": holding({})}, Reason.VAULT_EMPTY, 60_000),
        ({"prices": {USDC: price(USD, 6)}}, Reason.PRICE_MISSING, 1_000),
        ({"prices": {USDC: price(USD, 6), JUP: price(0, 6)}}, Reason.PRICE_MISSING, 1_000),
        ({"prices": {USDC: price(USD, 6), JUP: price(USD, 6, 30_001)}}, Reason.PRICE_STALE, 1_000),
        ({"prices": {USDC: price(10**18, 0), JUP: price(1, 0)}}, Reason.PRICE_MISSING, 1_000),
    ],
)
def test_5_every_refusal_has_its_reason_and_says_when_to_look_again(
    changes: dict[str, object], reason: Reason, retry_after_ms: int
) -> None:
    fact = decide_reconciliation(inputs(**changes))
    assert isinstance(fact, ReconciliationRefused)
    assert (fact.reason, fact.retry_after_ms, fact.trigger_fact_id) == (reason, retry_after_ms, TRIGGER)


def test_a_price_of_exactly_the_greatest_age_still_counts() -> None:
    reconciled(inputs(prices={USDC: price(USD, 6), JUP: price(USD, 6, 30_000)}))


def test_3_a_mint_that_the_owner_does_not_allow_is_neither_valued_nor_traded() -> None:
    held = holding({USDC: USD, b"\x99" * 32: 10**12})
    fact = reconciled(inputs(snapshot=held))
    assert fact.total_value_micro_usd == USD
    assert {p.mint for p in fact.positions} == {USDC, JUP}


@st.composite
def portfolios(draw: st.DrawFn) -> ReconciliationInputs:
    mints = [bytes([n]) * 32 for n in range(1, draw(st.integers(2, 6)))]
    cuts = sorted(draw(st.sets(st.integers(1, 9_999), max_size=len(mints) - 1)))
    weights = [b - a for a, b in zip([0, *cuts], [*cuts, 10_000], strict=True)]
    held = {mint: draw(st.integers(0, 10**13)) for mint in mints}
    prices = {
        mint: SeenPrice(bytes([9]) * 32, draw(st.integers(1, 10**15)), draw(st.integers(0, 9)), NOW_MS)
        for mint in mints
    }
    chosen = draw(st.permutations(mints))[: len(weights)]
    return inputs(
        settings=settings(allowed_mints=tuple(mints)),
        ranking=ranking(trader(1, 9_999, *zip(chosen, weights, strict=True))),
        snapshot=holding(held),
        prices=prices,
    )


@given(portfolios())
def test_1_value_is_conserved_and_differences_sum_to_zero(given: ReconciliationInputs) -> None:
    fact = decide_reconciliation(given)
    if isinstance(fact, ReconciliationRefused):
        assert fact.reason in {Reason.VAULT_EMPTY, Reason.PRICE_MISSING}
        return
    assert sum(p.value_micro_usd for p in fact.positions) == fact.total_value_micro_usd
    assert sum(p.target_value_micro_usd for p in fact.positions) == fact.total_value_micro_usd
    assert sum(p.difference_micro_usd for p in fact.positions) == 0
    assert [p.mint for p in fact.positions] == sorted(p.mint for p in fact.positions)


@given(portfolios())
def test_2_each_target_is_within_one_unit_of_its_exact_share(given: ReconciliationInputs) -> None:
    fact = decide_reconciliation(given)
    if isinstance(fact, PortfolioReconciled):
        for position in fact.positions:
            exact = fact.total_value_micro_usd * position.target_weight_bps
            assert abs(position.target_value_micro_usd * 10_000 - exact) < 10_000


@given(portfolios(), st.randoms(use_true_random=False))
def test_4_no_order_among_the_inputs_matters(given: ReconciliationInputs, shuffler: random.Random) -> None:
    assert given.settings is not None
    assert given.ranking is not None
    assert isinstance(given.snapshot, VaultSnapshot)

    def shuffled(items: list[Any]) -> list[Any]:
        return shuffler.sample(items, len(items))

    one = given.ranking.traders[0]
    other = dataclasses.replace(
        given,
        settings=dataclasses.replace(given.settings, allowed_mints=tuple(shuffled(list(given.settings.allowed_mints)))),
        ranking=ranking(dataclasses.replace(one, allocation=tuple(shuffled(list(one.allocation))))),
        prices=dict(shuffled(list(given.prices.items()))),
        snapshot=dataclasses.replace(given.snapshot, holdings=dict(shuffled(list(given.snapshot.holdings.items())))),
    )
    assert decide_reconciliation(other) == decide_reconciliation(given)


def test_the_best_rank_wins_among_those_the_profile_allows() -> None:
    first, second, third = (trader(r, t, (USDC, 10_000)) for r, t in ((1, 8_600), (2, 9_100), (3, 9_900)))
    everyone = [third, first, second]
    assert [choose_trader(everyone, trust, (USDC,)) for trust in (8_500, 9_000, 9_500)] == [first, second, third]
    assert choose_trader(everyone, 9_901, (USDC,)) is None


@pytest.mark.parametrize(
    "weights",
    [(), ((JUP, 9_999),), ((JUP, 5_000), (JUP, 5_000)), ((JUP, 10_000), (USDC, 0)), ((JUP, 5_000), (BONK, 5_000))],
    ids=["empty", "short", "twice", "weightless", "a mint that is not allowed"],
)
def test_an_allocation_that_is_not_whole_is_not_mirrored(weights: tuple[tuple[bytes, int], ...]) -> None:
    sound = trader(2, 9_600, (JUP, 10_000))
    assert choose_trader([trader(1, 9_999, *weights), sound], 9_000, (USDC, JUP)) == sound
