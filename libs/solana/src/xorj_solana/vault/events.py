"""Events of the vault program, one per change of state. A log is a hint; the accounts are the proof.

1. An event counts only when the program itself logged it, not one that it called.
2. Bytes that are not exactly one event are none.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from solders.pubkey import Pubkey

from xorj_solana.vault.accounts import Limits
from xorj_solana.vault.changes import CHANGE_LEN, Change, InvalidChange, parse_change

_PREFIX: Final = "Program data: "
# Addresses, so that what a program says itself ("Program log: success") is never taken for the runtime's word.
_CALLED: Final = re.compile(r"Program ([1-9A-HJ-NP-Za-km-z]{32,44}) invoke \[\d+\]")
_ENDED: Final = re.compile(r"Program ([1-9A-HJ-NP-Za-km-z]{32,44}) (?:success|failed: .*)")


@dataclass(frozen=True, slots=True)
class ConfigInitialized:
    """The configuration was created."""

    admin: Pubkey
    guardian: Pubkey
    delay_s: int


@dataclass(frozen=True, slots=True)
class PauseSet:
    """Admin or guardian set the pause, perhaps to what it was before."""

    by: Pubkey
    before: bool
    paused: bool


@dataclass(frozen=True, slots=True)
class ChangeScheduled:
    """The admin scheduled a change; with `veto_spent` the guardian cannot cancel it."""

    change: Change
    due_unix_s: int
    due_slot: int
    veto_spent: bool


@dataclass(frozen=True, slots=True)
class ChangeCancelled:
    """A change waits no longer; `vetoed` when the guardian cancelled it."""

    by: Pubkey
    change: Change
    vetoed: bool


@dataclass(frozen=True, slots=True)
class ChangeApplied:
    """A change took effect; `changes` is the count of additions then."""

    change: Change
    changes: int


@dataclass(frozen=True, slots=True)
class AdminChanged:
    """The new admin accepted."""

    before: Pubkey
    admin: Pubkey


@dataclass(frozen=True, slots=True)
class AuthorityRetired:
    """A bot authority signs no more trades."""

    by: Pubkey
    key: Pubkey


@dataclass(frozen=True, slots=True)
class ProgramRemoved:
    """A swap program is no longer called."""

    by: Pubkey
    program: Pubkey


@dataclass(frozen=True, slots=True)
class DelayRaised:
    """Changes wait longer, in seconds."""

    before: int
    delay_s: int


@dataclass(frozen=True, slots=True)
class VaultOpened:
    """An owner opened a vault."""

    vault: Pubkey
    owner: Pubkey


@dataclass(frozen=True, slots=True)
class MintOpened:
    """A vault has token accounts for a mint."""

    vault: Pubkey
    mint: Pubkey


@dataclass(frozen=True, slots=True)
class MintClosed:
    """The trade authority's token account is closed, its `swept` base units in the vault's, which may be closed too."""

    vault: Pubkey
    mint: Pubkey
    vault_closed: bool
    swept: int


@dataclass(frozen=True, slots=True)
class Deposited:
    """Base units that arrived in the vault, after a transfer fee."""

    vault: Pubkey
    mint: Pubkey
    amount: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Base units that left the vault, before a transfer fee."""

    vault: Pubkey
    mint: Pubkey
    destination: Pubkey
    amount: int


@dataclass(frozen=True, slots=True)
class BotEnabled:
    """The owner lets the bot trade."""

    vault: Pubkey


@dataclass(frozen=True, slots=True)
class BotDisabled:
    """Owner, guardian or admin stopped the bot in one vault."""

    vault: Pubkey
    by: Pubkey


@dataclass(frozen=True, slots=True)
class LimitsSet:
    """The owner replaced the limits."""

    vault: Pubkey
    limits: Limits


@dataclass(frozen=True, slots=True)
class TradeExecuted:
    """One trade as the program recorded it; amounts in base units."""

    vault: Pubkey
    seq: int
    intent_id: bytes
    mint_in: Pubkey
    mint_out: Pubkey
    amount_in: int
    amount_out: int
    slot: int


Event = (
    ConfigInitialized
    | PauseSet
    | ChangeScheduled
    | ChangeCancelled
    | ChangeApplied
    | AdminChanged
    | AuthorityRetired
    | ProgramRemoved
    | DelayRaised
    | VaultOpened
    | MintOpened
    | MintClosed
    | Deposited
    | Withdrawn
    | BotEnabled
    | BotDisabled
    | LimitsSet
    | TradeExecuted
)


