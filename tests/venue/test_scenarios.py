"""Scenarios: prices are whole and repeatable, and recordings become a market with believable traders only."""

import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from xorj_localnet.market.exact_json import dumps, loads
from xorj_localnet.market.pools import pools_of, reserves_at
from xorj_localnet.market.prices import BPS, Recorded, Swing
from xorj_localnet.market.recorded import TOKENS, allocation_of
from xorj_localnet.market.scenario import ScenarioError, load_scenario, scenario_of
from xorj_localnet.market.tokens import BONK, USDC, WSOL, pico_usd
from xorj_localnet.market.trust import Record, distrust, trust_score_hundredths
from xorj_solana.programs import LOCAL_CPMM_PROGRAM


def test_the_default_scenario_serves_every_profile() -> None:
    scores = [trader.trust_score_hundredths for trader in load_scenario().traders if trader.allocation]
    assert any(score >= 9_500 for score in scores)
    assert any(9_000 <= score < 9_500 for score in scores)
    assert any(8_500 <= score < 9_000 for score in scores)
    assert any(score < 8_500 for score in scores)


@given(st.integers(1, 10**18), st.integers(-5_000, 5_000), st.integers(1, 500), st.integers(0, 10_000))
def test_a_swing_stays_within_its_height_and_returns(base: int, swing_bps: int, period: int, tick: int) -> None:
    swing = Swing(base, swing_bps, period)
    assert swing.at(0) == base
    assert abs(swing.at(tick) - base) <= base * abs(swing_bps) // BPS + 1
    assert swing.at(tick) == swing.at(tick + period)


def test_recorded_prices_end_at_the_last_row() -> None:
    series = Recorded((1, 2, 3, 4, 5), 2)
    assert [series.at(tick) for tick in range(4)] == [1, 3, 5, 5]


def test_both_sides_of_every_pool_are_worth_the_same() -> None:
    scenario = load_scenario()
    for pool in pools_of(scenario.tokens, LOCAL_CPMM_PROGRAM):
        for tick in (0, 17, 90):
            low, high = (
                amount * scenario.price_pico_usd(token.mint, tick) // 10**token.decimals
                for token, amount in zip(pool.tokens, reserves_at(pool, scenario, tick), strict=True)
            )
            assert abs(low - high) * 10**6 < low


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"tokens": [], "traders": [{"wallet": "x", "trust_score": "1", "allocation_bps": {"SOL": 10000}}]}',
        b'{"tokens": [{"mint": "m", "symbol": "S", "name": "n", "decimals": 1, "price_usd": "-1", "swing_bps": 0,'
        b' "period_ticks": 1}], "traders": []}',
        b'{"tokens": [], "traders": [{"wallet": "x", "trust_score": "1.001", "allocation_bps": {}}]}',
    ],
)
def test_a_scenario_that_does_not_fit_is_refused(text: bytes) -> None:
    with pytest.raises(ScenarioError):
        scenario_of("wrong", text)


def test_json_keeps_every_digit() -> None:
    text = '{"a":0.00001333,"b":147.480000000001,"c":[1,null,true,"x\\"y"]}'
    assert dumps(loads(text)) == text


RECORD = Record(2420, 199, 3, Decimal("0.640625"), Decimal("0.42"), Decimal("0.0788"), Decimal(0))


def test_a_believable_wallet_gets_the_score_that_the_rule_says() -> None:
    assert distrust(RECORD) is None
    assert trust_score_hundredths(RECORD) == 10_000 - 360 - 31 - 79 - 2


@pytest.mark.parametrize(
    "wonder",
    [
        Record(6, 50, 0, Decimal("0.5"), Decimal(1), Decimal(0), Decimal(0)),
        Record(600, 5, 0, Decimal("0.5"), Decimal(1), Decimal(0), Decimal(0)),
        Record(600, 50, 0, Decimal(1), Decimal(1), Decimal(0), Decimal(0)),
        Record(600, 50, 0, Decimal("0.5"), Decimal(204), Decimal(0), Decimal(0)),
        Record(600, 50, 0, Decimal("0.5"), Decimal(1), Decimal("0.5"), Decimal(0)),
        Record(600, 50, 0, Decimal("0.5"), Decimal(1), Decimal(0), Decimal("0.1")),
    ],
)
def test_a_wonder_gets_no_score(wonder: Record) -> None:
    assert distrust(wonder) is not None


@given(st.binary(min_size=32, max_size=32))
def test_every_wallet_has_an_allocation_that_sums_up(key: bytes) -> None:
    weights = allocation_of(str(Pubkey(key)), TOKENS)
    assert sum(weights.values()) == BPS
    assert min(weights.values()) > 0


def test_recordings_become_a_market(tmp_path: Path) -> None:
    named = os.environ.get("XORJ_RECORDED_DATA", "")
    if not named:
        pytest.skip("XORJ_RECORDED_DATA names no directory of recordings")
    scenario = load_scenario("recorded", recorded=Path(named), rows_per_tick=24)
    assert {token.mint for token in scenario.tokens} == {token.mint for token in TOKENS}
    assert scenario.price_pico_usd(BONK.mint, 0) == pico_usd(Decimal("0.00001323"))
    assert scenario.price_pico_usd(WSOL.mint, 0) == 101_960_000_000_000
    assert scenario.price_pico_usd(USDC.mint, 10_000) == 10**12
    assert scenario.price_pico_usd(WSOL.mint, 1) != scenario.price_pico_usd(WSOL.mint, 2)
    scores = [trader.trust_score_hundredths for trader in scenario.traders]
    assert any(score >= 9_500 for score in scores)
    assert any(9_000 <= score < 9_500 for score in scores)
    assert any(8_500 <= score < 9_000 for score in scores)
    assert len(scores) < 25, "a leaderboard of wonders must not pass"
    with pytest.raises(ScenarioError):
        load_scenario("recorded", recorded=tmp_path)
