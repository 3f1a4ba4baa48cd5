"""The vault program's two accounts, as vault/src/state.rs lays them out.

1. A parser accepts exactly the length, discriminator and version that this build knows.
2. Reserved bytes are not interpreted.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from solders.pubkey import Pubkey

from xorj_solana.tokens import MalformedAccount

VERSION: Final = 1
CONFIG_LEN: Final = 640
VAULT_LEN: Final = 384
CONFIG_DISCRIMINATOR: Final = hashlib.sha256(b"account:Config").digest()[:8]
VAULT_DISCRIMINATOR: Final = hashlib.sha256(b"account:Vault").digest()[:8]

_SWAP_PROGRAMS, _AUTHORITIES, _AUTHORITY_LEN = 80, 208, 56


class BotAuthorityState(IntEnum):
    """Whether a bot authority may sign trades."""

    ACTIVE = 1


@dataclass(frozen=True, slots=True)
class BotAuthority:
    """An Ed25519 key that may sign `bot_trade`."""

    key: Pubkey
    state: BotAuthorityState


@dataclass(frozen=True, slots=True)
class Config:
    """The program's one configuration account."""

    admin: Pubkey
    guardian: Pubkey
    paused: bool
    swap_programs: tuple[Pubkey, ...]
    bot_authorities: tuple[BotAuthority, ...]


@dataclass(frozen=True, slots=True)
class LastTrade:
    """The vault's latest trade; amounts in base units, as the swap moved them."""

    seq: int
    intent_id: bytes
    amount_in: int
    amount_out: int
    slot: int


@dataclass(frozen=True, slots=True)
class Vault:
    """One owner's vault; `trade_seq` is the sequence of the latest trade, 0 before the first."""

    owner: Pubkey
    enabled: bool
    trade_seq: int
    last_trade: LastTrade | None
    bump: int
    trade_authority_bump: int


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
    )


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
    return Vault(
        owner=Pubkey(data[16:48]),
        enabled=_flag(data, 11),
        trade_seq=trade_seq,
        last_trade=last_trade if trade_seq else None,
        bump=data[9],
        trade_authority_bump=data[10],
    )


def _check(data: bytes, discriminator: bytes, length: int, name: str) -> None:
    if len(data) != length or data[:8] != discriminator or data[8] != VERSION:
        raise MalformedAccount(f"not a {name} account of version {VERSION}")


def _flag(data: bytes, offset: int) -> bool:
    if data[offset] > 1:
        raise MalformedAccount(f"byte {offset} is {data[offset]}, not 0 or 1")
    return data[offset] == 1


def _u64(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 8], "little")
