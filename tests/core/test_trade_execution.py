"""The fold of a vault's trade, the next step and the judgement of its end: their numbered invariants."""

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from xorj_core.execution import VaultExecution, fold, freeze, open_trade, pending_delta
from xorj_core.facts import (
    AttemptFailed,
    AttemptStage,
    Fact,
    Position,
    RiskProfile,
    SettingsChanged,
    TradeConfirmed,
    TradeFinalized,
    TradeIntended,
    TradeSigned,
    TradeSubmitted,
)
from xorj_core.next_step import Await, Decide, Idle, Plan, Sign, Submit, next_step
from xorj_core.outcome import VaultRead, Verdict, expired, judge, satisfies_tier
from xorj_core.profiles import Commitment

from tests.core.trade_facts import VAULT, all_into_jup, at, intended_of, planned_of

Record = tuple[Position, Fact]


def signed_of(intended: TradeIntended, attempt: int = 1) -> TradeSigned:
    return TradeSigned(
        intended.intent_id, intended.trade_id, VAULT, intended.trade_seq, attempt, bytes(32), b"tx", b"\x09" * 64,
        "file", bytes(32), at("trade-intents", 0), at("trade-intents", 1), 0, 1,
    )  # fmt: skip


def submitted_of(intended: TradeIntended, attempt: int = 1) -> TradeSubmitted:
    ids = (intended.intent_id, intended.trade_id, VAULT, intended.trade_seq)
    return TradeSubmitted(*ids, attempt, b"\x09" * 64, 1, 1)


def failed_of(intended: TradeIntended, stage: AttemptStage, attempt: int = 1) -> AttemptFailed:
    ids = (intended.intent_id, intended.trade_id, VAULT, intended.trade_seq)
    return AttemptFailed(*ids, attempt, b"", "InstructionError", 2, 6024, "", 250, stage)


def confirmed_of(intended: TradeIntended) -> TradeConfirmed:
    ids = (intended.intent_id, intended.trade_id, VAULT, intended.trade_seq)
    return TradeConfirmed(*ids, 1, b"\x09" * 64, 210, 1_000_000_000, 2_000_000_000, 212)


def finalized_of(intended: TradeIntended) -> TradeFinalized:
    ids = (intended.intent_id, intended.trade_id, VAULT, intended.trade_seq)
    return TradeFinalized(*ids, b"\x09" * 64, 210, 1_000_000_000, 2_000_000_000, 260, 1)


def expired_of(intended: TradeIntended) -> Fact:
    return expired(intended, VaultRead(intended.expiry_slot + 1, intended.trade_seq - 1, b"", 0, 0, 0, 1))


def life(seq: int, trigger: int, offset: int) -> dict[str, list[Record]]:
    """The records of one whole trade by topic."""
    intended = intended_of(seq, trigger)
    return {
        "portfolio-deltas": [(at("portfolio-deltas", offset), all_into_jup(trade_seq=seq - 1, trigger=trigger))],
        "trade-intents": [
            (at("trade-intents", 2 * offset), intended),
            (at("trade-intents", 2 * offset + 1), planned_of(intended)),
        ],
        "signed-txs": [(at("signed-txs", offset), signed_of(intended))],
        "confirmations": [
            (at("confirmations", 3 * offset), submitted_of(intended)),
            (at("confirmations", 3 * offset + 1), confirmed_of(intended)),
            (at("confirmations", 3 * offset + 2), finalized_of(intended)),
        ],
    }


def history(trades: int) -> dict[str, list[Record]]:
    """Finished trades one after another, by topic."""
    topics: dict[str, list[Record]] = {}
    for index in range(trades):
        for topic, records in life(index + 1, index + 1, index).items():
            topics.setdefault(topic, []).extend(records)
    return topics


def folded(records: list[Record], state: VaultExecution | None = None) -> VaultExecution:
    state = state or VaultExecution(VAULT)
    for position, fact in records:
        state = fold(state, position, 1_000_000, fact)
    return state


def in_time_order(trades: int) -> list[Record]:
    return [record for i in range(trades) for records in life(i + 1, i + 1, i).values() for record in records]


@given(upto=st.integers(0, 21), again=st.integers(0, 21))
def test_reading_any_prefix_twice_gives_the_same_state(upto: int, again: int) -> None:
    """Invariant 1."""
    records = in_time_order(3)[:upto]
    once = folded(records)
    assert folded(records[:again], once) == once


def test_topics_may_be_read_in_any_order_against_each_other() -> None:
    """Invariant 2: after a restart the confirmations may be read before the intents they end."""
    topics = history(2)
    topics["trade-intents"].append((at("trade-intents", 9), intended_of(3, 3)))
    expected = None
    for order in itertools.permutations(topics):
        state = folded([record for topic in order for record in topics[topic]])
        trade = open_trade(state)
        assert trade is not None
        assert trade.trade_seq == 3
        found = (trade, state.finalized_seq, state.trades, state.delta)
        expected = expected or found
        assert found == expected


def test_the_first_committed_record_wins() -> None:
    """Invariant 3: a zombie's second plan changes nothing."""
    intended = intended_of()
    other = replace(planned_of(intended), message=b"other")
    state = folded([(at("trade-intents", 0), intended), (at("trade-intents", 1), planned_of(intended))])
    state = folded([(at("trade-intents", 2), other)], state)
    trade = open_trade(state)
    assert trade is not None
    assert trade.attempts[0].planned == planned_of(intended)
    assert trade.attempts[0].planned_at == at("trade-intents", 1)


