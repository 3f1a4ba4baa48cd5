"""Wrapped SOL, whose balance is also lamports: closing pays it out, and lamports sent there are not yet a balance."""

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM
from solders.system_program import TransferParams, transfer
from xorj_solana.programs import ASSOCIATED_TOKEN, SPL_TOKEN, WRAPPED_SOL
from xorj_solana.vault import MintPlaces, VaultError

from tests.programs import rogue
from tests.programs.rogue import RESERVE, ROGUE, THIEF, Script, exchange, transfer_checked
from tests.programs.svm_world import TOKEN, World, account_of, trading_world
from tests.programs.untouched import Expected, attack

AMOUNT, PRICE = 100 * TOKEN, 10**9
NATIVE = MintPlaces(WRAPPED_SOL)


@pytest.fixture
def world() -> World:
    """Wrapped SOL is bought."""
    made = trading_world(place_out=NATIVE)
    rogue.set_up(made)
    made.allow(ROGUE)
    made.svm.set_account(RESERVE, Account(10**12, b"", SYSTEM))
    return made


def hand(world: World) -> Pubkey:
    return account_of(world.trade_authority, NATIVE)


def plan(world: World, script: Script) -> Instruction:
    script.signers.add(world.trade_authority)
    return script.build()


def refuse(world: World, script: Script, expected: Expected) -> None:
    attack(world, world.plan(world.order(AMOUNT, PRICE), plan(world, script)), [world.bot], expected)


def paid(world: World, amount: int) -> Script:
    return transfer_checked(
        exchange(world, AMOUNT, 0), account_of(RESERVE, NATIVE), hand(world), NATIVE, amount, 9, RESERVE
    )


def lamports(world: World, amount: int) -> Script:
    pay = transfer(TransferParams(from_pubkey=RESERVE, to_pubkey=hand(world), lamports=amount))
    return exchange(world, AMOUNT, 0).call(pay)


def sync(script: Script, account: Pubkey) -> Script:
    return script.call(Instruction(SPL_TOKEN, bytes([17]), [AccountMeta(account, is_signer=False, is_writable=True)]))


def close(script: Script, world: World) -> Script:
    return script.token(bytes([9]), hand(world), THIEF, authority=world.trade_authority)


def test_lamports_that_are_not_counted_are_no_payment(world: World) -> None:
    refuse(world, lamports(world, PRICE), VaultError.TOO_LITTLE_OUT)


def test_lamports_that_are_counted_are_payment(world: World) -> None:
    script = sync(lamports(world, PRICE), hand(world))
    world.send_message(world.plan(world.order(AMOUNT, PRICE), plan(world, script)), [world.bot])
    last = world.vault_state().last_trade
    assert last is not None
    assert last.amount_out == PRICE


def test_closing_the_hand_with_the_proceeds_in_it(world: World) -> None:
    refuse(world, close(paid(world, PRICE), world), VaultError.WRONG_TOKEN_ACCOUNT)


def test_closing_the_hand_and_opening_it_again_keeps_nothing(world: World) -> None:
    """The thief gets the rent of the old account and pays that of the new one; the proceeds have to come again."""
    reopen = Instruction(
        ASSOCIATED_TOKEN,
        bytes([1]),
        [
            AccountMeta(RESERVE, is_signer=True, is_writable=True),
            AccountMeta(hand(world), is_signer=False, is_writable=True),
            AccountMeta(world.trade_authority, is_signer=False, is_writable=False),
            AccountMeta(WRAPPED_SOL, is_signer=False, is_writable=False),
            AccountMeta(SYSTEM, is_signer=False, is_writable=False),
            AccountMeta(SPL_TOKEN, is_signer=False, is_writable=False),
        ],
    )
    refuse(world, close(paid(world, PRICE), world).call(reopen), VaultError.TOO_LITTLE_OUT)


def test_selling_wrapped_sol_and_closing_the_hand_that_lent_it() -> None:
    world = trading_world(place_in=NATIVE)
    rogue.set_up(world)
    world.allow(ROGUE)
    lent = account_of(world.trade_authority, NATIVE)
    script = exchange(world, 0, PRICE).token(bytes([9]), lent, THIEF, authority=world.trade_authority)
    refuse(world, script, VaultError.WRONG_TOKEN_ACCOUNT)


def test_lamports_beside_the_balance_stay_the_vaults(world: World) -> None:
    """Somebody sent lamports to the hand; nothing counts them, and nothing takes them."""
    world.svm.airdrop(hand(world), 1_000_000)
    before = world.account(hand(world)).lamports
    world.send_message(world.plan(world.order(AMOUNT, PRICE), plan(world, paid(world, PRICE))), [world.bot])
    assert world.account(hand(world)).lamports == before
