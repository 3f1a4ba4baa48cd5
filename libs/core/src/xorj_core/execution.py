"""The fold of one vault's facts into where its trade stands, and the one next step that follows from it.

1. Reading any prefix of the log twice gives the same state: each topic is folded once, by source offset.
2. Topics may be read in any order against each other; the state at the end of all of them is the same.
3. The first committed record wins: a second plan or intent with the same id changes nothing.
4. At most one trade is open: the first intent in log order that has not ended.
5. State is bounded by sequences: trades below the last finalized sequence are forgotten.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from xorj_core.facts import (
    AttemptFailed,
    AttemptPlanned,
    Fact,
    PortfolioReconciled,
    Position,
    SettingsChanged,
    TradeConfirmed,
    TradeExpired,
    TradeFinalized,
    TradeIntended,
    TradeRefused,
    TradeSigned,
    TradeSubmitted,
)
from xorj_core.trade import delta_id_of

SUPERSEDING_TOPICS = ("user-settings", "portfolio-deltas")
"""Topics whose latest record replaces the ones before: one that decodes makes up for one that did not."""


@dataclass(frozen=True, slots=True)
class Delta:
    """The vault's latest delta and when the broker appended it."""

    fact: PortfolioReconciled
    delta_id: bytes
    position: Position
    appended_at_ms: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the log holds about one attempt."""

    number: int
    planned: AttemptPlanned | None = None
    planned_at: Position | None = None
    signed: TradeSigned | None = None
    is_submitted: bool = False
    failed: AttemptFailed | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    """What the log holds about one intent; `intended` is None while only later facts have been read."""

    intent_id: bytes
    trade_seq: int
    intended: TradeIntended | None = None
    intended_at: Position | None = None
    attempts: tuple[Attempt, ...] = ()  # by number
    confirmed: TradeConfirmed | None = None
    has_ended: bool = False


@dataclass(frozen=True, slots=True)
class VaultExecution:
    """One vault as far as the log has been read."""

    vault: bytes
    settings_version: int = 0
    settings_enabled: bool = False
    delta: Delta | None = None
    answered_delta_id: bytes = b""
    trades: tuple[Trade, ...] = ()
    finalized_seq: int = 0
    frozen_at: tuple[Position, ...] = ()  # of records that did not decode
    read_up_to: tuple[tuple[str, int], ...] = ()  # next offset by topic

    def has_read(self, position: Position) -> bool:
        """True when the record at this position has been folded."""
        return dict(self.read_up_to).get(position.topic, 0) > position.offset


def fold(state: VaultExecution, position: Position, appended_at_ms: int, fact: Fact) -> VaultExecution:
    """The state after one record of this vault; facts that say nothing about its trades only move the offset."""
    if state.has_read(position):
        return state
    state = _after(state, position)
    if position.topic in SUPERSEDING_TOPICS and state.frozen_at:
        frozen = tuple(p for p in state.frozen_at if p.topic != position.topic)
        state = replace(state, frozen_at=frozen)
    match fact:
        case SettingsChanged():
            newer = fact.version > state.settings_version
            changed = replace(state, settings_version=fact.version, settings_enabled=fact.enabled)
            return changed if newer else state
        case PortfolioReconciled():
            return replace(state, delta=Delta(fact, delta_id_of(fact), position, appended_at_ms))
        case TradeRefused():
            return replace(state, answered_delta_id=fact.delta_id)
        case TradeIntended():
            return _with_intent(replace(state, answered_delta_id=fact.delta_id), position, fact)
        case AttemptPlanned() | TradeSigned() | TradeSubmitted() | AttemptFailed():
            return _with_attempt(state, position, fact)
        case TradeConfirmed() | TradeFinalized() | TradeExpired():
            return _with_outcome(state, fact)
        case _:
            return state


def freeze(state: VaultExecution, position: Position) -> VaultExecution:
    """The state after a record that did not decode: nothing new is started for this vault until it does.

    Outcomes of what is already signed go on being watched.
    """
    if state.has_read(position):
        return state
    return replace(_after(state, position), frozen_at=(*state.frozen_at, position))


def open_trade(state: VaultExecution) -> Trade | None:
    """The first intent in log order that has not ended."""
    found = [t for t in state.trades if t.intended_at is not None and not t.has_ended]
    return min(found, key=lambda t: t.intended_at.offset if t.intended_at else 0, default=None)


def pending_delta(state: VaultExecution) -> Delta | None:
    """The latest delta where it still wants an answer: not in balance, not answered, not older than the last trade."""
    delta = state.delta
    if delta is None or delta.fact.in_balance or delta.delta_id == state.answered_delta_id:
        return None
    return delta if delta.fact.vault_trade_seq >= state.finalized_seq else None


def _after(state: VaultExecution, position: Position) -> VaultExecution:
    others = tuple(item for item in state.read_up_to if item[0] != position.topic)
    return replace(state, read_up_to=(*others, (position.topic, position.offset + 1)))


def _with_intent(state: VaultExecution, position: Position, fact: TradeIntended) -> VaultExecution:
    trade = _trade(state, fact.intent_id, fact.trade_seq)
    if trade.intended is not None:
        return state
    return _put(state, replace(trade, intended=fact, intended_at=position))


def _with_attempt(
    state: VaultExecution, position: Position, fact: AttemptPlanned | TradeSigned | TradeSubmitted | AttemptFailed
) -> VaultExecution:
    trade = _trade(state, fact.intent_id, fact.trade_seq)
    known = next((a for a in trade.attempts if a.number == fact.attempt), Attempt(fact.attempt))
    match fact:
        case AttemptPlanned():
            changed = known if known.planned else replace(known, planned=fact, planned_at=position)
        case TradeSigned():
            changed = known if known.signed else replace(known, signed=fact)
        case TradeSubmitted():
            changed = replace(known, is_submitted=True)
        case AttemptFailed():
            changed = replace(known, failed=_weightier(known.failed, fact))
        case _:
            assert_never(fact)
    others = tuple(a for a in trade.attempts if a.number != fact.attempt)
    return _put(state, replace(trade, attempts=tuple(sorted((*others, changed), key=lambda a: a.number))))


def _weightier(known: AttemptFailed | None, new: AttemptFailed) -> AttemptFailed:
    """Of two failures of one attempt the one further along the path counts, in whatever order they are read."""
    return new if known is None or new.stage > known.stage else known


def _with_outcome(state: VaultExecution, fact: TradeConfirmed | TradeFinalized | TradeExpired) -> VaultExecution:
    trade = _trade(state, fact.intent_id, fact.trade_seq)
    match fact:
        case TradeConfirmed():
            return _put(state, trade if trade.confirmed else replace(trade, confirmed=fact))
        case TradeExpired():
            return _put(state, replace(trade, has_ended=True))
        case TradeFinalized():
            ended = _put(state, replace(trade, has_ended=True))
            sequence = max(state.finalized_seq, fact.trade_seq)
            kept = tuple(t for t in ended.trades if t.trade_seq >= sequence)
            return replace(ended, finalized_seq=sequence, trades=kept)
        case _:
            assert_never(fact)


def _trade(state: VaultExecution, intent_id: bytes, trade_seq: int) -> Trade:
    return next((t for t in state.trades if t.intent_id == intent_id), Trade(intent_id, trade_seq))


def _put(state: VaultExecution, trade: Trade) -> VaultExecution:
    if trade.trade_seq < state.finalized_seq:
        return state
    others = tuple(t for t in state.trades if t.intent_id != trade.intent_id)
    return replace(state, trades=tuple(sorted((*others, trade), key=lambda t: (t.trade_seq, t.intent_id))))