def test_state_is_bounded_by_sequences() -> None:
    """Invariant 5."""
    assert len(folded(in_time_order(50)).trades) == 1


def test_the_steps_of_a_trade_follow_from_what_was_read_back() -> None:
    intended = intended_of()
    records = in_time_order(1)
    settings = SettingsChanged(VAULT, VAULT, 1, RiskProfile.MODERATE, *(True, 100, (), 0, 0, 0, 0, b""))
    records = [(at("user-settings", 0), settings), *records]
    expected = [Idle, Decide, Plan, Sign, Submit, Await, Await, Idle]
    for count, kind in enumerate(expected, start=1):
        assert isinstance(next_step(folded(records[:count]), 200), kind), (count, kind)
    assert intended.expiry_slot == 500


def test_a_second_attempt_waits_for_the_expiry_of_the_first() -> None:
    """next_step 1 and 2."""
    intended = intended_of()
    records: list[Record] = [
        (at("trade-intents", 0), intended),
        (at("trade-intents", 1), planned_of(intended)),
        (at("signed-txs", 0), signed_of(intended)),
        (at("confirmations", 0), submitted_of(intended)),
        (at("confirmations", 1), failed_of(intended, AttemptStage.CHAIN)),
    ]
    state = folded(records)
    assert isinstance(next_step(state, 300), Await)
    second = next_step(state, 301)
    assert isinstance(second, Plan)
    assert second.number == 2
    assert isinstance(next_step(state, 493), Await), "too little time is left before the intent expires"


def test_an_attempt_that_was_never_planned_is_followed_at_once_but_not_for_ever() -> None:
    intended = intended_of()
    state = folded([(at("trade-intents", 0), intended)])
    for attempt in range(1, 5):
        step = next_step(state, 200)
        assert isinstance(step, Plan)
        assert step.number == attempt
        failed = failed_of(intended, AttemptStage.SIMULATION, attempt)
        state = folded([(at("confirmations", attempt), failed)], state)
    assert isinstance(next_step(state, 200), Await)


def test_a_final_refusal_of_the_signer_ends_the_attempts() -> None:
    """next_step 4."""
    intended = intended_of()
    state = folded(
        [
            (at("trade-intents", 0), intended),
            (at("trade-intents", 1), planned_of(intended)),
            (at("confirmations", 0), failed_of(intended, AttemptStage.SIGNING)),
        ]
    )
    assert isinstance(next_step(state, 200), Await)
    assert isinstance(next_step(state, 301), Await)


def test_a_frozen_vault_starts_nothing_until_a_record_of_a_superseding_topic_decodes() -> None:
    """next_step 3."""
    delta = (at("portfolio-deltas", 0), all_into_jup())
    for topic, thaws in (("portfolio-deltas", True), ("signed-txs", False)):
        frozen = freeze(folded([delta]), at(topic, 5))
        assert isinstance(next_step(frozen, 200), Idle)
        later = folded([(at("portfolio-deltas", 6), all_into_jup(trigger=2))], frozen)
        assert isinstance(next_step(later, 200), Decide) is thaws


def test_a_stale_delta_is_not_answered() -> None:
    state = folded(in_time_order(2))
    stale = all_into_jup(trade_seq=1, trigger=9)
    assert pending_delta(folded([(at("portfolio-deltas", 9), stale)], state)) is None
    fresh = all_into_jup(trade_seq=2, trigger=10)
    assert pending_delta(folded([(at("portfolio-deltas", 10), fresh)], state)) is not None


def test_an_expired_intent_is_followed_by_another_for_the_same_sequence() -> None:
    first, second = intended_of(1, 1), intended_of(1, 2)
    state = folded([(at("trade-intents", 0), first), (at("trade-intents", 1), second)])
    trade = open_trade(state)
    assert trade is not None
    assert trade.intent_id == first.intent_id, "the first committed intent is open"
    state = folded([(at("confirmations", 0), expired_of(first))], state)
    trade = open_trade(state)
    assert trade is not None
    assert trade.intent_id == second.intent_id


def test_only_the_vault_account_proves_an_end() -> None:
    intended = intended_of()
    base = VaultRead(200, 0, b"", 0, 0, 0, 1)
    assert judge(intended, base) is Verdict.OPEN
    assert judge(intended, replace(base, context_slot=500)) is Verdict.OPEN
    assert judge(intended, replace(base, context_slot=501)) is Verdict.IMPOSSIBLE
    ours = replace(base, trade_seq=1, last_intent_id=intended.intent_id)
    assert judge(intended, ours) is Verdict.EXECUTED
    assert judge(intended, replace(ours, context_slot=10_000)) is Verdict.EXECUTED
    assert judge(intended, replace(ours, last_intent_id=b"\x02" * 32)) is Verdict.IMPOSSIBLE
    assert judge(intended, replace(base, trade_seq=2)) is Verdict.PASSED


def test_larger_trades_need_more_confirmation() -> None:
    small = intended_of()
    large, huge = replace(small, value_micro_usd=10**9), replace(small, value_micro_usd=10**10)
    assert satisfies_tier(replace(small, value_micro_usd=10**9 - 1), 200, 200, Commitment.CONFIRMED)
    assert not satisfies_tier(large, 200, 201, Commitment.CONFIRMED)
    assert satisfies_tier(large, 200, 202, Commitment.CONFIRMED)
    assert not satisfies_tier(huge, 200, 900, Commitment.CONFIRMED)
    assert satisfies_tier(huge, 200, 200, Commitment.FINALIZED)
