"""Decides the reservations of one batch, one after the other, from the ledger's rows that concern them. No I/O.

1. The first intent that claims a sequence keeps it; another gets it only after an audited TradeExpired whose proof is
   later than the expiry of everything reserved for the former. An intent that has lost its sequence never gets it back.
2. An attempt is bound to one message for ever; asking for the same bytes again finds what is bound.
3. A refusal changes nothing, except that an expiry which is proven stays noted.
4. Later reservations of a batch see what earlier ones have bound, as if each had been committed by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from xorj_core.facts import TradeSigned
from xorj_core.facts.common import Position
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import Denied
from xorj_core.policy.windows import Demand, Spent, Window, refusal_of


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one attempt wants to bind, and the windows that it counts in."""

    intent_id: bytes
    vault: bytes
    trade_seq: int
    attempt: int
    message_sha256: bytes
    expiry_slot: int
    value_micro_usd: int
    outflow_lamports: int = 0
    now_ms: int = 0  # the time that windows are counted by, as this request knows it
    demands: tuple[Demand, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditedExpiry:
    """An intent's TradeExpired that the audit log holds, and the slot at which it was proven."""

    fact_id: bytes
    context_slot: int


@dataclass(frozen=True, slots=True)
class StoredSignature:
    """A completed row; `published` is None while the fact is not known to be on the log."""

    fact: TradeSigned
    published: Position | None


@dataclass(frozen=True, slots=True)
class Reserved:
    """The attempt is bound to these bytes; `stored` is the signature if there already is one."""

    stored: StoredSignature | None


Expiries: TypeAlias = Callable[[bytes, int, bytes], AuditedExpiry | None]
"""Vault, sequence and intent id to the audited end of that intent, if there is one."""


@dataclass(frozen=True, slots=True)
class BoundAttempt:
    """A row of the ledger's attempts."""

    message_sha256: bytes
    expiry_slot: int
    stored: StoredSignature | None = None


@dataclass(slots=True)
class Book:
    """Rows as they were read, and below them what this batch adds."""

    holders: dict[tuple[bytes, int], bytes] = field(default_factory=dict)  # living intent of (vault, sequence)
    intents: set[bytes] = field(default_factory=set)  # every intent that is known, living or not
    attempts: dict[bytes, dict[int, BoundAttempt]] = field(default_factory=dict)
    held: dict[Window, Spent] = field(default_factory=dict)

    freed: dict[bytes, bytes] = field(default_factory=dict)  # intent to the TradeExpired that has ended it
    new_intents: list[Reservation] = field(default_factory=list)
    new_attempts: list[Reservation] = field(default_factory=list)
    counted: dict[Window, Spent] = field(default_factory=dict)

    def reserve(self, wanted: Reservation, expiries: Expiries) -> Reserved | Denied:
        """Bind the attempt to its bytes, or say what is bound already or which window is full."""
        place = (wanted.vault, wanted.trade_seq)
        is_holder = self.holders.get(place) == wanted.intent_id
        if not is_holder and (denied := self._free(wanted, expiries)):
            return denied
        bound = self.attempts.get(wanted.intent_id, {}).get(wanted.attempt)
        if bound is not None:
            if bound.message_sha256 != wanted.message_sha256:
                return Denied(Reason.ATTEMPT_TAKEN, f"attempt {wanted.attempt} is bound to other bytes")
            return Reserved(bound.stored)
        value = Spent() if is_holder else Spent(1, wanted.value_micro_usd)
        adds = value.plus(Spent(lamports=wanted.outflow_lamports))
        if denied := refusal_of(wanted.demands, adds, self.held):
            return denied
        if not is_holder:
            self.holders[place] = wanted.intent_id
            self.intents.add(wanted.intent_id)
            self.new_intents.append(wanted)
        bound = BoundAttempt(wanted.message_sha256, wanted.expiry_slot)
        self.attempts.setdefault(wanted.intent_id, {})[wanted.attempt] = bound
        self.new_attempts.append(wanted)
        for demand in wanted.demands:
            self._count(demand.window, adds)
        return Reserved(None)

    def _free(self, wanted: Reservation, expiries: Expiries) -> Denied | None:
        """None when the sequence has no holder any more and this intent may claim it."""
        place = (wanted.vault, wanted.trade_seq)
        taken = Denied(Reason.SEQUENCE_TAKEN, f"sequence {wanted.trade_seq} belongs to another intent")
        holder = self.holders.get(place)
        if holder is not None:
            expiry = expiries(wanted.vault, wanted.trade_seq, holder)
            latest = max((row.expiry_slot for row in self.attempts.get(holder, {}).values()), default=-1)
            if expiry is None or expiry.context_slot <= latest:
                return taken
            self.freed[holder] = expiry.fact_id
            del self.holders[place]
        return taken if wanted.intent_id in self.intents else None

    def _count(self, window: Window, adds: Spent) -> None:
        self.held[window] = self.held.get(window, Spent()).plus(adds)
        self.counted[window] = self.counted.get(window, Spent()).plus(adds)


def windows_of(wanted: Sequence[Reservation]) -> Mapping[Window, None]:
    """Every window that a batch counts in, once, in order."""
    return dict.fromkeys(demand.window for item in wanted for demand in item.demands)
