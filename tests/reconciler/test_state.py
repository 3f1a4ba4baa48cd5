"""What is remembered of one vault; numbers in names are the invariants of `xorj_reconciler.state`."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xorj_contracts.codec import Envelope
from xorj_core.facts import (
    Fact,
    PortfolioReconciled,
    ReconcileDue,
    ReconciliationRefused,
    ReconciliationRefusedReason,
    TradeExpired,
    TradeFinalized,
    TradeIntended,
    TradeRefused,
    TradeRefusedReason,
    fact_id,
)
from xorj_core.facts.common import Position
from xorj_log.inbox import FactRecord, Incoming, UndecodableRecord
from xorj_log.reader import LogRecord
from xorj_log.topics import topic_of
from xorj_reconciler.encoding import UnknownForm, decode_state, encode_state
from xorj_reconciler.state import (
    OPEN_TRADE_MS_MAX,
    VaultState,
    causes_in_force,
    fold,
    has_open_trade,
    may_be_looked_at,
    next_due,
    unanswered,
)

from tests.contracts.fact_examples import example
from tests.reconciler.vault_facts import VaultExample

VAULT = VaultExample(b"\x01" * 32, b"\x02" * 32)
RANKING = b"\x09" * 32
PERIOD_MS = 60_000


class History:
    """Records of one vault in order; each is one millisecond later than the one before."""

    def __init__(self) -> None:
        self.items: list[Incoming] = []
        self._offsets: dict[str, int] = {}

    def _record(self, topic: str) -> LogRecord:
        offset = self._offsets[topic] = self._offsets.get(topic, -1) + 1
        position = Position("cluster", topic, 3, offset)
        return LogRecord(position, 1_000 + len(self.items), VAULT.vault, (), b"value")

    def add(self, fact: Fact, *causes: bytes) -> Fact:
        envelope = Envelope(fact_id(fact), causes, b"", "test", "test", 0, 1, "")
        self.items.append(FactRecord(self._record(topic_of(fact).name), envelope, fact))
        return fact

    def garbage(self, topic: str) -> None:
        self.items.append(UndecodableRecord(self._record(topic), "garbage"))

    def state(self) -> VaultState:
        return folded(self.items)


def folded(items: list[Incoming]) -> VaultState:
    state: VaultState | None = None
    for item in items:
        state = fold(state, item)
    assert state is not None
    return state


def made(cls: type[Any], number: int = 1, **fields: object) -> Any:
    fact = dataclasses.replace(example(cls, number), vault=VAULT.vault)
    return dataclasses.replace(fact, **fields)


def intent(seq: int, number: int) -> TradeIntended:
    fact: TradeIntended = made(TradeIntended, trade_seq=seq, intent_id=bytes([number]) * 32)
    return fact


def finalized(of: TradeIntended) -> TradeFinalized:
    fact: TradeFinalized = made(TradeFinalized, trade_seq=of.trade_seq, intent_id=of.intent_id)
    return fact


def expired(of: TradeIntended) -> TradeExpired:
    fact: TradeExpired = made(TradeExpired, trade_seq=of.trade_seq, intent_id=of.intent_id)
    return fact


def test_2_new_settings_ask_for_a_look_until_an_answer_names_them() -> None:
    history = History()
    settings = history.add(VAULT.settings())
    assert unanswered(history.state(), RANKING) == (fact_id(settings), RANKING)
    history.add(made(PortfolioReconciled), *causes_in_force(history.state(), RANKING))
    assert unanswered(history.state(), RANKING) == ()
    assert unanswered(history.state(), b"\x0a" * 32) == (b"\x0a" * 32,)


def test_2_causes_that_pile_up_are_answered_by_one_answer() -> None:
    history = History()
    first = intent(1, 1)
    for fact in (VAULT.settings(), first, finalized(first), VAULT.settings(2)):
        history.add(fact)
    history.add(made(ReconcileDue, due_at_us=1))
    assert len(unanswered(history.state(), RANKING)) == 4
    history.add(made(ReconciliationRefused), *causes_in_force(history.state(), RANKING))
    assert unanswered(history.state(), RANKING) == ()


def test_settings_of_a_lower_version_change_nothing() -> None:
    history = History()
    newer = history.add(VAULT.settings(3))
    history.add(VAULT.settings(2))
    assert history.state().settings_fact_id == fact_id(newer)


@pytest.mark.parametrize("end", [finalized, expired])
def test_3_a_trade_is_open_from_its_intent_to_its_end(end: Any) -> None:
    history = History()
    history.add(VAULT.settings())
    assert may_be_looked_at(history.state(), 1_010)
    one = history.add(intent(5, 1))
    assert not may_be_looked_at(history.state(), 1_010)
    history.add(end(one))
    assert may_be_looked_at(history.state(), 1_010)


def test_3_an_end_that_is_read_before_its_intent_closes_it_all_the_same() -> None:
    history = History()
    one = intent(5, 1)
    history.add(VAULT.settings())
    history.add(finalized(one))
    history.add(one)
    assert not has_open_trade(history.state(), 1_010)


def test_3_an_expired_sequence_may_be_tried_again_and_is_then_open() -> None:
    history = History()
    one = intent(5, 1)
    history.add(one)
    history.add(expired(one))
    history.add(intent(5, 2))
    assert has_open_trade(history.state(), 1_010)


def test_3_an_intent_that_lost_against_another_of_its_sequence_is_closed_with_it() -> None:
    history = History()
    winner = intent(5, 1)
    for fact in (winner, intent(5, 2), finalized(winner)):
        history.add(fact)
    assert not has_open_trade(history.state(), 1_010)


def test_3_an_intent_without_any_end_stops_blocking() -> None:
    history = History()
    history.add(intent(5, 1))
    assert has_open_trade(history.state(), 1_000 + OPEN_TRADE_MS_MAX)
    assert not has_open_trade(history.state(), 1_001 + OPEN_TRADE_MS_MAX)


def test_4_an_undecodable_record_freezes_until_that_topic_decodes_again() -> None:
    history = History()
    history.add(VAULT.settings())
    history.garbage("user-settings")
    history.add(made(TradeRefused, retry_after_ms=0))
    assert not may_be_looked_at(history.state(), 1_010)
    history.add(VAULT.settings(2))
    assert may_be_looked_at(history.state(), 1_010)


def test_an_answer_is_followed_by_a_due_after_the_period_and_a_refusal_after_its_own_time() -> None:
    history = History()
    assert next_due(folded([FactRecord(*_settings_record())]), PERIOD_MS) is None
    answer = history.add(made(PortfolioReconciled))
    due = next_due(history.state(), PERIOD_MS)
    assert due is not None
    assert due.cause_fact_id == fact_id(answer)
    assert 1_000 + PERIOD_MS * 3 // 4 <= due.due_at_ms <= 1_000 + PERIOD_MS
    refused = history.add(made(TradeRefused, reason=TradeRefusedReason.NO_LEASE, retry_after_ms=500))
    due = next_due(history.state(), PERIOD_MS)
    assert due is not None
    assert (due.cause_fact_id, due.due_at_ms) == (fact_id(refused), 1_501)
    history.add(ReconcileDue(VAULT.vault, fact_id(refused), 1))
    assert next_due(history.state(), PERIOD_MS) is None, "it stands on the log already"
    unable = made(ReconciliationRefused, reason=ReconciliationRefusedReason.PRICE_STALE, retry_after_ms=700)
    history.add(unable)
    due = next_due(history.state(), PERIOD_MS)
    assert due is not None
    assert (due.cause_fact_id, due.due_at_ms) == (fact_id(unable), 1_703)


def _settings_record() -> tuple[LogRecord, Envelope, Fact]:
    history = History()
    history.add(VAULT.settings())
    [item] = history.items
    assert isinstance(item, FactRecord)
    return item.record, item.envelope, item.fact


KINDS = (PortfolioReconciled, ReconciliationRefused, ReconcileDue, TradeIntended, TradeRefused, TradeFinalized)


@st.composite
def histories(draw: st.DrawFn) -> History:
    history = History()
    for number in draw(st.lists(st.integers(0, 2 * len(KINDS) + 3), min_size=1, max_size=12)):
        if number < 2:
            history.garbage(("user-settings", "confirmations")[number])
        elif number < 4:
            history.add(VAULT.settings(number))
        else:
            history.add(made(KINDS[number % len(KINDS)], number + 1), RANKING)
    return history


@given(histories(), st.data())
def test_1_folding_any_stretch_again_changes_nothing(history: History, data: st.DataObject) -> None:
    state = history.state()
    start = data.draw(st.integers(0, len(history.items) - 1))
    for item in history.items[start:]:
        assert fold(state, item) == state


@given(histories())
def test_a_state_survives_its_table(history: History) -> None:
    assert decode_state(encode_state(history.state())) == history.state()


@pytest.mark.parametrize("data", [b"", b"{}", b"[2,{}]", b"[1,{}]", b"[1,3]", b"[1,{"])
def test_a_state_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(UnknownForm):
        decode_state(data)
