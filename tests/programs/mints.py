"""Mints of Token-2022 with any extensions, as account data: the layouts are the token program's own.

Base mint of 82 bytes, zeros to 165, account type 1, then per extension: type u16, length u16, value.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from solders.account import Account
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from xorj_solana.programs import TOKEN_2022
from xorj_solana.tokens import mint_data
from xorj_solana.vault import MintPlaces

from tests.programs.svm_world import RENT, labelled

_PADDED_LEN: Final = 165
_MINT: Final = 1


class Extension(IntEnum):
    """Extensions that a mint may carry, by the token program's numbers."""

    TRANSFER_FEE = 1
    CLOSE_AUTHORITY = 3
    CONFIDENTIAL_TRANSFER = 4
    DEFAULT_ACCOUNT_STATE = 6
    NON_TRANSFERABLE = 9
    INTEREST_BEARING = 10
    PERMANENT_DELEGATE = 12
    TRANSFER_HOOK = 14
    CONFIDENTIAL_TRANSFER_FEE = 16
    METADATA_POINTER = 18
    TOKEN_METADATA = 19
    GROUP_POINTER = 20
    TOKEN_GROUP = 21
    GROUP_MEMBER_POINTER = 22
    TOKEN_GROUP_MEMBER = 23
    CONFIDENTIAL_MINT_BURN = 24
    SCALED_UI_AMOUNT = 25
    PAUSABLE = 26
    UNKNOWN = 999


# Length of each value; TOKEN_METADATA's is variable, and as long as its five empty parts here.
LENGTHS: Final[Mapping[Extension, int]] = {
    Extension.TRANSFER_FEE: 108,
    Extension.CLOSE_AUTHORITY: 32,
    Extension.CONFIDENTIAL_TRANSFER: 65,
    Extension.DEFAULT_ACCOUNT_STATE: 1,
    Extension.NON_TRANSFERABLE: 0,
    Extension.INTEREST_BEARING: 52,
    Extension.PERMANENT_DELEGATE: 32,
    Extension.TRANSFER_HOOK: 64,
    Extension.CONFIDENTIAL_TRANSFER_FEE: 129,
    Extension.METADATA_POINTER: 64,
    Extension.TOKEN_METADATA: 80,
    Extension.GROUP_POINTER: 64,
    Extension.TOKEN_GROUP: 80,
    Extension.GROUP_MEMBER_POINTER: 64,
    Extension.TOKEN_GROUP_MEMBER: 72,
    Extension.CONFIDENTIAL_MINT_BURN: 196,
    Extension.SCALED_UI_AMOUNT: 56,
    Extension.PAUSABLE: 33,
    Extension.UNKNOWN: 8,
}


@dataclass(frozen=True, slots=True)
class TransferFee:
    """A fee on every transfer: floor-limited ceil(amount x rate_bps / 10,000), at most `fee_max` base units."""

    rate_bps: int
    fee_max: int

    def of(self, amount: int) -> int:
        """Base units withheld from a transfer of `amount`."""
        return min(-(-amount * self.rate_bps // 10_000), self.fee_max)

    def value(self) -> bytes:
        """The extension's value: no authorities, nothing withheld, the same fee before and after epoch 0."""
        fee = struct.pack("<QQH", 0, self.fee_max, self.rate_bps)
        return bytes(32) + bytes(32) + bytes(8) + fee + fee


def extended_mint(authority: Pubkey, decimals: int, extensions: Mapping[Extension, bytes]) -> bytes:
    """Account data of an initialised mint with these extensions in this order."""
    plain = mint_data(authority=authority, decimals=decimals, supply=10**18)
    entries = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in extensions.items())
    return plain.ljust(_PADDED_LEN, b"\0") + bytes([_MINT]) + entries


def set_mint(svm: LiteSVM, label: str, extensions: Mapping[Extension, bytes], *, decimals: int = 6) -> MintPlaces:
    """Puts a Token-2022 mint with these extensions on the chain."""
    place = MintPlaces(Pubkey(labelled(label)), TOKEN_2022)
    data = extended_mint(Pubkey(labelled("mint authority")), decimals, extensions)
    svm.set_account(place.mint, Account(RENT, data, TOKEN_2022))
    return place


def fee_mint(svm: LiteSVM, label: str, fee: TransferFee, *, decimals: int = 6) -> MintPlaces:
    return set_mint(svm, label, {Extension.TRANSFER_FEE: fee.value()}, decimals=decimals)
