"""Decisions decided again; numbers in names are the invariants of `xorj_core.replay`."""

import dataclasses
import typing
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xorj_core import facts
from xorj_core.facts import (
    Fact,
    Halt,
    HaltScope,
    KillCommanded,
    PortfolioReconciled,
    RankingObserved,
    ReconciliationRefused,
    ReferencePriceObserved,
    SettingsChanged,
    TradeIntended,
    TradeRefused,
    fact_id,
)
from xorj_core.kill import KillState, apply_kill, told
from xorj_core.reconcile import ReconciliationInputs, SeenPrice, VaultUnreadable, decide_reconciliation
from xorj_core.replay import DECIDERS, NOT_DECISIONS, Agrees, Differs, Undecided, needed, redecide
from xorj_core.replay_sources import Recorded
from xorj_core.trade import TradeInputs, decide_trade

from tests.core.test_reconcile import BONK, JUP, NOW_MS, USDC, holding, inputs, ranking, settings, trader
from tests.core.test_trade import GOOD, REFUSALS
from tests.core.trade_facts import VAULT

VERSION = 2


class Log:
    """Records by fact id, and control."""

    def __init__(self, *records: tuple[Fact, int], kills: KillState | None = None) -> None:
        self.found = [(fact, at) for fact, at in records]
        self.state = kills

    def records(self, wanted: bytes) -> Sequence[Recorded]:
        return [Recorded(fact, at) for fact, at in self.found if fact_id(fact) == wanted]

    def kills(self, control_next_offset: int) -> KillState | None:
        return self.state

    def policy(self, policy_sha256: bytes) -> None:
        return None

    def verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return False


def of_trade(given: TradeInputs, kills: KillState | None = None) -> tuple[TradeIntended | TradeRefused, Log]:
    """A decision and the log that it rests on."""
    known = replace(settings(), vault=VAULT, version=given.settings_version, enabled=given.settings_enabled)
    records: list[tuple[Fact, int]] = [(given.delta, given.delta_appended_at_ms), (known, 1)]
    records += [(price.fact, price.appended_at_ms) for price in (given.price_in, given.price_out) if price]
    return decide_trade(given), Log(*records, kills=kills)


def of_comparison(given: ReconciliationInputs) -> tuple[PortfolioReconciled | ReconciliationRefused, Log]:
    """A comparison with real facts behind its prices, settings and ranking, and the log that it rests on."""
    records: list[tuple[Fact, int]] = []
    prices = {}
    for mint, price in given.prices.items():
        fact = ReferencePriceObserved(mint, price.price_pico_usd, price.decimals, "venue", "market", 1)
        records.append((fact, price.appended_at_ms))
        prices[mint] = SeenPrice(fact_id(fact), price.price_pico_usd, price.decimals, price.appended_at_ms)
    records += [(fact, 1) for fact in (given.settings, given.ranking) if fact is not None]
    given = replace(
        given,
        prices=prices,
        settings_fact_id=fact_id(given.settings) if given.settings else b"",
        ranking_fact_id=fact_id(given.ranking) if given.ranking else b"",
    )
    return decide_reconciliation(given), Log(*records)


def test_1_every_kind_of_fact_is_a_decision_with_a_decider_or_none() -> None:
    kinds = set(typing.get_args(facts.Fact))
    assert set(DECIDERS) | set(NOT_DECISIONS) == kinds, "a new kind of fact: say how it is decided again, or why not"
    assert not set(DECIDERS) & set(NOT_DECISIONS)


@pytest.mark.parametrize("case", [GOOD, *(case for case, _ in REFUSALS)], ids=range(len(REFUSALS) + 1))
def test_2_every_answer_to_a_delta_is_decided_again(case: TradeInputs) -> None:
    answer, log = of_trade(case)
    assert redecide(answer, VERSION, log) == Agrees()


COMPARISONS: list[ReconciliationInputs] = [
    inputs(),
    inputs(settings=None),
    inputs(ranking=None),
    inputs(settings=settings(enabled=False)),
    inputs(ranking=ranking(trader(1, 100, (JUP, 10_000)))),
    inputs(prices={}),
    inputs(now_ms=NOW_MS + 30_001),
    inputs(snapshot=VaultUnreadable("no answer")),
    inputs(snapshot=holding({})),
    inputs(snapshot=holding({USDC: 5}, owner=b"\x66" * 32)),
    inputs(snapshot=holding({USDC: 5}, enabled=False)),
]


