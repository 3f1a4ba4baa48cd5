"""What the reconciler remembers of one vault, folded from the log, and when that calls for another look. Pure.

1. Folding a record again, or any prefix again, changes nothing: each topic's last folded offset is part of the state.
2. A vault is due when a cause in force (current ranking, current settings, latest trade end, latest ReconcileDue) is
   not among the causes of its newest answer. An answer names every cause in force at its look, so triggers that pile
   up are answered by one look, and history that is read again asks for none.
3. While a trade is open the vault is not looked at. An end closes every intent of its sequence or below that stands on
   the log no later; an intent blocks for at most OPEN_TRADE_MS_MAX, because sequence numbers guard anyway.
4. An undecodable record freezes its vault until a later record of that vault on that topic decodes.
"""

from dataclasses import dataclass, replace
from typing import Final

from xorj_core.facts import (
    PortfolioReconciled,
    ReconcileDue,
    ReconciliationRefused,
    SettingsChanged,
    TradeExpired,
    TradeFinalized,
    TradeIntended,
    TradeRefused,
)
from xorj_log.inbox import FactRecord, Incoming

OPEN_TRADE_MS_MAX: Final = 600_000
"""Longer than four attempts of 300 slots may take."""


@dataclass(frozen=True, slots=True)
class SeenIntent:
    """The newest intent."""

    intent_id: bytes
    trade_seq: int
    appended_at_ms: int


@dataclass(frozen=True, slots=True)
class SeenEnd:
    """The newest end of a trade."""

    fact_id: bytes
    intent_id: bytes
    trade_seq: int
    context_slot: int
    appended_at_ms: int


@dataclass(frozen=True, slots=True)
class SeenRefusal:
    """The newest refusal to trade that asks for another look."""

    fact_id: bytes
    appended_at_ms: int
    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class SeenDue:
    """The newest ReconcileDue."""

    fact_id: bytes
    cause_fact_id: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The newest comparison, or the newest refusal to compare."""

    fact_id: bytes
    causes: tuple[bytes, ...]  # fact ids in force at the look
    appended_at_ms: int
    retry_after_ms: int  # 0: not a refusal


@dataclass(frozen=True, slots=True)
class VaultState:
    """Everything folded of one vault; `partition` is the vault's on every topic keyed by vault."""

    partition: int
    folded: tuple[tuple[str, int], ...] = ()  # topic and last folded offset, ordered by topic
    frozen_on: tuple[str, ...] = ()  # topics whose latest record of this vault is undecodable
    settings_fact_id: bytes = b""
    settings_version: int = 0
    intent: SeenIntent | None = None
    end: SeenEnd | None = None
    refusal: SeenRefusal | None = None
    due: SeenDue | None = None
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class DueTime:
    """When to look again, and because of which fact."""

    due_at_ms: int
    cause_fact_id: bytes


def has_folded(state: VaultState | None, item: Incoming) -> bool:
    """Whether this record is part of the state already."""
    position = item.record.position
    return state is not None and dict(state.folded).get(position.topic, -1) >= position.offset


def fold(state: VaultState | None, item: Incoming) -> VaultState:
    """The state after this record, which may be one that was folded before."""
    position = item.record.position
    if state is None:
        state = VaultState(position.partition)
    elif has_folded(state, item):
        return state
    frozen = set(state.frozen_on)
    if isinstance(item, FactRecord):
        state = _fold_fact(state, item)
        frozen.discard(position.topic)
    else:
        frozen.add(position.topic)
    folded = {**dict(state.folded), position.topic: position.offset}
    return replace(
        state,
        partition=position.partition,
        folded=tuple(sorted(folded.items())),
        frozen_on=tuple(sorted(frozen)),
    )


def _fold_fact(state: VaultState, item: FactRecord) -> VaultState:
    """What each kind of fact changes; kinds that are not listed change nothing."""
    fact_id, at_ms = item.envelope.fact_id, item.record.timestamp_ms
    match item.fact:
        case SettingsChanged() as fact if fact.version >= state.settings_version:
            return replace(state, settings_fact_id=fact_id, settings_version=fact.version)
        case TradeIntended() as fact:
            return replace(state, intent=SeenIntent(fact.intent_id, fact.trade_seq, at_ms))
        case TradeRefused() as fact:
            return replace(state, refusal=SeenRefusal(fact_id, at_ms, fact.retry_after_ms))
        case TradeFinalized() | TradeExpired() as fact:
            end = SeenEnd(fact_id, fact.intent_id, fact.trade_seq, fact.context_slot, at_ms)
            return replace(state, end=end)
        case PortfolioReconciled():
            return replace(state, answer=Answer(fact_id, item.envelope.causation_ids, at_ms, 0))
        case ReconciliationRefused() as fact:
            answer = Answer(fact_id, item.envelope.causation_ids, at_ms, max(1, fact.retry_after_ms))
            return replace(state, answer=answer)
        case ReconcileDue() as fact:
            return replace(state, due=SeenDue(fact_id, fact.cause_fact_id))
        case _:
            return state


def causes_in_force(state: VaultState, ranking_fact_id: bytes) -> tuple[bytes, ...]:
    """Fact ids of all that an answer given now takes into account; the first unanswered one is its trigger."""
    end = state.end.fact_id if state.end is not None else b""
    due = state.due.fact_id if state.due is not None else b""
    return tuple(cause for cause in (end, state.settings_fact_id, ranking_fact_id, due) if cause)


def unanswered(state: VaultState, ranking_fact_id: bytes) -> tuple[bytes, ...]:
    """The causes in force that the newest answer does not name; empty when the vault is not due."""
    answered = state.answer.causes if state.answer is not None else ()
    return tuple(cause for cause in causes_in_force(state, ranking_fact_id) if cause not in answered)


def has_open_trade(state: VaultState, now_ms: int) -> bool:
    """Whether an intent of this vault may still move its holdings."""
    intent, end = state.intent, state.end
    if intent is None or now_ms - intent.appended_at_ms > OPEN_TRADE_MS_MAX:
        return False
    if end is None:
        return True
    closed = end.intent_id == intent.intent_id or (
        end.trade_seq >= intent.trade_seq and end.appended_at_ms >= intent.appended_at_ms
    )
    return not closed


def may_be_looked_at(state: VaultState, now_ms: int) -> bool:
    """Whether an answer may be given at all: settings are known, nothing is frozen, no trade is open."""
    return bool(state.settings_fact_id) and not state.frozen_on and not has_open_trade(state, now_ms)


def next_due(state: VaultState, period_ms: int) -> DueTime | None:
    """When the newest answer, or the executor's refusal of it, is to be followed by a ReconcileDue.

    None where there is no answer yet, or where the ReconcileDue stands on the log already. The period is spread over
    vaults by a quarter, so that vaults of one ranking drift apart.
    """
    answer, refusal = state.answer, state.refusal
    if answer is None:
        return None
    if refusal is not None and refusal.appended_at_ms >= answer.appended_at_ms and refusal.retry_after_ms > 0:
        found = DueTime(refusal.appended_at_ms + refusal.retry_after_ms, refusal.fact_id)
    elif answer.retry_after_ms > 0:
        found = DueTime(answer.appended_at_ms + answer.retry_after_ms, answer.fact_id)
    else:
        spread_ms = period_ms // 4 * answer.fact_id[0] // 255
        found = DueTime(answer.appended_at_ms + period_ms - spread_ms, answer.fact_id)
    if state.due is not None and state.due.cause_fact_id == found.cause_fact_id:
        return None
    return found
