"""What became of a trade: topic confirmations."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class TradeSubmitted:
    """The signed bytes were handed to at least one endpoint."""

    CAUSE: ClassVar[tuple[str, ...]] = ("intent_id", "attempt")

    intent_id: bytes
    trade_id: bytes
    vault: bytes
    trade_seq: int
    attempt: int
    signature: bytes
    endpoints: int
    submitted_at_us: int


class AttemptStage(IntEnum):
    """Where an attempt failed."""

    UNSPECIFIED = 0
    SIMULATION = 1
    SIGNING = 2
    CHAIN = 3


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """One attempt did not execute. It ends nothing: the trade may still be tried again."""

    CAUSE: ClassVar[tuple[str, ...]] = ("intent_id", "attempt", "stage")

    intent_id: bytes
    trade_id: bytes
    vault: bytes
    trade_seq: int
    attempt: int
    signature: bytes
    error: str  # the transaction error's name, for example InstructionError
    instruction_index: int
    custom_code: int
    detail: str
    slot: int
    stage: AttemptStage


@dataclass(frozen=True, slots=True)
class TradeConfirmed:
    """The trade is in a block that a supermajority has voted for. Provisional."""

    CAUSE: ClassVar[tuple[str, ...]] = ("intent_id", "signature")

    intent_id: bytes
    trade_id: bytes
    vault: bytes
    trade_seq: int
    attempt: int
    signature: bytes
    slot: int
    amount_in_base_units: int
    amount_out_base_units: int
    context_slot: int


@dataclass(frozen=True, slots=True)
class TradeFinalized:
    """The vault account, finalized, records this sequence and intent."""

    CAUSE: ClassVar[tuple[str, ...]] = ("intent_id",)

    intent_id: bytes
    trade_id: bytes
    vault: bytes
    trade_seq: int
    signature: bytes  # empty where it could not be looked up
    slot: int  # in which the trade executed
    amount_in_base_units: int
    amount_out_base_units: int
    context_slot: int  # of the answer that proves it
    providers: int  # how many returned the same


@dataclass(frozen=True, slots=True)
class TradeExpired:
    """No attempt of this intent can ever land."""

    CAUSE: ClassVar[tuple[str, ...]] = ("intent_id",)

    intent_id: bytes
    trade_id: bytes
    vault: bytes
    trade_seq: int
    expiry_slot: int  # of the intent: no attempt expires later
    context_slot: int  # of the finalized answer that proves it
    observed_trade_seq: int
    providers: int
