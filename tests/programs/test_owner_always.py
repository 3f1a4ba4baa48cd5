"""The owner gets everything out, whatever else is the matter; what an account costs comes back; fees are accounted."""

import hashlib
import struct
from dataclasses import replace

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.programs import SPL_TOKEN, SYSTEM
from xorj_solana.tokens import token_account_data
from xorj_solana.vault import MintPlaces, ProgramFailure, VaultError, events

from tests.programs import rogue
from tests.programs.mints import Extension, TransferFee, fee_mint, set_mint
from tests.programs.rogue import RESERVE, ROGUE, Script, transfer_checked
from tests.programs.svm_world import (
    PROGRAM,
    TOKEN,
    Refused,
    World,
    account_of,
    labelled,
    trading_world,
    widest_limits,
)

HELD = 5_000 * TOKEN


@pytest.fixture
def world() -> World:
    return trading_world()


def send(world: World, instruction: Instruction, signer: Keypair | None = None) -> list[vault.Event]:
    done = world.send([instruction], [signer or world.owner])
    return list(vault.find_events(done.logs(), PROGRAM))


def withdrawal(world: World, amount: int, place: MintPlaces | None = None) -> Instruction:
    owner, place = world.owner.pubkey(), place or world.place_in
    return vault.withdraw(PROGRAM, owner=owner, destination=account_of(owner, place), place=place, amount=amount)


def closing(world: World) -> Instruction:
    return vault.close_mint(PROGRAM, owner=world.owner.pubkey(), place=world.place_in)


def rewrite_vault(world: World, data: bytes) -> None:
    account = world.account(world.vault_address)
    world.svm.set_account(world.vault_address, Account(account.lamports, data, account.owner))


@pytest.mark.parametrize("length", [56, vault.accounts.VAULT_LEN, 2_000])
@pytest.mark.parametrize("version", [0, 2, 255])
def test_withdrawing_and_disabling_work_for_a_vault_of_any_version_and_trading_for_none(
    world: World, version: int, length: int
) -> None:
    order = world.order(TOKEN, 1)
    plan = world.plan(order, world.swap(TOKEN))
    data = world.account(world.vault_address).data
    rewrite_vault(world, (data[:8] + bytes([version]) + data[9:]).ljust(length, b"\x07")[:length])
    with pytest.raises(Refused) as refused:
        world.send_message(plan, [world.bot])
    assert refused.value.vault_error() is VaultError.WRONG_VAULT
    owner = world.owner.pubkey()
    assert send(world, vault.disable_bot(PROGRAM, authority=owner, vault=world.vault_address)) == [
        events.BotDisabled(world.vault_address, owner)
    ]
    assert world.account(world.vault_address).data[11] == 0
    found = send(world, withdrawal(world, vault.EVERYTHING))
    destination = account_of(owner, world.place_in)
    assert found == [events.Withdrawn(world.vault_address, world.place_in.mint, destination, HELD)]
    assert world.holding(owner, world.place_in) == HELD
    send(world, closing(world))
    for wallet in (world.vault_address, world.trade_authority):
        assert world.svm.get_account(account_of(wallet, world.place_in)) is None


def test_the_owner_disables_without_a_configuration_to_read(world: World) -> None:
    world.svm.set_account(vault.config_address(PROGRAM), Account(1, b"", Pubkey.default()))
    send(world, vault.disable_bot(PROGRAM, authority=world.owner.pubkey(), vault=world.vault_address))
    assert not world.vault_state().enabled
    guardian = vault.disable_bot(PROGRAM, authority=world.guardian.pubkey(), vault=world.vault_address)
    with pytest.raises(Refused) as refused:
        send(world, guardian, world.guardian)
    assert refused.value.vault_error() is VaultError.WRONG_CONFIG


def test_everything_is_the_whole_balance_and_nothing_of_nothing_is_refused(world: World) -> None:
    send(world, withdrawal(world, 3))
    send(world, withdrawal(world, vault.EVERYTHING))
    assert world.holding(world.owner.pubkey(), world.place_in) == HELD
    with pytest.raises(Refused) as refused:
        send(world, withdrawal(world, vault.EVERYTHING))
    assert refused.value.vault_error() is VaultError.ZERO_AMOUNT


def test_closing_a_mint_gives_the_rent_of_both_accounts_to_the_owner(world: World) -> None:
    send(world, withdrawal(world, vault.EVERYTHING))
    accounts = [account_of(wallet, world.place_in) for wallet in (world.vault_address, world.trade_authority)]
    rent = sum(world.account(address).lamports for address in accounts)
    before = world.account(world.owner.pubkey()).lamports
    assert send(world, closing(world)) == [
        events.MintClosed(world.vault_address, world.place_in.mint, vault_closed=True, swept=0)
    ]
    assert world.account(world.owner.pubkey()).lamports == before + rent - 5_000
    assert send(world, closing(world)) == [
        events.MintClosed(world.vault_address, world.place_in.mint, vault_closed=False, swept=0)
    ]
    send(world, vault.open_mint(PROGRAM, owner=world.owner.pubkey(), place=world.place_in))
    assert world.holding(world.vault_address, world.place_in) == 0


