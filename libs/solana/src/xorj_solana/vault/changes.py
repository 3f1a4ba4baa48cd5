"""Changes of the program's configuration that wait out its delay, as rules/src/change.rs reads them.

1. A change is the same change exactly when its 41 bytes are: by them it is scheduled, cancelled and applied.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from solders.pubkey import Pubkey

CHANGE_LEN: Final = 41
DELAY_S_MIN: Final = 1
DELAY_S_MAX: Final = 14 * 86_400
GRACE_S: Final = 7 * 86_400
"""How long a change that is due may still be applied."""

_ED25519: Final = 1


@dataclass(frozen=True, slots=True)
class AddBotAuthority:
    """An Ed25519 key may sign trades of every vault."""

    key: Pubkey


@dataclass(frozen=True, slots=True)
class AllowProgram:
    """Trades may go through a swap program."""

    program: Pubkey


@dataclass(frozen=True, slots=True)
class SetGuardian:
    """Another guardian in place of the present one."""

    guardian: Pubkey


@dataclass(frozen=True, slots=True)
class SetAdmin:
    """Another admin, who then accepts with `accept_admin`."""

    admin: Pubkey


@dataclass(frozen=True, slots=True)
class LowerDelay:
    """A shorter delay, in seconds."""

    delay_s: int


@dataclass(frozen=True, slots=True)
class Unpause:
    """Trading resumes under the configuration that `changes` additions have made (`Config.changes`)."""

    changes: int


Change = AddBotAuthority | AllowProgram | SetGuardian | SetAdmin | LowerDelay | Unpause


class InvalidChange(ValueError):
    """Bytes that are no change of this program."""


def encode_change(change: Change) -> bytes:
    """kind u8 | body, zero-filled to 41 bytes."""
    match change:
        case AddBotAuthority(key):
            body = bytes([1, _ED25519]) + bytes(key)
        case AllowProgram(program):
            body = b"\x02" + bytes(program)
        case SetGuardian(guardian):
            body = b"\x03" + bytes(guardian)
        case SetAdmin(admin):
            body = b"\x04" + bytes(admin)
        case LowerDelay(delay_s):
            body = b"\x05" + delay_s.to_bytes(8, "little")
        case Unpause(changes):
            body = b"\x06" + changes.to_bytes(8, "little")
        case _:
            assert_never(change)
    return body.ljust(CHANGE_LEN, b"\0")


def parse_change(data: bytes) -> Change:
    """Raises `InvalidChange` unless the bytes are exactly what `encode_change` makes."""
    if len(data) != CHANGE_LEN:
        raise InvalidChange(f"a change has {CHANGE_LEN} bytes, not {len(data)}")
    key, number = Pubkey(data[1:33]), int.from_bytes(data[1:9], "little")
    change: Change
    match data[0]:
        case 1:
            change = AddBotAuthority(Pubkey(data[2:34]))
        case 2:
            change = AllowProgram(key)
        case 3:
            change = SetGuardian(key)
        case 4:
            change = SetAdmin(key)
        case 5:
            change = LowerDelay(number)
        case 6:
            change = Unpause(number)
        case kind:
            raise InvalidChange(f"kind {kind}")
    if encode_change(change) != data:
        raise InvalidChange("bytes that must be zero are not")
    return change


def loosens(change: Change) -> bool:
    """Whether it lets more be traded, or sooner: a pause is not lifted while such a change waits."""
    return isinstance(change, AddBotAuthority | AllowProgram | LowerDelay)
