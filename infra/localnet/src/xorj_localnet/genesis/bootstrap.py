"""The first transactions of a local world: configure the vault program, open the vaults, fund and enable them.

1. Everything is done by ordinary transactions of the people concerned; nothing of a vault is placed from outside.
2. It returns only when the cluster reports every transaction finalized; slots are made to pass for that.
"""

import asyncio
import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from solders.compute_budget import set_compute_unit_limit
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, LOCAL_VAULT_PROGRAM
from xorj_solana.tokens import associated_token_address
from xorj_solana.vault import (
    Limits,
    MintPlaces,
    deposit,
    enable_bot,
    initialize,
    open_mint,
    open_vault,
    set_limits,
    vault_address,
)

from xorj_localnet.genesis.vaults import VaultPlan
from xorj_localnet.genesis.wallets import Wallets
from xorj_localnet.market.chain_access import ChainAccess, ChainRefused
from xorj_localnet.market.exact_json import Json
from xorj_localnet.market.scenario import Scenario

COMPUTE_UNITS = 1_400_000
FINALITY_SLOTS = 40
FINAL_S_MAX = 20.0
MINTS_PER_TRANSACTION = 3
DELAY_S = 5
"""What a change of the configuration waits on a local chain, where days would only be in the way."""


@dataclass(frozen=True, slots=True)
class OpenedVault:
    """A vault that exists, is funded and lets the bot trade."""

    plan: VaultPlan
    vault: Pubkey
    owner_key: Keypair = field(repr=False)

    @property
    def owner(self) -> Pubkey:
        return self.owner_key.pubkey()


async def bootstrap(
    chain: ChainAccess, scenario: Scenario, wallets: Wallets, bot_authority: Pubkey, plans: Sequence[VaultPlan]
) -> tuple[OpenedVault, ...]:
    """Opens the vaults planned. Raises ChainRefused when a transaction fails."""
    configured = initialize(
        LOCAL_VAULT_PROGRAM,
        payer=wallets.admin.pubkey(),
        upgrade_authority=wallets.upgrade_authority.pubkey(),
        admin=wallets.admin.pubkey(),
        guardian=wallets.guardian.pubkey(),
        swap_programs=[LOCAL_CPMM_PROGRAM],
        bot_authorities=[bot_authority],
        delay_s=DELAY_S,
    )
    # The loader runs a program from the slot after its deployment on.
    await chain.call("local_warpSlots", 1)
    signatures = [await send(chain, [configured], [wallets.admin, wallets.upgrade_authority])]
    opened = []
    for plan in plans:
        owner = wallets.owners[plan.name]
        for instructions in opening_of(plan, scenario, owner.pubkey()):
            signatures.append(await send(chain, instructions, [owner]))
        opened.append(OpenedVault(plan, vault_address(LOCAL_VAULT_PROGRAM, owner.pubkey()), owner))
    await chain.call("local_warpSlots", FINALITY_SLOTS)
    await _until_finalized(chain, signatures)
    return tuple(opened)


def opening_of(plan: VaultPlan, scenario: Scenario, owner: Pubkey) -> list[list[Instruction]]:
    """The instructions of each transaction that opens, funds and enables one vault, in order."""
    places = [MintPlaces(Pubkey.from_string(token.mint)) for token in scenario.tokens]
    limits = set_limits(LOCAL_VAULT_PROGRAM, owner=owner, limits=owners_limits(scenario))
    transactions = [[open_vault(LOCAL_VAULT_PROGRAM, owner=owner), limits]]
    for at in range(0, len(places), MINTS_PER_TRANSACTION):
        some = places[at : at + MINTS_PER_TRANSACTION]
        transactions.append([open_mint(LOCAL_VAULT_PROGRAM, owner=owner, place=place) for place in some])
    funding = [
        deposit(
            LOCAL_VAULT_PROGRAM,
            owner=owner,
            source=associated_token_address(owner, Pubkey.from_string(mint)),
            place=MintPlaces(Pubkey.from_string(mint)),
            amount=amount,
        )
        for mint, amount in plan.deposits(scenario).items()
    ]
    transactions.append([*funding, enable_bot(LOCAL_VAULT_PROGRAM, owner=owner)])
    return transactions


def owners_limits(scenario: Scenario) -> Limits:
    """Every token, whole balances, in any slot: the targets of a scenario may move all of a vault at once."""
    mints = tuple(Pubkey.from_string(token.mint) for token in scenario.tokens)
    return Limits(10_000, 10_000, slots_between_min=0, window_slots=1, mints=mints)


async def send(chain: ChainAccess, instructions: Sequence[Instruction], signers: Sequence[Keypair]) -> str:
    """Sends one transaction, paid by the first signer; returns its signature. Raises ChainRefused when it fails."""
    latest = cast("dict[str, Json]", await chain.call("getLatestBlockhash", {"commitment": "processed"}))
    blockhash = Hash.from_string(str(cast("dict[str, Json]", latest["value"])["blockhash"]))
    everything = [set_compute_unit_limit(COMPUTE_UNITS), *instructions]
    message = MessageV0.try_compile(signers[0].pubkey(), everything, [], blockhash)
    raw = bytes(VersionedTransaction(message, list(signers)))
    options: Json = {"encoding": "base64", "preflightCommitment": "processed"}
    return str(await chain.call("sendTransaction", base64.b64encode(raw).decode(), options))


async def _until_finalized(chain: ChainAccess, signatures: Sequence[str]) -> None:
    deadline = time.monotonic() + FINAL_S_MAX
    while True:
        answer = cast("dict[str, Json]", await chain.call("getSignatureStatuses", list(signatures)))
        statuses = [cast("dict[str, Json] | None", status) for status in cast("list[Json]", answer["value"])]
        failed = [status for status in statuses if status is not None and status["err"] is not None]
        if failed:
            raise ChainRefused(f"a transaction of the world's beginning failed: {failed[0]}")
        if all(status is not None and status["confirmationStatus"] == "finalized" for status in statuses):
            return
        if time.monotonic() > deadline:
            raise ChainRefused(f"not finalized within {FINAL_S_MAX} s")
        await asyncio.sleep(0.05)