class _Malformed(ValueError):
    pass


class _Fields:
    """Reads an event's fields in order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        if len(taken) != length:
            raise _Malformed
        self._at += length
        return taken

    def number(self, length: int = 8) -> int:
        return int.from_bytes(self.take(length), "little")

    def key(self) -> Pubkey:
        return Pubkey(self.take(32))

    def flag(self) -> bool:
        value = self.number(1)
        if value > 1:
            raise _Malformed
        return value == 1

    def change(self) -> Change:
        return parse_change(self.take(CHANGE_LEN))

    def ed25519(self) -> Pubkey:
        key = self.take(34)
        if (key[0], key[33]) != (1, 0):
            raise _Malformed
        return Pubkey(key[1:33])

    def limits(self) -> Limits:
        share, turnover, between, window = self.number(2), self.number(2), self.number(4), self.number()
        return Limits(share, turnover, between, window, tuple(self.key() for _ in range(self.number(4))))

    def end(self) -> None:
        if self._at != len(self._data):
            raise _Malformed


_READERS: Final[Mapping[type[Event], Callable[[_Fields], Event]]] = {
    ConfigInitialized: lambda f: ConfigInitialized(f.key(), f.key(), f.number()),
    PauseSet: lambda f: PauseSet(f.key(), f.flag(), f.flag()),
    ChangeScheduled: lambda f: ChangeScheduled(f.change(), f.number(), f.number(), f.flag()),
    ChangeCancelled: lambda f: ChangeCancelled(f.key(), f.change(), f.flag()),
    ChangeApplied: lambda f: ChangeApplied(f.change(), f.number()),
    AdminChanged: lambda f: AdminChanged(f.key(), f.key()),
    AuthorityRetired: lambda f: AuthorityRetired(f.key(), f.ed25519()),
    ProgramRemoved: lambda f: ProgramRemoved(f.key(), f.key()),
    DelayRaised: lambda f: DelayRaised(f.number(), f.number()),
    VaultOpened: lambda f: VaultOpened(f.key(), f.key()),
    MintOpened: lambda f: MintOpened(f.key(), f.key()),
    MintClosed: lambda f: MintClosed(f.key(), f.key(), f.flag(), f.number()),
    Deposited: lambda f: Deposited(f.key(), f.key(), f.number()),
    Withdrawn: lambda f: Withdrawn(f.key(), f.key(), f.key(), f.number()),
    BotEnabled: lambda f: BotEnabled(f.key()),
    BotDisabled: lambda f: BotDisabled(f.key(), f.key()),
    LimitsSet: lambda f: LimitsSet(f.key(), f.limits()),
    TradeExecuted: lambda f: TradeExecuted(
        f.key(), f.number(), f.take(32), f.key(), f.key(), f.number(), f.number(), f.number()
    ),
}


def event_discriminator(name: str) -> bytes:
    """The eight bytes with which an event starts."""
    return hashlib.sha256(f"event:{name}".encode()).digest()[:8]


TRADE_EXECUTED_DISCRIMINATOR: Final = event_discriminator("TradeExecuted")
_BY_DISCRIMINATOR: Final = {event_discriminator(kind.__name__): read for kind, read in _READERS.items()}


def parse_event(data: bytes) -> Event | None:
    """None when the bytes are no event of the program."""
    read = _BY_DISCRIMINATOR.get(data[:8])
    if read is None:
        return None
    fields = _Fields(data[8:])
    try:
        event = read(fields)
        fields.end()
    except (_Malformed, InvalidChange):
        return None
    return event


def find_events(logs: Iterable[str], program: Pubkey) -> Iterator[Event]:
    """The events that `program` itself logged, whatever the programs it called logged in between."""
    stack: list[str] = []
    for line in logs:
        if called := _CALLED.fullmatch(line):
            stack.append(called[1])
        elif (ended := _ENDED.fullmatch(line)) and stack and stack[-1] == ended[1]:
            stack.pop()
        elif line.startswith(_PREFIX) and stack and stack[-1] == str(program):
            try:
                event = parse_event(base64.b64decode(line[len(_PREFIX) :], validate=True))
            except binascii.Error:
                continue
            if event is not None:
                yield event


def find_trade_executed(logs: Iterable[str], program: Pubkey) -> TradeExecuted | None:
    """The first trade among the events of `program`."""
    return next((event for event in find_events(logs, program) if isinstance(event, TradeExecuted)), None)
