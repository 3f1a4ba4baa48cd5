"""Walks over every account of every instruction and says how each change ends.

`python -m tests.programs.refusals` writes what it finds to refusals.json, which a test compares case by case: the exact
reason of every refusal, and by omission nothing else that succeeds.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.programs import ASSOCIATED_TOKEN, LOCAL_CPMM_PROGRAM, SPL_TOKEN, SYSTEM, TOKEN_2022

from tests.programs.lawful import SCENES, Lawful, lawful
from tests.programs.svm_world import PROGRAM, TOKEN, Refused, World, account_of, labelled, new_keypair, open_owner_vault
from tests.programs.untouched import refusal_of

IDL: Final = Path(__file__).resolve().parents[2] / "infra" / "programs" / "idl" / "vault.json"
EXPECTED: Final = Path(__file__).with_name("refusals.json")
SUCCESS: Final = "success"

# instruction → account → reason → changes
Table = dict[str, dict[str, dict[str, list[str]]]]


def account_names(instruction: str) -> list[str]:
    entries = json.loads(IDL.read_text())["instructions"]
    return [account["name"] for entry in entries if entry["name"] == instruction for account in entry["accounts"]]


def reason_of(refused: Refused | None) -> str:
    """The vault's own name, or who refused instead and with what."""
    if refused is None:
        return SUCCESS
    error = refused.vault_error()
    if error is not None:
        return error.name
    if refused.failure is not None:
        return f"{refused.failure.program} {refused.failure.code}"
    found = re.search(r"Fieldless\((\w+)\)", str(refused))
    return found[1] if found else str(refused).split(":")[0]


def strangers(world: World) -> dict[str, Pubkey]:
    """What may stand in the place of another account: other vaults', made up, of other kinds."""
    other = replace(world, owner=Keypair.from_seed(labelled("other owner")))
    for copy, original in ((COPIED_VAULT, world.vault_address), (COPIED_CONFIG, vault.config_address(PROGRAM))):
        account = world.svm.get_account(original)
        if account is not None:
            world.svm.set_account(copy, Account(account.lamports, account.data, LOCAL_CPMM_PROGRAM))
    if world.svm.get_account(other.vault_address) is None and world.svm.get_account(world.vault_address) is not None:
        new_keypair(world.svm, "other owner")
        open_owner_vault(other, 5 * TOKEN)
        world.set_token_account(HIDDEN, world.place_in, world.vault_address, TOKEN)
    return {
        "config": vault.config_address(PROGRAM),
        "vault": world.vault_address,
        "trade authority": world.trade_authority,
        "another's vault": other.vault_address,
        "another's trade authority": other.trade_authority,
        "another's vault in": account_of(other.vault_address, world.place_in),
        "another's trade out": account_of(other.trade_authority, world.place_out),
        "vault in": account_of(world.vault_address, world.place_in),
        "vault out": account_of(world.vault_address, world.place_out),
        "trade in": account_of(world.trade_authority, world.place_in),
        "trade out": account_of(world.trade_authority, world.place_out),
        "second account of the vault": HIDDEN,
        "owner's account": account_of(world.owner.pubkey(), world.place_in),
        "look-alike vault": COPIED_VAULT,
        "look-alike config": COPIED_CONFIG,
        "mint in": world.place_in.mint,
        "mint out": world.place_out.mint,
        "SPL Token": SPL_TOKEN,
        "Token-2022": TOKEN_2022,
        "associated token program": ASSOCIATED_TOKEN,
        "system program": SYSTEM,
        "vault program": PROGRAM,
        "pool program": LOCAL_CPMM_PROGRAM,
        "nobody": Pubkey(labelled("nobody")),
    }


COPIED_VAULT: Final = Pubkey(labelled("copied vault"))
COPIED_CONFIG: Final = Pubkey(labelled("copied config"))
HIDDEN: Final = Pubkey(labelled("second account of the vault"))


def changes(scene: Lawful) -> Iterator[tuple[str, str, Instruction, list[Keypair]]]:
    """(account, change, instruction, signers). The payer is a stranger, so that taking a signature away is possible."""
    world, honest = scene.world, scene.instruction
    payer = world.market_maker
    signing = {keypair.pubkey(): keypair for keypair in scene.signers}
    names = account_names(scene.name)
    keys = strangers(world)
    others = {role: getattr(world, role) for role in ("owner", "admin", "guardian", "bot", "market_maker")}
    for at, name in enumerate(names):
        meta = honest.accounts[at]
        rest = [keypair for key, keypair in signing.items() if key != meta.pubkey]
        if meta.is_signer:
            bare = AccountMeta(meta.pubkey, is_signer=False, is_writable=meta.is_writable)
            yield name, "not signing", replaced(honest, at, bare), [payer, *rest]
            for role, keypair in others.items():
                if keypair.pubkey() not in signing:
                    signed = AccountMeta(keypair.pubkey(), is_signer=True, is_writable=meta.is_writable)
                    extra = [] if role == "market_maker" else [keypair]
                    yield name, f"{role} signing", replaced(honest, at, signed), [payer, *rest, *extra]
        for label, key in keys.items():
            if key != meta.pubkey:
                other = AccountMeta(key, is_signer=False, is_writable=meta.is_writable)
                yield name, label, replaced(honest, at, other), [payer, *rest]
        if meta.is_writable:
            frozen = AccountMeta(meta.pubkey, is_signer=meta.is_signer, is_writable=False)
            yield name, "read-only", replaced(honest, at, frozen), [payer, *scene.signers]
        dropped = [other for index, other in enumerate(honest.accounts) if index != at]
        yield name, "left out", Instruction(PROGRAM, honest.data, dropped), [payer, *scene.signers]
        twice = [*honest.accounts[: at + 1], meta, *honest.accounts[at + 1 :]]
        yield name, "twice", Instruction(PROGRAM, honest.data, twice), [payer, *scene.signers]
        for later in range(at + 1, len(names)):
            swapped = list(honest.accounts)
            swapped[at], swapped[later] = swapped[later], swapped[at]
            exchanged = f"exchanged with {names[later]}"
            yield name, exchanged, Instruction(PROGRAM, honest.data, swapped), [payer, *scene.signers]


def replaced(instruction: Instruction, at: int, meta: AccountMeta) -> Instruction:
    accounts = list(instruction.accounts)
    accounts[at] = meta
    return Instruction(instruction.program_id, instruction.data, accounts)


def walk(name: str) -> dict[str, dict[str, list[str]]]:
    """How every change to the accounts of one instruction ends; a world that a change succeeded in is left behind."""
    table: dict[str, dict[str, list[str]]] = {}
    scene = lawful(name)
    todo = list(changes(scene))
    for at in range(len(todo)):
        account, change, instruction, signers = todo[at]
        needed = [signers[0], *(other for other in signers[1:] if other != signers[0] and signs(instruction, other))]
        reason = reason_of(refusal_of(scene.world, scene.message(instruction, needed), needed))
        table.setdefault(account, {}).setdefault(reason, []).append(change)
        if reason == SUCCESS:
            scene = lawful(name)
            todo = list(changes(scene))
    return table


def signs(instruction: Instruction, keypair: Keypair) -> bool:
    return any(meta.is_signer and meta.pubkey == keypair.pubkey() for meta in instruction.accounts)


def main() -> int:
    table: Table = {name: walk(name) for name in SCENES}
    EXPECTED.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
