"""The genesis file of a local chain: programs, mints, pools, and funded wallets.

1. The bot authority can pay fees but owns no token account.
2. Owners begin with twice what their vaults are given; the vaults do not exist yet, transactions open them.
"""

from collections.abc import Sequence
from pathlib import Path

from solders.pubkey import Pubkey
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, LOCAL_VAULT_PROGRAM
from xorj_solana.tokens import associated_token_address

from xorj_localnet.genesis.vaults import VaultPlan
from xorj_localnet.genesis.wallets import Wallets
from xorj_localnet.market.accounts import PlacedAccount, mint_account, token_account, wallet
from xorj_localnet.market.pools import pool_accounts, pools_of
from xorj_localnet.market.scenario import Scenario
from xorj_localnet.paths import REPOSITORY

LAMPORTS_PER_SOL = 10**9
BOT_LAMPORTS = 100 * LAMPORTS_PER_SOL
PERSON_LAMPORTS = 10 * LAMPORTS_PER_SOL
PROGRAMS_DIRECTORY = REPOSITORY / "infra" / "programs" / "built"


def genesis_document(
    scenario: Scenario,
    wallets: Wallets,
    bot_authority: Pubkey,
    plans: Sequence[VaultPlan],
    *,
    more_accounts: Sequence[PlacedAccount] = (),
    programs: Path = PROGRAMS_DIRECTORY,
) -> dict[str, object]:
    """The JSON object that XORJ_CHAIN_GENESIS_FILE names; `more_accounts` are added as they are."""
    placed = [
        wallet(bot_authority, BOT_LAMPORTS),
        *(
            wallet(pair.pubkey(), PERSON_LAMPORTS)
            for pair in (wallets.upgrade_authority, wallets.admin, wallets.guardian, *wallets.owners.values())
        ),
        *(mint_account(token, wallets.admin.pubkey()) for token in scenario.tokens),
        *pool_accounts(pools_of(scenario.tokens, LOCAL_CPMM_PROGRAM), scenario, 0),
        *(account for plan in plans for account in _holdings(scenario, wallets, plan)),
        *more_accounts,
    ]
    authority = str(wallets.upgrade_authority.pubkey())
    return {
        "programs": [
            {"program_id": str(program), "so_path": str((programs / name).resolve()), "upgrade_authority": authority}
            for program, name in ((LOCAL_VAULT_PROGRAM, "vault.so"), (LOCAL_CPMM_PROGRAM, "cpmm.so"))
        ],
        "accounts": [account.as_json() for account in placed],
    }


def _holdings(scenario: Scenario, wallets: Wallets, plan: VaultPlan) -> list[PlacedAccount]:
    owner = wallets.owners[plan.name].pubkey()
    deposits = plan.deposits(scenario)
    mints = [Pubkey.from_string(token.mint) for token in scenario.tokens]
    return [
        token_account(associated_token_address(owner, mint), mint, owner, 2 * deposits.get(str(mint), 0))
        for mint in mints
    ]
