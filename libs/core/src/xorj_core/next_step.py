"""The one next step for a vault, from its folded state and the slot confirmed by now.

1. A new attempt is planned only when the previous one can no longer be lawful: it was never planned, or its expiry slot
   has passed at confirmed. (Even a fork could not run both: the vault program takes each sequence once.)
2. No attempt is planned past the intent's own expiry slot, nor beyond `ATTEMPTS_MAX`.
3. A frozen vault starts nothing; what it has signed is watched to its end.
4. A policy refusal by the signer is final for the intent: no further attempt, only its expiry.
"""

from dataclasses import dataclass
from typing import TypeAlias

from xorj_core.execution import Attempt, Delta, Trade, VaultExecution, open_trade, pending_delta
from xorj_core.facts import AttemptStage
from xorj_core.policy.limits import ATTEMPTS_MAX

PLAN_ROOM_SLOTS = 8
"""An attempt with less time than this could not be signed and land."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to do until a new fact arrives."""


@dataclass(frozen=True, slots=True)
class Decide:
    """Answer this delta."""

    delta: Delta


@dataclass(frozen=True, slots=True)
class Plan:
    """Plan this attempt of the trade."""

    trade: Trade
    number: int


@dataclass(frozen=True, slots=True)
class Sign:
    """Ask for the signature over the planned bytes."""

    trade: Trade
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Submit:
    """Send the signed bytes for the first time."""

    trade: Trade
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Await:
    """Only the chain can tell how this goes on."""

    trade: Trade


Step: TypeAlias = Idle | Decide | Plan | Sign | Submit | Await


def next_step(state: VaultExecution, confirmed_slot: int) -> Step:
    """What to do now."""
    trade = open_trade(state)
    if trade is None:
        delta = pending_delta(state)
        return Idle() if delta is None or state.frozen_at else Decide(delta)
    if state.frozen_at or trade.confirmed is not None:
        return Await(trade)
    return _step_of_attempts(trade, confirmed_slot)


def _step_of_attempts(trade: Trade, confirmed_slot: int) -> Step:
    if not trade.attempts:
        return _plan(trade, 1, confirmed_slot)
    for attempt in trade.attempts:
        if can_land(attempt, confirmed_slot) and not attempt.is_submitted:
            return Submit(trade, attempt)
    last = trade.attempts[-1]
    if last.planned is None:
        # It failed before it was planned; anything else about an unplanned attempt means its plan is still to be read.
        return _plan(trade, last.number + 1, confirmed_slot) if last.failed else Await(trade)
    stage = last.failed.stage if last.failed else AttemptStage.UNSPECIFIED
    if stage is AttemptStage.SIGNING:
        return Await(trade)
    if confirmed_slot > last.planned.expiry_slot:
        return _plan(trade, last.number + 1, confirmed_slot)
    if last.signed is None:
        return Sign(trade, last)
    return Await(trade)


def can_land(attempt: Attempt, confirmed_slot: int) -> bool:
    """True while sending the signed bytes may still lead to a trade."""
    if attempt.signed is None or attempt.planned is None or confirmed_slot > attempt.planned.expiry_slot:
        return False
    return attempt.failed is None or attempt.failed.stage is not AttemptStage.CHAIN


def _plan(trade: Trade, number: int, confirmed_slot: int) -> Step:
    intended = trade.intended
    if intended is None or number > ATTEMPTS_MAX or confirmed_slot + PLAN_ROOM_SLOTS > intended.expiry_slot:
        return Await(trade)
    return Plan(trade, number)
