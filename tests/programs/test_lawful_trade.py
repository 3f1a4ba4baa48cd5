"""A lawful trade moves exactly what the pool's arithmetic says, once."""

import random
import struct

import pytest
from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit
from solders.message import MessageV0
from solders.pubkey import Pubkey
from xorj_solana import cpmm, vault
from xorj_solana.programs import TOKEN_2022, WRAPPED_SOL
from xorj_solana.vault import MintPlaces

from tests.programs.svm_world import (
    FEE_RATE_PPM,
    PROGRAM,
    SLOT,
    TOKEN,
    TOKEN_LIKE,
    USDC_LIKE,
    Refused,
    World,
    account_of,
    labelled,
    trading_world,
)

LOOKUP_PROGRAM = Pubkey.from_string("AddressLookupTab1e1111111111111111111111111")


def test_a_trade_moves_exactly_what_the_pool_quotes_and_is_recorded() -> None:
    world = trading_world()
    amount = 1_234_567_890
    out = world.quote(amount)
    order = world.order(amount, out)
    result = world.send_message(world.plan(order, world.swap(amount)), [world.bot])

    assert world.trade_balances() == (
        5_000 * TOKEN - amount, out, 0, 0, 1_000_000 * TOKEN + amount, 10_000 * 10**9 - out,
    )  # fmt: skip
    state = world.vault_state()
    assert state.trade_seq == 1
    assert state.last_trade == vault.LastTrade(1, order.intent_id, amount, out, SLOT)
    assert vault.find_trade_executed(result.logs(), PROGRAM) == vault.TradeExecuted(
        world.vault_address, 1, order.intent_id, world.place_in.mint, world.place_out.mint, amount, out, SLOT
    )


def test_many_trades_stay_exact_and_the_pool_never_loses() -> None:
    world = trading_world()
    seed = 20_261_122
    numbers = random.Random(seed)
    for seq in range(1, 21):
        amount = numbers.randrange(1, 200 * TOKEN)
        reserve_in, reserve_out = world.reserves()
        out = cpmm.swap_base_input_out(reserve_in, reserve_out, amount, FEE_RATE_PPM)
        held = world.holding(world.vault_address, world.place_out)
        world.send_message(world.plan(world.order(amount, out), world.swap(amount)), [world.bot])
        assert world.holding(world.vault_address, world.place_out) == held + out, f"seed {seed}, trade {seq}"
        new_in, new_out = world.reserves()
        assert new_in * new_out >= reserve_in * reserve_out
        assert world.vault_state().trade_seq == seq


def test_dust_in_the_trade_accounts_is_swept_into_the_vault() -> None:
    world = trading_world()
    dust_in, dust_out = 77, 99
    world.add_dust(account_of(world.trade_authority, world.place_in), world.place_in, dust_in)
    world.add_dust(account_of(world.trade_authority, world.place_out), world.place_out, dust_out)
    amount = 10 * TOKEN
    out = world.quote(amount)
    world.send_message(world.plan(world.order(amount, out), world.swap(amount)), [world.bot])
    assert world.trade_balances()[:4] == (5_000 * TOKEN - amount + dust_in, out + dust_out, 0, 0)
    last = world.vault_state().last_trade
    assert last is not None
    assert (last.amount_in, last.amount_out) == (amount, out), "dust is no part of the trade"


def test_what_the_swap_leaves_comes_back() -> None:
    world = trading_world()
    amount = 10 * TOKEN
    out = world.quote(amount)
    world.send_message(world.plan(world.order(4 * amount, out), world.swap(amount)), [world.bot])
    assert world.trade_balances()[:4] == (5_000 * TOKEN - amount, out, 0, 0)
    last = world.vault_state().last_trade
    assert last is not None
    assert last.amount_in == amount


@pytest.mark.parametrize(
    ("place_in", "place_out"),
    [
        pytest.param(MintPlaces(WRAPPED_SOL), TOKEN_LIKE, id="wrapped SOL in"),
        pytest.param(USDC_LIKE, MintPlaces(WRAPPED_SOL), id="wrapped SOL out"),
        pytest.param(MintPlaces(Pubkey(labelled("2022")), TOKEN_2022), TOKEN_LIKE, id="Token-2022 in"),
        pytest.param(USDC_LIKE, MintPlaces(Pubkey(labelled("2022")), TOKEN_2022), id="Token-2022 out"),
    ],
)
def test_every_kind_of_token_trades(place_in: MintPlaces, place_out: MintPlaces) -> None:
    world = trading_world(place_in=place_in, place_out=place_out)
    amount = 100 * TOKEN
    out = world.quote(amount)
    world.send_message(world.plan(world.order(amount, out), world.swap(amount)), [world.bot])
    assert world.trade_balances()[:4] == (5_000 * TOKEN - amount, out, 0, 0)


def test_exactly_one_of_two_messages_for_the_same_sequence_trades() -> None:
    world = trading_world()
    first = world.plan(world.order(TOKEN, 1), world.swap(TOKEN))
    second = world.plan(world.order(TOKEN + 1, 1), world.swap(TOKEN + 1))
    world.send_message(first, [world.bot])
    balances = world.trade_balances()
    with pytest.raises(Refused) as refused:
        world.send_message(second, [world.bot])
    assert refused.value.vault_error() is vault.VaultError.WRONG_SEQUENCE
    assert world.trade_balances() == balances


def set_table(world: World, table: Pubkey, addresses: list[Pubkey]) -> None:
    """A lookup table that never was deactivated and was last extended in the first slot."""
    head = struct.pack("<IQQBB32sH", 1, 2**64 - 1, 0, 0, 0, bytes(32), 0)
    data = head + b"".join(bytes(address) for address in addresses)
    world.svm.set_account(table, Account(10**9, data, LOOKUP_PROGRAM))


def planned_with_table(world: World, table: Pubkey, addresses: list[Pubkey]) -> MessageV0:
    amount = 10 * TOKEN
    trade = world.trade_instruction(world.order(amount, world.quote(amount)), world.swap(amount))
    lookup = AddressLookupTableAccount(table, addresses)
    instructions = [set_compute_unit_limit(400_000), trade]
    message = MessageV0.try_compile(world.bot.pubkey(), instructions, [lookup], world.svm.latest_blockhash())
    assert message.address_table_lookups
    return vault.with_accounts_hash(message, PROGRAM, {table: addresses})


def test_accounts_may_come_from_a_lookup_table() -> None:
    world = trading_world()
    table = Pubkey(labelled("table"))
    addresses = [meta.pubkey for meta in world.swap(1).accounts]
    set_table(world, table, addresses)
    world.send_message(planned_with_table(world, table, addresses), [world.bot])
    assert world.vault_state().trade_seq == 1


def test_a_table_that_loads_other_accounts_than_planned_is_refused() -> None:
    world = trading_world()
    table = Pubkey(labelled("table"))
    addresses = [meta.pubkey for meta in world.swap(1).accounts]
    message = planned_with_table(world, table, addresses)
    lying = [*addresses]
    lying[12] = Pubkey(labelled("another observation"))
    set_table(world, table, lying)
    balances = world.trade_balances()
    with pytest.raises(Refused) as refused:
        world.send_message(message, [world.bot])
    assert refused.value.vault_error() is vault.VaultError.ACCOUNTS_HASH_MISMATCH
    assert world.trade_balances() == balances
