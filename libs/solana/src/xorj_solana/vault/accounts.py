"""The vault program's two accounts, as vault/src/state.rs lays them out.

1. A parser accepts exactly the length, discriminator and version that this build knows.
2. Reserved bytes are not interpreted.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from solders.pubkey import Pubkey

from xorj_solana.tokens import MalformedAccount
from xorj_solana.vault.changes import CHANGE_LEN, Change, loosens, parse_change

VERSION: Final = 1
CONFIG_LEN: Final = 1024
VAULT_LEN: Final = 896
CONFIG_DISCRIMINATOR: Final = hashlib.sha256(b"account:Config").digest()[:8]
VAULT_DISCRIMINATOR: Final = hashlib.sha256(b"account:Vault").digest()[:8]

LIMITS_AT: Final = 120
"""Where a vault's limits start, as `encode_limits` lays them out."""

_SWAP_PROGRAMS, _AUTHORITIES, _AUTHORITY_LEN = 80, 208, 56
_DELAY_S, _CHANGES, _CHANGES_AT_PAUSE = 432, 440, 448
_PROPOSALS, _PROPOSAL_LEN, _PROPOSAL_COUNT = 512, 72, 6
_NUMBERS: Final = struct.Struct("<HHIQQ")
_MINTS, _MINT_LEN, _MINT_COUNT = 144, 40, 16


class BotAuthorityState(IntEnum):
    """Whether a bot authority may sign trades."""

    ACTIVE = 1


@dataclass(frozen=True, slots=True)
class BotAuthority:
    """An Ed25519 key that may sign `bot_trade`."""

    key: Pubkey
    state: BotAuthorityState


class ProposalState(IntEnum):
    """Whether a change waits, or was cancelled by the guardian and may be scheduled once more."""

    WAITING = 1
    VETOED = 2


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that the admin scheduled; it may be applied from `due_unix_s` and `due_slot` on, for `GRACE_S`."""

    change: Change
    state: ProposalState
    veto_spent: bool
    due_unix_s: int
    due_slot: int


@dataclass(frozen=True, slots=True)
class Config:
    """The program's one configuration account; `changes` counts the additions applied so far."""

    admin: Pubkey
    guardian: Pubkey
    paused: bool
    swap_programs: tuple[Pubkey, ...]
    bot_authorities: tuple[BotAuthority, ...]
    delay_s: int
    changes: int
    changes_at_pause: int
    proposals: tuple[Proposal, ...]

    @property
    def unpause_is_locked(self) -> bool:
        """Whether the admin cannot lift the pause at once: something was added since, or waits that would loosen."""
        waits = any(one.state is ProposalState.WAITING and loosens(one.change) for one in self.proposals)
        return self.paused and (self.changes != self.changes_at_pause or waits)


@dataclass(frozen=True, slots=True)
class LastTrade:
    """The vault's latest trade; amounts in base units, as the swap moved them."""

    seq: int
    intent_id: bytes
    amount_in: int
    amount_out: int
    slot: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What the owner allows the bot.

    Shares are hundredths of a percent of the vault's balance of the mint that a trade spends: per trade, and summed
    over any `window_slots`. Only the listed mints are traded.
    """

    trade_share_bps_max: int
    turnover_bps_max: int
    slots_between_min: int
    window_slots: int
    mints: tuple[Pubkey, ...]


@dataclass(frozen=True, slots=True)
class Turnover:
    """Shares of one mint's balance that trades spent: in the window before `Vault.window`, and in it."""

    mint: Pubkey
    used_before_bps: int
    used_bps: int


@dataclass(frozen=True, slots=True)
class Vault:
    """One owner's vault; `trade_seq` is the sequence of the latest trade, 0 before the first."""

    owner: Pubkey
    enabled: bool
    trade_seq: int
    last_trade: LastTrade | None
    bump: int
    trade_authority_bump: int
    limits: Limits
    window: int
    turnover: tuple[Turnover, ...]


