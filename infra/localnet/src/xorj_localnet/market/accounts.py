"""Accounts placed into the local chain from outside: mints, token accounts, wallets, as the token program has them.

1. An account of wrapped SOL holds its amount as lamports beside its rent, or the token program would refuse to move it.
"""

import base64
from dataclasses import dataclass

from solders.pubkey import Pubkey
from solders.rent import Rent
from xorj_solana.programs import SPL_TOKEN, SYSTEM, WRAPPED_SOL
from xorj_solana.tokens import MINT_LEN, TOKEN_ACCOUNT_LEN, mint_data, token_account_data

from xorj_localnet.market.tokens import Token

SUPPLY_BASE_UNITS = 2**63


@dataclass(frozen=True, slots=True)
class PlacedAccount:
    """An account to write into the chain as it is."""

    address: Pubkey
    lamports: int
    owner: Pubkey
    data: bytes = b""

    def as_json(self) -> dict[str, str | int | bool]:
        """As the chain's genesis file and `local_setAccount` take it."""
        return {
            "pubkey": str(self.address),
            "lamports": self.lamports,
            "owner": str(self.owner),
            "data_base64": base64.b64encode(self.data).decode(),
            "executable": False,
        }


def rent_lamports(data_bytes: int) -> int:
    """What an account of this size needs on a chain that does not exist yet: the virtual machine's default rent."""
    return Rent.default().minimum_balance(data_bytes)


def wallet(address: Pubkey, lamports: int) -> PlacedAccount:
    """A plain account with SOL."""
    return PlacedAccount(address, lamports, SYSTEM)


def mint_account(token: Token, authority: Pubkey) -> PlacedAccount:
    """A mint whose supply nobody counts; `authority` may mint more."""
    data = mint_data(authority=authority, decimals=token.decimals, supply=SUPPLY_BASE_UNITS)
    return PlacedAccount(Pubkey.from_string(token.mint), rent_lamports(MINT_LEN), SPL_TOKEN, data)


def token_account(address: Pubkey, mint: Pubkey, owner: Pubkey, amount_base_units: int) -> PlacedAccount:
    """A token account with a balance."""
    rent = rent_lamports(TOKEN_ACCOUNT_LEN)
    data = token_account_data(mint=mint, owner=owner, amount=amount_base_units)
    if mint != WRAPPED_SOL:
        return PlacedAccount(address, rent, SPL_TOKEN, data)
    native = data[:109] + (1).to_bytes(4, "little") + rent.to_bytes(8, "little") + data[121:]
    return PlacedAccount(address, rent + amount_base_units, SPL_TOKEN, native)
