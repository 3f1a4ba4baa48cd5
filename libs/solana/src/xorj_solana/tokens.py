"""Token accounts and mints, of SPL Token and Token-2022 alike: addresses and their first, common bytes."""

import struct
from dataclasses import dataclass
from typing import Final

from solders.pubkey import Pubkey

from xorj_solana.programs import ASSOCIATED_TOKEN, SPL_TOKEN

MINT_LEN: Final = 82
TOKEN_ACCOUNT_LEN: Final = 165
_INITIALIZED = 1


class MalformedAccount(ValueError):
    """Account data that is not what its place says; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """One token account; `amount` in base units of its mint."""

    mint: Pubkey
    owner: Pubkey
    amount: int
    delegate: Pubkey | None
    is_frozen: bool
    is_native: bool
    close_authority: Pubkey | None


@dataclass(frozen=True, slots=True)
class Mint:
    """One mint; `supply` in base units."""

    decimals: int
    supply: int
    has_extensions: bool


def associated_token_address(wallet: Pubkey, mint: Pubkey, token_program: Pubkey = SPL_TOKEN) -> Pubkey:
    """The one token account that `wallet` has for `mint` by convention."""
    return find_associated_token(wallet, mint, token_program)[0]


def find_associated_token(wallet: Pubkey, mint: Pubkey, token_program: Pubkey = SPL_TOKEN) -> tuple[Pubkey, int]:
    """The associated token address and its bump."""
    return Pubkey.find_program_address([bytes(wallet), bytes(token_program), bytes(mint)], ASSOCIATED_TOKEN)


def parse_token_account(data: bytes) -> TokenAccount:
    """Raises `MalformedAccount` when the data is no initialised token account."""
    if len(data) < TOKEN_ACCOUNT_LEN or len(data) == MINT_LEN:
        raise MalformedAccount(f"a token account has {TOKEN_ACCOUNT_LEN} bytes or more, not {len(data)}")
    delegate_set, state, native_set, close_set = (
        _u32(data, 72),
        data[108],
        _u32(data, 109),
        _u32(data, 129),
    )
    if state not in (_INITIALIZED, 2) or any(flag > 1 for flag in (delegate_set, native_set, close_set)):
        raise MalformedAccount("not an initialised token account")
    return TokenAccount(
        mint=Pubkey(data[:32]),
        owner=Pubkey(data[32:64]),
        amount=int.from_bytes(data[64:72], "little"),
        delegate=Pubkey(data[76:108]) if delegate_set else None,
        is_frozen=state != _INITIALIZED,
        is_native=bool(native_set),
        close_authority=Pubkey(data[133:165]) if close_set else None,
    )


def parse_mint(data: bytes) -> Mint:
    """Raises `MalformedAccount` when the data is no initialised mint."""
    if len(data) < MINT_LEN or len(data) == TOKEN_ACCOUNT_LEN or data[45] != 1:
        raise MalformedAccount("not an initialised mint")
    return Mint(decimals=data[44], supply=int.from_bytes(data[36:44], "little"), has_extensions=len(data) > MINT_LEN)


def mint_data(*, authority: Pubkey, decimals: int, supply: int) -> bytes:
    """Account data of a mint without extensions, for a local chain's first state; `supply` in base units."""
    return struct.pack("<I32sQBBI32s", 1, bytes(authority), supply, decimals, 1, 0, bytes(32))


def token_account_data(*, mint: Pubkey, owner: Pubkey, amount: int) -> bytes:
    """Account data of a plain token account, for a local chain's first state; `amount` in base units."""
    plain = struct.pack("<32s32sQ", bytes(mint), bytes(owner), amount) + bytes(36) + b"\x01"
    return plain + bytes(TOKEN_ACCOUNT_LEN - len(plain))


def _u32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")
