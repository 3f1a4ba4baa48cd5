"""Reads a vault and its token accounts from the chain.

1. The vault account and all token accounts come from one answer, so that holdings and sequence belong to one slot.
2. Whatever is wrong with the answer becomes `VaultUnreadable`: nothing is guessed, and an absent token account is zero.
3. A mint belongs to one of two token programs and the settings do not say which: both addresses are asked for. A
   holding that was overlooked would be bought again and again.
"""

import functools
from collections.abc import Sequence
from typing import Final, Protocol

from solders.pubkey import Pubkey
from xorj_core.reconcile import VaultSnapshot, VaultUnreadable
from xorj_solana.programs import SPL_TOKEN, TOKEN_2022
from xorj_solana.rpc import Account, Commitment, RpcClient, RpcError
from xorj_solana.tokens import MalformedAccount, associated_token_address, parse_token_account
from xorj_solana.vault import parse_vault

TOKEN_PROGRAMS: Final = (SPL_TOKEN, TOKEN_2022)
ACCOUNTS_MAX: Final = 100
MINTS_MAX: Final = (ACCOUNTS_MAX - 1) // len(TOKEN_PROGRAMS)


class VaultReader(Protocol):
    """Where snapshots come from."""

    async def read(
        self, vault: bytes, mints: Sequence[bytes], min_context_slot: int
    ) -> VaultSnapshot | VaultUnreadable:
        """The vault and its holdings of `mints` at one slot not before `min_context_slot`."""
        ...


class ChainVaultReader:
    """Snapshots at commitment confirmed from one RPC endpoint."""

    def __init__(self, client: RpcClient, program: Pubkey) -> None:
        self._client = client
        self._program = program

    async def read(
        self, vault: bytes, mints: Sequence[bytes], min_context_slot: int
    ) -> VaultSnapshot | VaultUnreadable:
        """One getMultipleAccounts; never raises for what the endpoint says or fails to say."""
        if len(vault) != 32 or len(mints) > MINTS_MAX or any(len(mint) != 32 for mint in mints):
            return VaultUnreadable(f"not a vault, or not at most {MINTS_MAX} mints")
        keys = [Pubkey(vault), *_token_addresses(vault, tuple(mints))]
        try:
            found = await self._client.get_multiple_accounts(keys, Commitment.CONFIRMED, min_context_slot or None)
            return self._snapshot(vault, mints, found.slot, found.accounts)
        except (RpcError, MalformedAccount) as error:
            return VaultUnreadable(f"{type(error).__name__}: {error}"[:300])

    def _snapshot(
        self, vault: bytes, mints: Sequence[bytes], slot: int, accounts: Sequence[Account | None]
    ) -> VaultSnapshot | VaultUnreadable:
        account, *token_accounts = accounts
        if account is None:
            return VaultUnreadable("no account at the vault's address")
        if account.owner != self._program:
            return VaultUnreadable(f"the account belongs to {account.owner}, not to the vault program")
        parsed = parse_vault(account.data)
        holdings: dict[bytes, int] = {}
        places = [(mint, program) for mint in mints for program in TOKEN_PROGRAMS]
        for (mint, program), held in zip(places, token_accounts, strict=True):
            if held is None or held.owner != program:
                continue
            token = parse_token_account(held.data)
            if bytes(token.mint) != mint or bytes(token.owner) != vault:
                return VaultUnreadable(f"the token account for mint {mint.hex()} is not the vault's")
            holdings[mint] = holdings.get(mint, 0) + token.amount
        return VaultSnapshot(slot, bytes(parsed.owner), parsed.enabled, parsed.trade_seq, holdings)


@functools.lru_cache(maxsize=20_000)
def _token_addresses(vault: bytes, mints: tuple[bytes, ...]) -> tuple[Pubkey, ...]:
    return tuple(
        associated_token_address(Pubkey(vault), Pubkey(mint), program) for mint in mints for program in TOKEN_PROGRAMS
    )
