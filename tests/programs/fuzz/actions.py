"""What a sequence is made of: one action is one instruction, or the passing of time, in small numbers.

An action says everything by itself (amounts absolute; sequence and expiry relative to the state it meets), so that any
part of a sequence is a sequence too.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from tests.programs.model import Evil, LimitsModel
from tests.programs.model_config import Change


@dataclass(frozen=True, slots=True)
class Warp:
    """Time passes."""

    slots: int
    seconds: int


@dataclass(frozen=True, slots=True)
class SetPaused:
    signer: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    signer: int
    change: Change


@dataclass(frozen=True, slots=True)
class Cancel:
    signer: int
    change: Change


@dataclass(frozen=True, slots=True)
class Apply:
    change: Change


@dataclass(frozen=True, slots=True)
class AcceptAdmin:
    signer: int


@dataclass(frozen=True, slots=True)
class RetireAuthority:
    signer: int
    key: int


@dataclass(frozen=True, slots=True)
class RemoveProgram:
    signer: int
    program: int


@dataclass(frozen=True, slots=True)
class RaiseDelay:
    signer: int
    delay_s: int


@dataclass(frozen=True, slots=True)
class OpenVault:
    owner: int


@dataclass(frozen=True, slots=True)
class OpenMint:
    signer: int
    owner: int
    mint: int


@dataclass(frozen=True, slots=True)
class CloseMint:
    signer: int
    owner: int
    mint: int


@dataclass(frozen=True, slots=True)
class Deposit:
    signer: int
    owner: int
    mint: int
    amount: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    signer: int
    owner: int
    mint: int
    amount: int
    target: int


@dataclass(frozen=True, slots=True)
class EnableBot:
    signer: int
    owner: int


@dataclass(frozen=True, slots=True)
class DisableBot:
    signer: int
    owner: int


@dataclass(frozen=True, slots=True)
class SetLimits:
    signer: int
    owner: int
    limits: LimitsModel


@dataclass(frozen=True, slots=True)
class Dust:
    """A stranger's plain transfer into a vault's account or its hand."""

    to_hand: bool
    owner: int
    mint: int
    amount: int


class Taken(Enum):
    """How much of what it was lent the swap takes."""

    ALL = "all"
    HALF = "half"
    NOTHING = "nothing"
    MORE = "more"


@dataclass(frozen=True, slots=True)
class Confusion:
    """One account of a trade replaced: which, and by which key of the world's pool."""

    account: int
    key: int


@dataclass(frozen=True, slots=True)
class Trade:
    """`seq_offset` 0 is the next sequence; `expiry_ahead` in slots from now."""

    signer: int
    owner: int
    mint_in: int
    mint_out: int
    program: int
    seq_offset: int
    amount: int
    minimum: int
    expiry_ahead: int
    taken: Taken
    given: int
    evil: Evil
    hash_is_right: bool
    confusion: Confusion | None


Signed: TypeAlias = (
    SetPaused | Schedule | Cancel | AcceptAdmin | RetireAuthority | RemoveProgram | RaiseDelay | OpenMint | CloseMint
    | Deposit | Withdraw | EnableBot | DisableBot | SetLimits | Trade
)  # fmt: skip
Action: TypeAlias = Signed | Warp | Apply | OpenVault | Dust


@dataclass(frozen=True, slots=True)
class Unsigned:
    """The same instruction without its signer's signature."""

    action: Signed


Step: TypeAlias = Action | Unsigned
