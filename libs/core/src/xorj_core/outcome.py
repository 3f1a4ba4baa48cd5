"""Judges how a trade ended, from the vault account as providers returned it and from that answer's own context slot.

1. A trade executed only if the vault's last trade has its sequence and its intent id (or, where the sequence has moved
   further, if one of its own signatures is found without error).
2. It expired only if it can never land: the finalized slot is past its expiry with the sequence not reached, or the
   sequence was taken by something that is not this trade.
3. Unknown is not failed: everything else is no judgement.
"""

from dataclasses import dataclass
from enum import IntEnum

from xorj_core.execution import Trade
from xorj_core.facts import TradeConfirmed, TradeExpired, TradeFinalized, TradeIntended
from xorj_core.profiles import Commitment, ConfirmationTier, tier_of


@dataclass(frozen=True, slots=True)
class VaultRead:
    """What the vault account says at one context slot; the last trade's fields are 0 and empty before the first."""

    context_slot: int
    trade_seq: int
    last_intent_id: bytes
    last_amount_in_base_units: int
    last_amount_out_base_units: int
    last_slot: int
    providers: int


@dataclass(frozen=True, slots=True)
class Landed:
    """A transaction of this trade that was found by its signature, without error."""

    signature: bytes
    slot: int
    amount_in_base_units: int
    amount_out_base_units: int


class Verdict(IntEnum):
    """What a read of the vault account says about a trade."""

    OPEN = 0
    EXECUTED = 1
    PASSED = 2  # the sequence has moved further: only a signature can tell
    IMPOSSIBLE = 3  # it did not happen and never can


def judge(intended: TradeIntended, read: VaultRead) -> Verdict:
    """What this read proves at its own commitment."""
    if read.trade_seq == intended.trade_seq:
        return Verdict.EXECUTED if read.last_intent_id == intended.intent_id else Verdict.IMPOSSIBLE
    if read.trade_seq > intended.trade_seq:
        return Verdict.PASSED
    return Verdict.IMPOSSIBLE if read.context_slot > intended.expiry_slot else Verdict.OPEN


def satisfies_tier(intended: TradeIntended, executed_slot: int, context_slot: int, commitment: Commitment) -> bool:
    """True when a trade of this value counts as confirmed by an answer of this commitment and context slot."""
    tier: ConfirmationTier = tier_of(intended.value_micro_usd)
    return commitment >= tier.commitment and context_slot >= executed_slot + tier.further_slots


def confirmed(intended: TradeIntended, read: VaultRead, attempt: int, signature: bytes) -> TradeConfirmed:
    """The fact of a read that was judged EXECUTED."""
    return TradeConfirmed(
        intent_id=intended.intent_id,
        trade_id=intended.trade_id,
        vault=intended.vault,
        trade_seq=intended.trade_seq,
        attempt=attempt,
        signature=signature,
        slot=read.last_slot,
        amount_in_base_units=read.last_amount_in_base_units,
        amount_out_base_units=read.last_amount_out_base_units,
        context_slot=read.context_slot,
    )


def finalized(intended: TradeIntended, read: VaultRead, landed: Landed) -> TradeFinalized:
    """The fact of a finalized read that was judged EXECUTED, or PASSED with a signature found."""
    return TradeFinalized(
        intent_id=intended.intent_id,
        trade_id=intended.trade_id,
        vault=intended.vault,
        trade_seq=intended.trade_seq,
        signature=landed.signature,
        slot=landed.slot,
        amount_in_base_units=landed.amount_in_base_units,
        amount_out_base_units=landed.amount_out_base_units,
        context_slot=read.context_slot,
        providers=read.providers,
    )


def expired(intended: TradeIntended, read: VaultRead) -> TradeExpired:
    """The fact of a finalized read that was judged IMPOSSIBLE, or PASSED with no signature of ours found."""
    return TradeExpired(
        intent_id=intended.intent_id,
        trade_id=intended.trade_id,
        vault=intended.vault,
        trade_seq=intended.trade_seq,
        expiry_slot=intended.expiry_slot,
        context_slot=read.context_slot,
        observed_trade_seq=read.trade_seq,
        providers=read.providers,
    )


def landed_by_account(trade: Trade, read: VaultRead, signature: bytes) -> Landed:
    """What the vault account says of a trade that it names as its last; the signature may be empty."""
    known = trade.confirmed.signature if trade.confirmed else b""
    return Landed(signature or known, read.last_slot, read.last_amount_in_base_units, read.last_amount_out_base_units)
