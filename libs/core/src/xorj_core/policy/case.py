"""What a rule of the policy looks at, as far as the judge knows it.

1. The transaction is read once, before any rule; what it cannot be read as is told by the rules, not by an exception.
2. What the judge has not read is asked for by name: the accessors raise `Missing`, so that no rule judges on a guess.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from xorj_core.facts.prices import ReferencePriceObserved
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.facts.trade_intents import AttemptPlanned, LookupTable, TradeIntended
from xorj_core.facts.user_settings import SettingsChanged
from xorj_core.policy.limits import PolicyLimits
from xorj_core.policy.trade_instruction import (
    BadTradeData,
    BotTrade,
    NotOurs,
    TradeInstructions,
    read_instructions,
)
from xorj_core.solana_message import Account, MalformedMessage, Message, OtherVersion, decode, resolve

T = TypeVar("T")


class Record(StrEnum):
    """What a judge may lack."""

    INTENT = "the intent"
    PLAN = "the planned attempt"
    TRANSACTION = "a transaction that can be read"
    TABLES = "the contents of its lookup tables"
    SETTINGS = "the owner's settings"
    PRICES = "the reference prices"
    BOT_AUTHORITY = "the key that would sign"


class Missing(LookupError):
    """The judge lacks a record; the text names it."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.value)
        self.record = record


@dataclass(frozen=True, slots=True)
class Denied:
    """The attempt must not be signed."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """A price fact that the signer has read from the log, and when the broker appended it."""

    fact: ReferencePriceObserved
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A message as far as it could be read; `fault` says why not further, and is None where only tables lack."""

    message: Message | None = None
    accounts: tuple[Account, ...] | None = None
    instructions: TradeInstructions | None = None
    fault: Denied | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One attempt before its judge. `now_ms` is the newest append time of the broker that the judge has seen."""

    limits: PolicyLimits
    reading: Reading
    known_intent: TradeIntended | None = None
    known_plan: AttemptPlanned | None = None
    known_settings: SettingsChanged | None = None
    known_settings_signed: bool | None = None  # by the vault's owner, for the signer's cluster and vault program
    known_prices: tuple[SeenPrice, SeenPrice] | None = None  # of the mint that goes in and of the one that comes out
    known_bot_authority: bytes | None = None  # 32 bytes
    now_ms: int = 0

    @property
    def intent(self) -> TradeIntended:
        return _known(self.known_intent, Record.INTENT)

    @property
    def plan(self) -> AttemptPlanned:
        return _known(self.known_plan, Record.PLAN)

    @property
    def settings(self) -> SettingsChanged:
        return _known(self.known_settings, Record.SETTINGS)

    @property
    def settings_signed(self) -> bool:
        return _known(self.known_settings_signed, Record.SETTINGS)

    @property
    def prices(self) -> tuple[SeenPrice, SeenPrice]:
        return _known(self.known_prices, Record.PRICES)

    @property
    def bot_authority(self) -> bytes:
        return _known(self.known_bot_authority, Record.BOT_AUTHORITY)

    @property
    def message(self) -> Message:
        return _known(self.reading.message, Record.TRANSACTION)

    @property
    def instructions(self) -> TradeInstructions:
        return _known(self.reading.instructions, Record.TRANSACTION)

    @property
    def trade(self) -> BotTrade:
        return self.instructions.trade


def read_message(message_bytes: bytes, tables: tuple[LookupTable, ...], vault_program: bytes) -> Reading:
    """The message with its accounts, lookups taken from `tables`, and its instructions; never raises."""
    message: Message | None = None
    accounts: tuple[Account, ...] | None = None
    try:
        message = decode(message_bytes)
        accounts = resolve(message, {table.address: table.addresses for table in tables})
        return Reading(message, accounts, read_instructions(message, accounts, vault_program))
    except OtherVersion as error:
        fault = Denied(Reason.VERSION_NOT_SUPPORTED, str(error))
    except MalformedMessage as error:
        fault = Denied(Reason.MALFORMED_TRANSACTION, str(error))
    except NotOurs as error:
        fault = Denied(Reason.PROGRAM_NOT_ALLOWED, str(error))
    except BadTradeData as error:
        fault = Denied(Reason.INTENT_MISMATCH, str(error))
    return Reading(message, accounts, None, fault)


def _known(value: T | None, record: Record) -> T:
    if value is None:
        raise Missing(record)
    return value