def test_dust_from_strangers_does_not_keep_a_mint_open(world: World) -> None:
    send(world, withdrawal(world, vault.EVERYTHING))
    world.add_dust(account_of(world.trade_authority, world.place_in), world.place_in, 9)
    assert send(world, closing(world)) == [
        events.MintClosed(world.vault_address, world.place_in.mint, vault_closed=False, swept=9)
    ]
    assert world.holding(world.vault_address, world.place_in) == 9
    world.send([withdrawal(world, vault.EVERYTHING), closing(world)], [world.owner])
    assert world.svm.get_account(account_of(world.vault_address, world.place_in)) is None


def test_a_mint_with_funds_keeps_its_vault_account_and_trades_again_once_opened(world: World) -> None:
    send(world, closing(world))
    assert world.holding(world.vault_address, world.place_in) == HELD
    with pytest.raises(Refused) as refused:
        world.send_message(world.plan(world.order(TOKEN, 1), world.swap(TOKEN)), [world.bot])
    assert refused.value.vault_error() is VaultError.WRONG_TOKEN_ACCOUNT
    send(world, vault.open_mint(PROGRAM, owner=world.owner.pubkey(), place=world.place_in))
    world.send_message(world.plan(world.order(TOKEN, 1), world.swap(TOKEN)), [world.bot])


def test_nobody_else_closes_a_mint(world: World) -> None:
    order = closing(world)
    for other in (world.admin, world.guardian, world.bot):
        accounts = [AccountMeta(other.pubkey(), is_signer=True, is_writable=True), *order.accounts[1:]]
        with pytest.raises(Refused) as refused:
            send(world, Instruction(PROGRAM, order.data, accounts), other)
        assert refused.value.vault_error() is VaultError.NOT_OWNER


def fee_world(world: World, fee: TransferFee) -> MintPlaces:
    """A mint with a transfer fee that the vault holds 10,000 units of, and a swap program that takes any order."""
    rogue.set_up(world)
    world.allow(ROGUE)
    place = fee_mint(world.svm, "mint with a fee", fee)
    key = world.owner.pubkey()
    mints = (world.place_in.mint, world.place_out.mint, place.mint)
    for order in (
        vault.set_limits(PROGRAM, owner=key, limits=widest_limits(*mints)),
        vault.open_mint(PROGRAM, owner=key, place=place),
    ):
        send(world, order)
    world.add_dust(account_of(world.vault_address, place), place, 10_000)
    world.fund(RESERVE, place, 10_000)
    return place


def traded(world: World, script: Script, amount: int, amount_out_min: int) -> vault.LastTrade:
    script.signers.add(world.trade_authority)
    order = replace(world.order(amount, amount_out_min), intent_id=hashlib.sha256(b"fee").digest())
    world.send_message(world.plan(order, script.build()), [world.bot])
    last = world.vault_state().last_trade
    assert last is not None
    return last


def test_a_transfer_fee_on_the_way_out_is_part_of_what_the_trade_spent(world: World) -> None:
    place = fee_world(world, TransferFee(rate_bps=100, fee_max=10**9))
    world.place_in = place
    # Of 1,000 lent 990 arrive; the swap burns 400 of them, and of 590 that come home 584 arrive.
    script = Script()
    burn = struct.pack("<BQ", 8, 400)
    hand = account_of(world.trade_authority, place)
    script.token(burn, hand, place.mint, authority=world.trade_authority, program=place.token_program)
    give = (account_of(RESERVE, world.place_out), account_of(world.trade_authority, world.place_out))
    transfer_checked(script, *give, world.place_out, 777, 9, RESERVE)
    last = traded(world, script, 1_000, 777)
    assert (last.amount_in, last.amount_out) == (1_000 - 584, 777)
    assert world.holding(world.vault_address, place) == 10_000 - (1_000 - 584)


def test_a_transfer_fee_on_the_way_home_is_no_part_of_what_the_vault_received(world: World) -> None:
    place = fee_world(world, TransferFee(rate_bps=100, fee_max=10**9))
    world.place_out = place
    script = Script()
    take = (account_of(world.trade_authority, world.place_in), account_of(RESERVE, world.place_in))
    transfer_checked(script, *take, world.place_in, TOKEN, 6, world.trade_authority)
    give = (account_of(RESERVE, place), account_of(world.trade_authority, place))
    transfer_checked(script, *give, place, 1_000, 6, RESERVE)
    with pytest.raises(Refused) as refused:
        traded(world, script, TOKEN, 981)
    assert refused.value.vault_error() is VaultError.TOO_LITTLE_OUT
    # 990 reach the trade authority, 980 the vault: the fee is rounded up each time.
    last = traded(world, script, TOKEN, 980)
    assert (last.amount_in, last.amount_out) == (TOKEN, 980)
    assert world.holding(world.vault_address, place) == 10_980


