"""Model of the program's configuration: roles, pause, registries and the time lock, written from docs/vault-program.md.

Keys and programs are small numbers; nothing here knows bytes, accounts or the chain. A refused call changes nothing:
every method raises `ModelRefusal` before it assigns.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from xorj_solana.vault import VaultError

DELAY_S_MIN: Final = 1
DELAY_S_MAX: Final = 1_209_600
GRACE_S: Final = 604_800
PLACES: Final = 4
PROPOSALS: Final = 6


class Elsewhere(Enum):
    """Refused by another program or by the runtime, not with a number of the vault program."""

    ELSEWHERE = "elsewhere"


class ModelRefusal(Exception):
    """What the program is to answer."""

    def __init__(self, reason: VaultError | Elsewhere) -> None:
        super().__init__(reason)
        self.reason = reason


def require(condition: bool, reason: VaultError | Elsewhere) -> None:
    if not condition:
        raise ModelRefusal(reason)


class Kind(Enum):
    """Kinds of change that wait out the time lock, with their numbers on chain."""

    ADD_BOT_AUTHORITY = 1
    ALLOW_PROGRAM = 2
    SET_GUARDIAN = 3
    SET_ADMIN = 4
    LOWER_DELAY = 5
    UNPAUSE = 6


@dataclass(frozen=True, slots=True)
class Change:
    """`value` is a key, a program, seconds of delay or a count of changes, by kind."""

    kind: Kind
    value: int


@dataclass(frozen=True, slots=True)
class Now:
    """The chain's clock."""

    slot: int
    unix_s: int


@dataclass(slots=True)
class Proposal:
    """A change that was scheduled; `vetoed` waits for nothing until it is scheduled again."""

    due_unix_s: int
    due_slot: int
    vetoed: bool = False
    veto_spent: bool = False

    def has_lapsed(self, now: Now) -> bool:
        return now.unix_s > self.due_unix_s + GRACE_S

    def check_due(self, now: Now) -> None:
        require(not self.vetoed, VaultError.NOT_SCHEDULED)
        require(now.unix_s >= self.due_unix_s and now.slot >= self.due_slot, VaultError.NOT_DUE)
        require(not self.has_lapsed(now), VaultError.LAPSED)


@dataclass(slots=True)
class ConfigModel:
    """`forbidden` are programs that may never swap."""

    admin: int
    guardian: int
    programs: set[int]
    authorities: set[int]
    delay_s: int
    forbidden: frozenset[int]
    paused: bool = False
    changes: int = 0
    changes_at_pause: int = 0
    proposals: dict[Change, Proposal] = field(default_factory=dict)

    def set_paused(self, signer: int, *, paused: bool) -> None:
        allowed = signer == self.admin or (signer == self.guardian and paused)
        require(allowed, VaultError.NOT_ADMIN)
        if paused and not self.paused:
            self.changes_at_pause = self.changes
        if not paused and self.paused:
            unchanged = self.changes == self.changes_at_pause
            require(unchanged and not self._loosening_waits(), VaultError.UNPAUSE_LOCKED)
        self.paused = paused

    def schedule(self, signer: int, change: Change, now: Now) -> None:
        require(signer == self.admin, VaultError.NOT_ADMIN)
        require(self._makes_sense(change), VaultError.INVALID_CHANGE)
        found = self.proposals.get(change)
        new = Proposal(now.unix_s + self.delay_s, now.slot + self.delay_s)
        if found is None:
            require(len(self.proposals) < PROPOSALS, VaultError.NO_PLACE)
        elif found.vetoed:
            new.veto_spent = True
        else:
            require(found.has_lapsed(now), VaultError.ALREADY_SCHEDULED)
            new.veto_spent = found.veto_spent
        self.proposals[change] = new

    def cancel(self, signer: int, change: Change) -> None:
        require(signer in (self.admin, self.guardian), VaultError.NOT_ADMIN)
        found = self._scheduled(change)
        if signer == self.admin:
            del self.proposals[change]
            return
        require(not found.vetoed, VaultError.NOT_SCHEDULED)
        require(not found.veto_spent, VaultError.VETO_SPENT)
        found.vetoed = True

    def apply(self, change: Change, now: Now) -> None:
        require(change.kind is not Kind.SET_ADMIN, VaultError.INVALID_CHANGE)
        self._scheduled(change).check_due(now)
        require(self._makes_sense(change), VaultError.INVALID_CHANGE)
        match change.kind:
            case Kind.ADD_BOT_AUTHORITY:
                require(len(self.authorities) < PLACES, VaultError.NO_PLACE)
                self.authorities.add(change.value)
                self.changes += 1
            case Kind.ALLOW_PROGRAM:
                require(len(self.programs) < PLACES, VaultError.NO_PLACE)
                self.programs.add(change.value)
                self.changes += 1
            case Kind.SET_GUARDIAN:
                self.guardian = change.value
            case Kind.LOWER_DELAY:
                self.delay_s = change.value
            case Kind.UNPAUSE:
                self.paused = False
        del self.proposals[change]

    def accept_admin(self, signer: int, now: Now) -> None:
        change = Change(Kind.SET_ADMIN, signer)
        self._scheduled(change).check_due(now)
        del self.proposals[change]
        self.admin = signer

    def retire_authority(self, signer: int, key: int) -> None:
        require(signer in (self.admin, self.guardian), VaultError.NOT_ADMIN)
        require(key in self.authorities, VaultError.NOT_ACTIVE)
        self.authorities.remove(key)

    def remove_program(self, signer: int, program: int) -> None:
        require(signer in (self.admin, self.guardian), VaultError.NOT_ADMIN)
        require(program in self.programs, VaultError.NOT_ACTIVE)
        self.programs.remove(program)

    def raise_delay(self, signer: int, delay_s: int) -> None:
        require(signer == self.admin, VaultError.NOT_ADMIN)
        require(self.delay_s < delay_s <= DELAY_S_MAX, VaultError.INVALID_DELAY)
        self.delay_s = delay_s

    def _loosening_waits(self) -> bool:
        """Whether an addition, or a shorter delay, waits, lapsed or not."""
        loosening = (Kind.ADD_BOT_AUTHORITY, Kind.ALLOW_PROGRAM, Kind.LOWER_DELAY)
        return any(change.kind in loosening and not found.vetoed for change, found in self.proposals.items())

    def _scheduled(self, change: Change) -> Proposal:
        found = self.proposals.get(change)
        if found is None:
            raise ModelRefusal(VaultError.NOT_SCHEDULED)
        return found

    def _makes_sense(self, change: Change) -> bool:
        match change.kind:
            case Kind.ADD_BOT_AUTHORITY:
                return change.value not in self.authorities
            case Kind.ALLOW_PROGRAM:
                return change.value not in self.programs and change.value not in self.forbidden
            case Kind.SET_GUARDIAN:
                return change.value != self.guardian
            case Kind.SET_ADMIN:
                return change.value != self.admin
            case Kind.LOWER_DELAY:
                return not self.paused and DELAY_S_MIN <= change.value < self.delay_s
            case Kind.UNPAUSE:
                return self.paused and change.value == self.changes and not self._loosening_waits()
