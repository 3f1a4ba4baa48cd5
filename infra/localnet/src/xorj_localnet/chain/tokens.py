"""Token accounts as raw bytes: the fields of an SPL Token or Token-2022 account and the decimals of its mint.

1. Amounts are base units; decimals are read from the mint and never change, so they are remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from solders.account import Account
from solders.pubkey import Pubkey

from xorj_localnet.chain.records import TokenBalance

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
TOKEN_PROGRAMS = (TOKEN_PROGRAM, TOKEN_2022_PROGRAM)
_ACCOUNT_BYTES = 165
_MINT_BYTES = 82
_DECIMALS_OFFSET = 44
_ACCOUNT_TYPE_ACCOUNT = 2


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """Mint, owner and amount (base units) of a token account."""

    mint: Pubkey
    owner: Pubkey
    amount_base_units: int


def parse_token_account(account: Account) -> TokenAccount | None:
    """The token account in these bytes, or ``None`` when they are not an initialised one."""
    if account.owner not in TOKEN_PROGRAMS:
        return None
    data = bytes(account.data)
    extended = len(data) > _ACCOUNT_BYTES and data[_ACCOUNT_BYTES] == _ACCOUNT_TYPE_ACCOUNT
    if (len(data) != _ACCOUNT_BYTES and not extended) or data[108] == 0:
        return None
    return TokenAccount(
        Pubkey.from_bytes(data[:32]), Pubkey.from_bytes(data[32:64]), int.from_bytes(data[64:72], "little")
    )


class TokenReader:
    """Token balances of a transaction's accounts."""

    __slots__ = ("_decimals", "_read")

    def __init__(self, read: Callable[[Pubkey], Account | None]) -> None:
        self._read = read
        self._decimals: dict[Pubkey, int] = {}

    def decimals(self, mint: Pubkey) -> int | None:
        """Decimals of a mint, ``None`` when it is not one."""
        known = self._decimals.get(mint)
        if known is not None:
            return known
        account = self._read(mint)
        if account is None or account.owner not in TOKEN_PROGRAMS or len(account.data) < _MINT_BYTES:
            return None
        found = bytes(account.data)[_DECIMALS_OFFSET]
        self._decimals[mint] = found
        return found

    def balances(self, keys: Sequence[Pubkey], states: Mapping[Pubkey, Account | None]) -> tuple[TokenBalance, ...]:
        """Balances of the token accounts among ``keys`` whose state is given, in key order."""
        found: list[TokenBalance] = []
        for index, key in enumerate(keys):
            account = states.get(key)
            token = None if account is None else parse_token_account(account)
            decimals = None if token is None else self.decimals(token.mint)
            if account is None or token is None or decimals is None:
                continue
            found.append(TokenBalance(index, token.mint, token.owner, account.owner, token.amount_base_units, decimals))
        return tuple(found)


def ui_amount_json(amount_base_units: int, decimals: int) -> dict[str, str | int | float | None]:
    """The four fields of a token amount. ``uiAmount`` is the interface's float and is for display only."""
    digits = str(amount_base_units).rjust(decimals + 1, "0")
    whole, fraction = (digits[:-decimals], digits[-decimals:].rstrip("0")) if decimals else (digits, "")
    text = f"{whole}.{fraction}" if fraction else whole
    return {"amount": str(amount_base_units), "decimals": decimals, "uiAmount": float(text), "uiAmountString": text}