def test_a_deposit_of_a_mint_with_a_fee_counts_what_arrived(world: World) -> None:
    place = fee_world(world, TransferFee(rate_bps=100, fee_max=10**9))
    key = world.owner.pubkey()
    source = world.fund(key, place, 500)
    order = vault.deposit(PROGRAM, owner=key, source=source, place=place, amount=500)
    assert send(world, order) == [events.Deposited(world.vault_address, place.mint, 495)]


def test_another_token_account_of_the_trade_authority_cannot_come_into_being_during_a_swap(world: World) -> None:
    """Made in the swap and given away at once, it would keep the mint from being opened for ever."""
    rogue.set_up(world)
    world.allow(ROGUE)
    third = MintPlaces(Pubkey(labelled("third mint")))
    world.svm.set_account(third.mint, world.account(world.place_in.mint))
    made = Keypair.from_seed(labelled("made in the swap")).pubkey()
    world.svm.set_account(made, Account(10**9, bytes(165), SPL_TOKEN))
    script = rogue.exchange(world, TOKEN, 1)
    # InitializeAccount3 of an account that was there, uninitialised: now the trade authority's.
    metas = [AccountMeta(made, is_signer=False, is_writable=True), AccountMeta(third.mint, False, False)]  # noqa: FBT003
    script.call(Instruction(SPL_TOKEN, bytes([18]) + bytes(world.trade_authority), metas))
    script.signers.add(world.trade_authority)
    plan = world.plan(world.order(TOKEN, 1), script.build())
    with pytest.raises(Refused) as refused:
        world.send_message(plan, [world.bot])
    assert refused.value.failure == ProgramFailure(PROGRAM, VaultError.FOREIGN_TRADE_ACCOUNT)


def test_no_token_account_at_all_comes_into_being_during_a_swap(world: World) -> None:
    """Given away in the same breath it would carry nobody's name who could be recognised."""
    rogue.set_up(world)
    world.allow(ROGUE)
    world.svm.set_account(RESERVE, Account(10**9, b"", SYSTEM))
    script = rogue.exchange(world, TOKEN, 1)
    writable = AccountMeta(RESERVE, is_signer=True, is_writable=True)
    for data in (struct.pack("<IQ", 8, 165), struct.pack("<I", 1) + bytes(SPL_TOKEN)):
        script.call(Instruction(SYSTEM, data, [writable]))
    metas = [
        AccountMeta(RESERVE, is_signer=False, is_writable=True),
        AccountMeta(world.place_in.mint, is_signer=False, is_writable=False),
    ]
    script.call(Instruction(SPL_TOKEN, bytes([18]) + bytes(rogue.THIEF), metas))
    script.signers.add(world.trade_authority)
    plan = world.plan(world.order(TOKEN, 1), script.build())
    with pytest.raises(Refused) as refused:
        world.send_message(plan, [world.bot])
    assert refused.value.failure == ProgramFailure(PROGRAM, VaultError.FOREIGN_TRADE_ACCOUNT)


def test_a_mint_that_bots_may_not_trade_is_still_withdrawn_with_the_accounts_that_it_asks_for(world: World) -> None:
    hook = set_mint(world.svm, "mint with a hook", {Extension.TRANSFER_HOOK: bytes(64)})
    with pytest.raises(Refused) as refused:
        send(world, vault.open_mint(PROGRAM, owner=world.owner.pubkey(), place=hook))
    assert refused.value.vault_error() is VaultError.UNSUPPORTED_MINT
    for wallet in (world.vault_address, world.owner.pubkey()):
        data = token_account_data(mint=hook.mint, owner=wallet, amount=500)
        # Account type 2; TransferHookAccount: not transferring.
        extended = data + b"\x02" + struct.pack("<HHB", 15, 1, 0)
        world.svm.set_account(account_of(wallet, hook), Account(10**8, extended, hook.token_program))
    owner = world.owner.pubkey()
    extra = [
        AccountMeta(ROGUE, is_signer=False, is_writable=False),
        AccountMeta(owner, is_signer=True, is_writable=True),
    ]
    order = vault.withdraw(
        PROGRAM, owner=owner, destination=account_of(owner, hook), place=hook, amount=vault.EVERYTHING, extra=extra
    )
    send(world, order)
    assert world.balance(account_of(owner, hook)) == 1_000