def parse_config(data: bytes) -> Config:
    """Raises `MalformedAccount`."""
    _check(data, CONFIG_DISCRIMINATOR, CONFIG_LEN, "Config")
    programs = (data[at : at + 32] for at in range(_SWAP_PROGRAMS, _AUTHORITIES, 32))
    authorities = []
    for index in range(4):
        at = _AUTHORITIES + index * _AUTHORITY_LEN
        kind, state = data[at], data[at + 1]
        if kind == 0:
            continue
        if kind != 1 or state != BotAuthorityState.ACTIVE:
            raise MalformedAccount(f"bot authority {index} has kind {kind}, state {state}")
        authorities.append(BotAuthority(Pubkey(data[at + 16 : at + 48]), BotAuthorityState(state)))
    return Config(
        admin=Pubkey(data[16:48]),
        guardian=Pubkey(data[48:80]),
        paused=_flag(data, 10),
        swap_programs=tuple(Pubkey(key) for key in programs if any(key)),
        bot_authorities=tuple(authorities),
        delay_s=_u64(data, _DELAY_S),
        changes=_u64(data, _CHANGES),
        changes_at_pause=_u64(data, _CHANGES_AT_PAUSE),
        proposals=tuple(_proposals(data)),
    )


def _proposals(data: bytes) -> Iterator[Proposal]:
    for index in range(_PROPOSAL_COUNT):
        at = _PROPOSALS + index * _PROPOSAL_LEN
        if data[at] == 0:
            continue
        try:
            state, change = ProposalState(data[at]), parse_change(data[at + 24 : at + 24 + CHANGE_LEN])
        except ValueError as error:
            raise MalformedAccount(f"proposal {index}: {error}") from error
        yield Proposal(change, state, _flag(data, at + 1), _u64(data, at + 8), _u64(data, at + 16))


def parse_vault(data: bytes) -> Vault:
    """Raises `MalformedAccount`."""
    _check(data, VAULT_DISCRIMINATOR, VAULT_LEN, "Vault")
    last_trade = LastTrade(
        seq=_u64(data, 56),
        intent_id=data[64:96],
        amount_in=_u64(data, 96),
        amount_out=_u64(data, 104),
        slot=_u64(data, 112),
    )
    trade_seq = _u64(data, 48)
    if last_trade.seq != trade_seq:
        raise MalformedAccount("the last trade's sequence is not the vault's")
    share, turnover, between, window_slots, window = _NUMBERS.unpack_from(data, LIMITS_AT)
    mints = tuple(_turnover(data))
    return Vault(
        owner=Pubkey(data[16:48]),
        enabled=_flag(data, 11),
        trade_seq=trade_seq,
        last_trade=last_trade if trade_seq else None,
        bump=data[9],
        trade_authority_bump=data[10],
        limits=Limits(share, turnover, between, window_slots, tuple(mint.mint for mint in mints)),
        window=window,
        turnover=mints,
    )


def encode_limits(limits: Limits, bumps: Sequence[int]) -> bytes:
    """The limits as a vault holds them from `LIMITS_AT` on, nothing counted yet.

    `bumps` are those of the vault's associated token account for each mint, as `open_mint` keeps them.
    """
    numbers = _NUMBERS.pack(
        limits.trade_share_bps_max, limits.turnover_bps_max, limits.slots_between_min, limits.window_slots, 0
    )
    entries = (struct.pack("<32s4xB3x", bytes(mint), bump) for mint, bump in zip(limits.mints, bumps, strict=True))
    return numbers + b"".join(entries)


def _turnover(data: bytes) -> Iterator[Turnover]:
    for at in range(_MINTS, _MINTS + _MINT_COUNT * _MINT_LEN, _MINT_LEN):
        if any(data[at : at + 32]):
            yield Turnover(Pubkey(data[at : at + 32]), *struct.unpack_from("<HH", data, at + 32))


def _check(data: bytes, discriminator: bytes, length: int, name: str) -> None:
    if len(data) != length or data[:8] != discriminator or data[8] != VERSION:
        raise MalformedAccount(f"not a {name} account of version {VERSION}")


def _flag(data: bytes, offset: int) -> bool:
    if data[offset] > 1:
        raise MalformedAccount(f"byte {offset} is {data[offset]}, not 0 or 1")
    return data[offset] == 1


def _u64(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 8], "little")
