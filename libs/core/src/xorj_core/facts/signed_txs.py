"""What the signer did: topic signed-txs."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from xorj_core.facts.common import Position, SigningBasis


@dataclass(frozen=True, slots=True)
class TradeSigned:
    """A signature exists over exactly these bytes."""

    CAUSE: ClassVar[tuple[str, ...]] = ("intent_id", "attempt")

    intent_id: bytes
    trade_id: bytes
    vault: bytes
    trade_seq: int
    attempt: int
    message_sha256: bytes
    transaction: bytes  # serialised, signed
    signature: bytes  # 64 bytes, the transaction's id
    provider: str
    policy_sha256: bytes
    intent_position: Position
    attempt_position: Position
    control_offset: int  # control had been read up to here
    signed_at_us: int
    basis: SigningBasis = field(default_factory=SigningBasis)


class SigningRefusedReason(IntEnum):
    """Why a SigningRefused was published."""

    UNSPECIFIED = 0
    CALLER_NOT_ALLOWED = 1
    BAD_REQUEST = 2
    RECORD_NOT_FOUND = 3
    RECORD_MISMATCH = 4
    NOT_AUDITED = 5
    KILLED = 6
    NO_LEASE = 7
    OBSERVE_MODE = 8
    MALFORMED_TRANSACTION = 9
    PROGRAM_NOT_ALLOWED = 10
    INTENT_MISMATCH = 11
    ACCOUNTS_MISMATCH = 12
    EXPIRY_OUT_OF_BOUNDS = 13
    FEE_TOO_HIGH = 14
    SETTINGS_MISSING = 15
    PRICE_MISSING = 16
    PRICE_STALE = 17
    MINIMUM_OUT_TOO_LOW = 18
    VALUE_CAP = 19
    SEQUENCE_TAKEN = 20
    ATTEMPT_TAKEN = 21
    PROVIDER_FAILED = 22
    BAD_SIGNATURE = 23
    LEDGER_UNAVAILABLE = 24
    LOG_UNAVAILABLE = 25
    SETTINGS_FORBID = 26
    WINDOW_CAP = 27
    OUTFLOW_CAP = 28
    VERSION_NOT_SUPPORTED = 29
    BUSY = 30
    INTERNAL = 31
    SETTINGS_NOT_SIGNED = 32
    PROVIDER_TIMEOUT = 40
    PROVIDER_THROTTLED = 41
    PROVIDER_MALFORMED = 42
    PROVIDER_WRONG_KEY = 43
    PROVIDER_KEY_DISABLED = 44
    PROVIDER_DENIED = 45


@dataclass(frozen=True, slots=True)
class SigningRefused:
    """The signer would not sign. Ids, vault and attempt are empty where the records named could not be read."""

    CAUSE: ClassVar[tuple[str, ...]] = ("intent_id", "attempt", "reason", "refused_at_us")

    intent_id: bytes
    trade_id: bytes
    vault: bytes
    attempt: int
    reason: SigningRefusedReason
    detail: str
    caller: str
    attempt_position: Position
    refused_at_us: int
    requests: int  # how many like requests this fact stands for; 0 in old records means 1
    basis: SigningBasis = field(default_factory=SigningBasis)  # empty where it was refused before the policy was asked
    intent_position: Position = field(default_factory=Position)
