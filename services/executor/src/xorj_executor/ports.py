"""What the executor needs from outside, as small protocols; fakes of them stand in tests/executor."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias

from solders.message import MessageV0
from solders.pubkey import Pubkey
from xorj_core.facts import Fact, Halt, Position
from xorj_core.outcome import Landed, VaultRead
from xorj_core.profiles import Commitment
from xorj_core.trade import QuoteRefused

from xorj_executor.jupiter import Route, RouteWish


class Log(Protocol):
    """Where facts are published; raises PublishUnknown when the outcome is not known."""

    async def publish(self, fact: Fact, *, causation: Sequence[bytes] = ()) -> Position: ...


class Gate(Protocol):
    """Kill switch and lease."""

    def verdict(self, vault: bytes) -> tuple[Halt, str] | None:
        """None while trading is allowed, otherwise why not."""
        ...

    def judged(self, vault: bytes) -> tuple[int, tuple[Halt, str] | None]:
        """The verdict, and up to where control had been read for it."""
        ...


class Venue(Protocol):
    """Where routes come from."""

    async def route(self, wish: RouteWish) -> Route | QuoteRefused: ...


class ChainUnreachable(Exception):
    """No usable answer from any endpoint: the outcome of whatever was asked is unknown."""


@dataclass(frozen=True, slots=True)
class Blockhash:
    """A blockhash with its own last valid height, and the slot of the answer."""

    blockhash: bytes
    last_valid_block_height: int
    context_slot: int


@dataclass(frozen=True, slots=True)
class ChainFailure:
    """Why a transaction failed."""

    error: str
    instruction_index: int
    custom_code: int
    detail: str
    slot: int


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulation that succeeded."""

    units: int
    amount_out_base_units: int


class Sent(Enum):
    """What became of a send."""

    TAKEN = "taken"  # at least one endpoint has it, or had it before
    REJECTED = "rejected"  # every endpoint said no
    UNKNOWN = "unknown"  # nobody said yes, somebody did not answer


class Chain(Protocol):
    """The cluster; every method but `send` raises ChainUnreachable."""

    async def slot(self, commitment: Commitment) -> int: ...

    async def latest_blockhash(self) -> Blockhash: ...

    async def token_programs(self, mints: Sequence[Pubkey]) -> tuple[Pubkey, ...]:
        """The program that owns each mint; raises ValueError for what is no mint of a known token program."""
        ...

    async def unit_price_micro_lamports(self, writable: Sequence[Pubkey]) -> int:
        """What recent slots asked for these accounts, not clamped."""
        ...

    async def simulate(self, message: MessageV0, vault: Pubkey) -> Simulated | ChainFailure: ...

    async def send(self, transaction: bytes) -> tuple[Sent, int]:
        """Identical bytes to every endpoint; the number of endpoints that took them."""
        ...

    async def vaults(self, vaults: Sequence[bytes], commitment: Commitment) -> tuple[VaultRead | None, ...]:
        """At most 100 vault accounts in one answer; None where an account is missing or unreadable."""
        ...

    async def failures(self, signatures: Sequence[bytes]) -> dict[bytes, ChainFailure]:
        """Those of the signatures that landed with an error, as far as recent history knows."""
        ...

    async def landed(self, signatures: Sequence[bytes], commitment: Commitment) -> Landed | None:
        """The one of the signatures that landed without error at a commitment, searching the whole history."""
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """The signer holds a signature; its TradeSigned will be read back."""

    position: Position


@dataclass(frozen=True, slots=True)
class SignRefusal:
    """The signer said no. `is_final`: asking again with the same bytes cannot change it."""

    reason: str
    detail: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class SignerUnavailable:
    """No answer, or none that says anything about the request."""

    detail: str


SignAnswer: TypeAlias = Signed | SignRefusal | SignerUnavailable


class Signer(Protocol):
    """The only way to a signature."""

    async def sign(self, intent: Position, attempt: Position) -> SignAnswer: ...

    async def public_key(self) -> bytes:
        """The bot authority; raises ConnectionError while the signer does not answer."""
        ...
