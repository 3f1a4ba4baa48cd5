"""The assertion that every attack shares: refused for the expected reason, and nothing on the chain has changed.

1. Every account of the vault program, both token programs and every key that the message names is compared whole:
   lamports, data, owner, executable; accounts that appear or vanish count.
2. The one change that a refusal may make is the fee, exactly 5,000 lamports a signature, from the fee payer.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from solders.account import Account
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from xorj_solana.programs import SPL_TOKEN, TOKEN_2022, UPGRADEABLE_LOADER
from xorj_solana.vault import ProgramFailure, VaultError

from tests.programs.svm_world import PROGRAM, Refused, World

LAMPORTS_PER_SIGNATURE: Final = 5_000

# What a refusal is expected to be: the vault program's number, another program's, or a text of the runtime's.
Expected: TypeAlias = VaultError | ProgramFailure | str
State: TypeAlias = dict[Pubkey, tuple[int, bytes, Pubkey, bool]]


def state_of(world: World, keys: Iterable[Pubkey] = ()) -> State:
    """Every account of the programs that hold anything, and `keys`."""
    found = {
        key: fields(account)
        for program in (PROGRAM, SPL_TOKEN, TOKEN_2022, UPGRADEABLE_LOADER)
        for key, account in world.svm.get_program_accounts(program)
    }
    for key in keys:
        account = world.svm.get_account(key)
        if account is not None:
            found[key] = fields(account)
    return found


def fields(account: Account) -> tuple[int, bytes, Pubkey, bool]:
    return account.lamports, account.data, account.owner, account.executable


def attack(world: World, message: MessageV0, signers: Sequence[Keypair], expected: Expected) -> Refused:
    """Sends, expects exactly this refusal, and that nothing moved but the fee."""
    refused = refusal_of(world, message, signers)
    assert refused is not None, f"succeeded; wanted {expected!r}"
    assert_reason(refused, expected)
    return refused


def refusal_of(world: World, message: MessageV0, signers: Sequence[Keypair]) -> Refused | None:
    """Sends; None when it succeeded. When it was refused, nothing may have moved but the fee."""
    keys = set(message.account_keys)
    before = state_of(world, keys)
    try:
        world.send_message(message, signers)
    except Refused as refused:
        _assert_untouched(before, state_of(world, keys), message)
        return refused
    return None


def _assert_untouched(before: State, after: State, message: MessageV0) -> None:
    payer = message.account_keys[0]
    lamports, data, owner, executable = before[payer]
    fee = LAMPORTS_PER_SIGNATURE * message.header.num_required_signatures
    before[payer] = (lamports - fee, data, owner, executable)
    changed = [str(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    assert not changed, f"changed by a refused transaction: {changed}"


def attack_with(
    world: World, instructions: Instruction | Sequence[Instruction], signers: Sequence[Keypair], expected: Expected
) -> Refused:
    """The same for instructions that are no trade; the first signer pays."""
    listed = [instructions] if isinstance(instructions, Instruction) else list(instructions)
    message = MessageV0.try_compile(signers[0].pubkey(), listed, [], world.svm.latest_blockhash())
    return attack(world, message, signers, expected)


def assert_reason(refused: Refused, expected: Expected) -> None:
    if isinstance(expected, str):
        assert re.search(expected, str(refused)), f"wanted {expected!r}: {refused}"
    elif isinstance(expected, VaultError):
        assert refused.vault_error() is expected, f"wanted {expected!r}: {refused}"
    else:
        assert refused.failure == expected, f"wanted {expected!r}: {refused}"
