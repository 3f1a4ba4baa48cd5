"""Vaults that are part of the chain's beginning: for worlds with more of them than transactions could open in time.

1. The accounts are those that open_vault, set_limits, open_mint, deposit and enable_bot would have left.
2. The owners' keys sign the settings and are written nowhere: later the bot can trade such a vault, nobody empty it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana.programs import LOCAL_VAULT_PROGRAM
from xorj_solana.tokens import associated_token_address, find_associated_token
from xorj_solana.vault import encode_limits
from xorj_solana.vault.accounts import LIMITS_AT, VAULT_DISCRIMINATOR, VAULT_LEN, VERSION

from xorj_localnet.genesis.bootstrap import OpenedVault, owners_limits
from xorj_localnet.genesis.vaults import VaultPlan
from xorj_localnet.market.accounts import PlacedAccount, rent_lamports, token_account
from xorj_localnet.market.scenario import Scenario


@dataclass(frozen=True, slots=True)
class PlacedVault:
    """An open, funded, enabled vault and all its accounts."""

    opened: OpenedVault
    accounts: tuple[PlacedAccount, ...]


def place_vaults(scenario: Scenario, plan: VaultPlan, count: int) -> tuple[PlacedVault, ...]:
    """`count` vaults of one plan, each of an owner of its own."""
    return tuple(_place(scenario, plan, Keypair()) for _ in range(count))


def accounts_of(vaults: Sequence[PlacedVault]) -> list[PlacedAccount]:
    """Every account of these vaults, for the genesis file."""
    return [account for vault in vaults for account in vault.accounts]


def _place(scenario: Scenario, plan: VaultPlan, owner_key: Keypair) -> PlacedVault:
    owner = owner_key.pubkey()
    vault, bump = Pubkey.find_program_address([b"vault", bytes(owner)], LOCAL_VAULT_PROGRAM)
    authority, authority_bump = Pubkey.find_program_address([b"trade-authority", bytes(vault)], LOCAL_VAULT_PROGRAM)
    data = bytearray(VAULT_LEN)
    data[:8] = VAULT_DISCRIMINATOR
    data[8:12] = bytes((VERSION, bump, authority_bump, 1))
    data[16:48] = bytes(owner)
    limits_set = owners_limits(scenario)
    limits = encode_limits(limits_set, [find_associated_token(vault, mint)[1] for mint in limits_set.mints])
    data[LIMITS_AT : LIMITS_AT + len(limits)] = limits
    accounts = [PlacedAccount(vault, rent_lamports(VAULT_LEN), LOCAL_VAULT_PROGRAM, bytes(data))]
    deposits = plan.deposits(scenario)
    for token in scenario.tokens:
        mint = Pubkey.from_string(token.mint)
        held = deposits.get(token.mint, 0)
        accounts.append(token_account(associated_token_address(vault, mint), mint, vault, held))
        accounts.append(token_account(associated_token_address(authority, mint), mint, authority, 0))
    return PlacedVault(OpenedVault(plan, vault, owner_key), tuple(accounts))
