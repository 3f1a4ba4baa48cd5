"""A lawful trade with anything changed in it, hash recomputed, either stays lawful or changes nothing.

This is what a stolen bot key may try. By the invariants of docs/vault-program.md: (3) the sequence grows by one or not
at all, (4) the vault never pays more than the order's maximum nor gets less than its minimum, (9) a refusal changes
nothing.
"""

import random
from dataclasses import replace

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.vault import MAX_SWAP_ACCOUNTS, VaultError

from tests.programs.svm_world import (
    PROGRAM,
    TOKEN,
    Refused,
    World,
    labelled,
    new_keypair,
    open_owner_vault,
    trading_world,
)

AMOUNT = 50 * TOKEN
SEED = 20_261_122
ROUNDS = 1_500


def everything_held(world: World) -> tuple[int, int, int, int]:
    """Balances in and out, and lamports, of the vault's side."""
    wallets = (world.vault_address, world.trade_authority)
    tokens_in, tokens_out = (
        sum(world.holding(wallet, place) for wallet in wallets) for place in (world.place_in, world.place_out)
    )
    return tokens_in, tokens_out, world.account(world.vault_address).lamports, world.vault_state().trade_seq


def mutated(numbers: random.Random, trade: Instruction, pool: list[Pubkey]) -> Instruction:
    accounts, data = list(trade.accounts), bytearray(trade.data)
    for _ in range(numbers.randrange(1, 4)):
        at = numbers.randrange(len(accounts))
        match numbers.randrange(7):
            case 0:
                accounts[at] = replace_key(accounts[at], numbers.choice(pool))
            case 1:
                other = numbers.randrange(len(accounts))
                accounts[at], accounts[other] = accounts[other], accounts[at]
            case 2:
                accounts[at] = AccountMeta(accounts[at].pubkey, accounts[at].is_signer, numbers.random() < 0.5)
            case 3:
                accounts.append(accounts[at])
            case 4:
                data[numbers.randrange(8, len(data))] = numbers.randrange(256)
            case 5:
                place = numbers.choice([8, 48, 56, 64, 116, 124])
                value = numbers.choice([0, 1, AMOUNT - 1, AMOUNT + 1, 2 * AMOUNT, 2**63, 2**64 - 1])
                data[place : place + 8] = value.to_bytes(8, "little")
            case _:
                accounts.insert(at, replace_key(accounts[at], numbers.choice(pool)))
    return Instruction(PROGRAM, bytes(data), accounts)


def replace_key(meta: AccountMeta, key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=meta.is_writable)


def test_no_change_to_a_trade_harms_a_vault() -> None:
    world = trading_world()
    other = replace(world, owner=new_keypair(world.svm, "other owner"))
    open_owner_vault(other, 5_000 * TOKEN)
    pool = [
        *(meta.pubkey for meta in world.trade_instruction(world.order(1, 1), world.swap(1)).accounts),
        *(meta.pubkey for meta in other.trade_instruction(other.order(1, 1), other.swap(1)).accounts),
        world.owner.pubkey(), PROGRAM, Pubkey(labelled("nobody")),
    ]  # fmt: skip
    numbers = random.Random(SEED)
    traded = refused = 0
    for number in range(ROUNDS):
        honest = world.trade_instruction(world.order(AMOUNT, world.quote(AMOUNT)), world.swap(AMOUNT))
        trade = mutated(numbers, honest, pool)
        before, other_before = everything_held(world), everything_held(other)
        try:
            world.send_message(world.planned(trade, world.bot), [world.bot])
        except Refused:
            refused += 1
            assert everything_held(world) == before, f"seed {SEED}, change {number}"
        else:
            traded += 1
            bounds = (int.from_bytes(trade.data[at : at + 8], "little") for at in (48, 56))
            spent_max, received_min = bounds
            after = everything_held(world)
            assert before[0] - after[0] <= spent_max, f"seed {SEED}, change {number}"
            assert after[1] - before[1] >= received_min, f"seed {SEED}, change {number}"
            assert after[2] >= before[2]
            assert after[3] == before[3] + 1
        assert everything_held(other) == other_before, f"seed {SEED}, change {number}"
    assert traded
    assert refused > traded


@pytest.mark.parametrize("count", [MAX_SWAP_ACCOUNTS, MAX_SWAP_ACCOUNTS + 1])
def test_a_swap_has_at_most_the_accounts_that_fit_a_stack_frame(count: int) -> None:
    world = trading_world()
    trade = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    more = [trade.accounts[-1]] * (count - 13)
    message = world.planned(Instruction(PROGRAM, trade.data, [*trade.accounts, *more]), world.bot)
    if count <= MAX_SWAP_ACCOUNTS:
        world.send_message(message, [world.bot])
        assert world.vault_state().trade_seq == 1
        return
    with pytest.raises(Refused) as failure:
        world.send_message(message, [world.bot])
    assert failure.value.vault_error() is VaultError.WRONG_ACCOUNTS
    swap = world.swap(AMOUNT)
    crowded = Instruction(swap.program_id, swap.data, [*swap.accounts, *more])
    with pytest.raises(vault.InvalidInstruction):
        world.trade_instruction(world.order(AMOUNT, 1), crowded)
