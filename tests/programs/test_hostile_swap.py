"""A configured swap program that turns hostile, with the trade authority's signature in hand, gains nothing.

The token program stands for it: with that signature it does whatever the route says. `initialize` would not accept it.
"""

import struct

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from xorj_solana.programs import SPL_TOKEN
from xorj_solana.vault import VaultError

from tests.programs.svm_world import PROGRAM, TOKEN, Refused, World, account_of, labelled, trading_world

AMOUNT = 100 * TOKEN
THIEF = Pubkey(labelled("thief"))


def hostile_world() -> World:
    world = trading_world()
    world.allow(SPL_TOKEN)
    return world


def token_call(world: World, data: bytes, *accounts: Pubkey) -> Instruction:
    """A token instruction that the trade authority signs, its place being the last."""
    metas = [AccountMeta(account, is_signer=False, is_writable=True) for account in accounts]
    return Instruction(SPL_TOKEN, data, [*metas, AccountMeta(world.trade_authority, is_signer=True, is_writable=False)])


def assert_refused(world: World, swap: Instruction, expected: VaultError, amount_out_min: int = 1) -> None:
    """The vault's balances, and those of its trade authority, are as before."""
    balances, state = world.trade_balances(), world.vault_state()
    with pytest.raises(Refused) as refused:
        world.send_message(world.plan(world.order(AMOUNT, amount_out_min), swap), [world.bot])
    assert refused.value.vault_error() is expected, refused.value
    assert world.trade_balances() == balances
    assert world.vault_state() == state


def test_taking_the_input_for_nothing() -> None:
    world = hostile_world()
    loot = world.fund(THIEF, world.place_in, 0)
    swap = token_call(world, struct.pack("<BQ", 3, AMOUNT), account_of(world.trade_authority, world.place_in), loot)
    assert_refused(world, swap, VaultError.TOO_LITTLE_OUT)
    assert world.balance(loot) == 0


def test_taking_more_than_was_lent() -> None:
    world = hostile_world()
    source = account_of(world.trade_authority, world.place_in)
    world.add_dust(source, world.place_in, 1)
    loot = world.fund(THIEF, world.place_in, 0)
    assert_refused(world, token_call(world, struct.pack("<BQ", 3, AMOUNT + 1), source, loot), VaultError.TOO_MUCH_IN)


@pytest.mark.parametrize("side", ["place_in", "place_out"])
def test_leaving_a_delegate_behind(side: str) -> None:
    world = hostile_world()
    account = account_of(world.trade_authority, getattr(world, side))
    swap = token_call(world, struct.pack("<BQ", 4, 10**18), account, THIEF)
    assert_refused(world, swap, VaultError.ACCOUNT_STATE_CHANGED)


@pytest.mark.parametrize("side", ["place_in", "place_out"])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param(2, VaultError.WRONG_TOKEN_ACCOUNT, id="owner"),
        pytest.param(3, VaultError.ACCOUNT_STATE_CHANGED, id="close authority"),
    ],
)
def test_leaving_another_authority_behind(side: str, kind: int, expected: VaultError) -> None:
    world = hostile_world()
    account = account_of(world.trade_authority, getattr(world, side))
    data = bytes([6, kind, 1]) + bytes(THIEF)
    if kind == 2 and side == "place_in":
        # The sweep fails first: the token program itself refuses the trade authority.
        balances = world.trade_balances()
        with pytest.raises(Refused):
            world.send_message(world.plan(world.order(AMOUNT, 1), token_call(world, data, account)), [world.bot])
        assert world.trade_balances() == balances
        return
    assert_refused(world, token_call(world, data, account), expected)


def test_closing_a_trade_account_for_its_rent() -> None:
    world = hostile_world()
    account = account_of(world.trade_authority, world.place_out)
    balances = world.trade_balances()
    with pytest.raises(Refused):
        world.send_message(
            world.plan(world.order(AMOUNT, 1), token_call(world, bytes([9]), account, THIEF)), [world.bot]
        )
    assert world.trade_balances() == balances


def test_draining_lamports_beside_the_balance() -> None:
    world = hostile_world()
    address = account_of(world.trade_authority, world.place_out)
    account = world.account(address)
    world.svm.set_account(address, Account(account.lamports + 1_000_000, account.data, account.owner))
    world.svm.airdrop(THIEF, 1_000_000_000)
    withdraw_excess = token_call(world, bytes([38]), address, THIEF)
    assert_refused(world, withdraw_excess, VaultError.LAMPORTS_LOWER)
    assert world.account(address).lamports == account.lamports + 1_000_000


def test_trading_within_a_trade() -> None:
    world = trading_world()
    world.allow(PROGRAM)
    inner = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    unsigned = [AccountMeta(meta.pubkey, is_signer=False, is_writable=meta.is_writable) for meta in inner.accounts]
    assert_refused(world, Instruction(PROGRAM, inner.data, unsigned), VaultError.CALLED_BY_ANOTHER_PROGRAM)
