"""Accounts placed into the local chain from outside: mints, token accounts and wallets, as the token program keeps them.

1. An account of wrapped SOL holds its amount as lamports beside its rent, or the token program would refuse to move it.
"""

import base64
from dataclasses import dataclass

from solders.pubkey import Pubkey
from solders.rent import Rent

from xorj_localnet.market.tokens import WSOL, Token

SYSTEM_PROGRAM = Pubkey.from_string("11111111111111111111111111111111")
TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
ASSOCIATED_PROGRAM = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
NATIVE_MINT = Pubkey.from_string(WSOL.mint)
TOKEN_ACCOUNT_BYTES, MINT_BYTES = 165, 82
SUPPLY_BASE_UNITS = 2**63
_INITIALISED = 1


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


def associated_address(wallet: Pubkey, mint: Pubkey) -> Pubkey:
    """The wallet's token account for a mint of the SPL Token program."""
    return Pubkey.find_program_address([bytes(wallet), bytes(TOKEN_PROGRAM), bytes(mint)], ASSOCIATED_PROGRAM)[0]


def wallet(address: Pubkey, lamports: int) -> PlacedAccount:
    """A plain account with SOL."""
    return PlacedAccount(address, lamports, SYSTEM_PROGRAM)


def mint_account(token: Token) -> PlacedAccount:
    """A mint without authorities."""
    data = bytearray(MINT_BYTES)
    data[36:44] = SUPPLY_BASE_UNITS.to_bytes(8, "little")
    data[44], data[45] = token.decimals, _INITIALISED
    return PlacedAccount(Pubkey.from_string(token.mint), rent_lamports(MINT_BYTES), TOKEN_PROGRAM, bytes(data))


def token_account(address: Pubkey, mint: Pubkey, owner: Pubkey, amount_base_units: int) -> PlacedAccount:
    """A token account with a balance."""
    rent = rent_lamports(TOKEN_ACCOUNT_BYTES)
    data = bytearray(TOKEN_ACCOUNT_BYTES)
    data[:32], data[32:64] = bytes(mint), bytes(owner)
    data[64:72] = amount_base_units.to_bytes(8, "little")
    data[108] = _INITIALISED
    native = mint == NATIVE_MINT
    if native:
        data[109:113] = (1).to_bytes(4, "little")
        data[113:121] = rent.to_bytes(8, "little")
    lamports = rent + (amount_base_units if native else 0)
    return PlacedAccount(address, lamports, TOKEN_PROGRAM, bytes(data))


def amount_of(data: bytes) -> int:
    """Base units in a token account's data. Raises ValueError when it is no token account."""
    if len(data) < TOKEN_ACCOUNT_BYTES or data[108] != _INITIALISED:
        raise ValueError("not an initialised token account")
    return int.from_bytes(data[64:72], "little")