@pytest.mark.parametrize("case", COMPARISONS, ids=range(len(COMPARISONS)))
def test_2_every_comparison_and_its_refusal_is_decided_again(case: ReconciliationInputs) -> None:
    answer, log = of_comparison(case)
    assert redecide(answer, VERSION, log) == Agrees()


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.integers(1, 9_999), st.integers(0, 2_000))
def test_2_whatever_is_held_and_wanted(usdc: int, jup: int, weight: int, band: int) -> None:
    wanted = ranking(trader(1, 9_600, (JUP, weight), (BONK, 10_000 - weight)))
    held = holding({USDC: usdc, JUP: jup}, slot=9)
    answer, log = of_comparison(inputs(ranking=wanted, snapshot=held, settings=settings(dead_band_bps=band)))
    assert redecide(answer, VERSION, log) == Agrees()


def changed(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, IntEnum):
        return next(other for other in type(value) if other is not value)
    if isinstance(value, int):
        return value + 1
    if isinstance(value, bytes):
        return bytes(32) if value != bytes(32) else b"\x01" * 32
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, tuple):
        return value[:-1] if value else (1,)
    name = dataclasses.fields(value)[0].name
    return replace(value, **{name: changed(getattr(value, name))})


INPUTS = {"vault", "trigger_fact_id", "expiry_slot", "quote", "quote_refused", "quote_detail", "basis"}
"""Fields that are inputs themselves: no decision gives them."""

DECISIONS: list[Callable[[], tuple[Fact, Log]]] = [
    lambda: of_trade(GOOD),
    lambda: of_trade(REFUSALS[15][0]),
    lambda: of_comparison(inputs()),
    lambda: of_comparison(inputs(prices={})),
]


@pytest.mark.parametrize("make", DECISIONS, ids=["intended", "refused", "reconciled", "not reconciled"])
def test_a_decision_with_any_field_changed_is_not_agreed_to(make: Callable[[], tuple[Fact, Log]]) -> None:
    answer, log = make()
    for field in dataclasses.fields(answer):
        if field.name in INPUTS:
            continue
        forged = replace(answer, **{field.name: changed(getattr(answer, field.name))})
        outcome = redecide(forged, VERSION, log)
        assert isinstance(outcome, Differs), field.name
        assert {d.field.split(".")[0].split("[")[0] for d in outcome.differences} == {field.name}
        assert all(d.recorded != d.decided for d in outcome.differences)


def test_a_changed_amount_is_named_with_both_sides() -> None:
    answer, log = of_trade(GOOD)
    assert isinstance(answer, TradeIntended)
    forged = replace(answer, amount_out_min_base_units=1)
    outcome = redecide(forged, VERSION, log)
    assert isinstance(outcome, Differs)
    (only,) = outcome.differences
    assert (only.field, only.recorded) == ("amount_out_min_base_units", "1")
    assert only.decided == str(answer.amount_out_min_base_units)


@pytest.mark.parametrize("make", DECISIONS[:3], ids=["intended", "refused", "reconciled"])
def test_3_without_any_one_of_the_records_it_rests_on_it_is_undecided(make: Callable[[], tuple[Fact, Log]]) -> None:
    answer, log = make()
    assert set(needed(answer)) == {fact_id(fact) for fact, _ in log.found}
    for missing in log.found:
        rest = Log(*[entry for entry in log.found if entry is not missing])
        assert isinstance(redecide(answer, VERSION, rest), Undecided)


def test_3_a_record_appended_at_another_time_is_another_record() -> None:
    answer, log = of_trade(GOOD)
    for moved in log.found:
        if not isinstance(moved[0], SettingsChanged):
            late = Log(*[(fact, at + 1) if (fact, at) == moved else (fact, at) for fact, at in log.found])
            assert isinstance(redecide(answer, VERSION, late), Undecided)


def test_3_one_id_with_two_contents_is_undecided() -> None:
    answer, log = of_comparison(inputs())
    twice = next(fact for fact, _ in log.found if isinstance(fact, RankingObserved))
    log.found.append((replace(twice, traders=()), 2))
    assert isinstance(redecide(answer, VERSION, log), Undecided)


def test_an_unknown_version_is_undecided() -> None:
    answer, log = of_trade(GOOD)
    assert isinstance(redecide(answer, VERSION + 1, log), Undecided)


def test_4_a_kill_counts_as_control_has_it_whatever_the_decision_says() -> None:
    command = KillCommanded(b"\x01" * 16, HaltScope.EVERYTHING, b"", "test", 1, bytes(8), b"")
    kills = apply_kill(KillState(), command, "operator", 5)
    killed, log = of_trade(replace(GOOD, halt=Halt.KILLED, halt_detail=told(kills.kills[0])), kills)
    assert redecide(killed, VERSION, log) == Agrees()
    log.state = KillState()
    assert isinstance(redecide(killed, VERSION, log), Differs), "a kill that nobody commanded"
    intended, log = of_trade(GOOD, kills)
    outcome = redecide(intended, VERSION, log)
    assert isinstance(outcome, Differs), "an intent in spite of a kill"
    assert isinstance(outcome.decided, TradeRefused)
