"""Sequence, expiry and the owner's limits: refused at the first step over an edge, accepted at the edge itself."""

from dataclasses import replace

import pytest
from solders.account import Account
from solders.instruction import Instruction
from solders.message import MessageV0
from xorj_solana import vault
from xorj_solana.vault import Limits, VaultError

from tests.programs import rogue
from tests.programs.lawful import AMOUNT
from tests.programs.svm_world import PROGRAM, SLOT, TOKEN, World, account_of, trading_world
from tests.programs.untouched import Expected, attack

HELD = 5_000 * TOKEN


@pytest.fixture(scope="module")
def shared() -> World:
    """For what is refused only."""
    return trading_world()


def limited(**changed: int) -> World:
    world = trading_world()
    mints = (world.place_in.mint, world.place_out.mint)
    limits = replace(Limits(10_000, 10_000, 0, 100, mints), **changed)  # type: ignore[arg-type]
    world.send([vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=limits)], [world.owner])
    return world


def trade(world: World, amount: int) -> None:
    world.send_message(world.plan(world.order(amount, 1), world.swap(amount)), [world.bot])


def refuse(world: World, amount: int, expected: Expected) -> None:
    attack(world, world.plan(world.order(amount, 1), world.swap(amount)), [world.bot], expected)


@pytest.mark.parametrize("offset", [-1, 1, 2, 10**6])
def test_a_sequence_that_is_used_or_skipped(offset: int) -> None:
    world = trading_world()
    trade(world, AMOUNT)
    order = world.order(AMOUNT, 1)
    attack(
        world,
        world.plan(replace(order, seq=order.seq + offset), world.swap(AMOUNT)),
        [world.bot],
        VaultError.WRONG_SEQUENCE,
    )


def test_the_very_same_trade_again() -> None:
    world = trading_world()
    message = world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT))
    world.send_message(message, [world.bot])
    attack(world, message, [world.bot], VaultError.WRONG_SEQUENCE)


@pytest.mark.parametrize("slots_between", [0, 1])
def test_two_trades_in_one_transaction_count_as_two(slots_between: int) -> None:
    """Nothing is gained by it: sequence, pace and turnover see both, and if one is refused neither happens."""
    world = limited(turnover_bps_max=3_000, slots_between_min=slots_between)

    def both(shares: tuple[int, int]) -> MessageV0:
        orders = [replace(world.order(HELD * bps // 10_000, 1), seq=seq + 1) for seq, bps in enumerate(shares)]
        trades = [world.trade_instruction(order, world.swap(order.amount_in_max)) for order in orders]
        for _ in range(2):  # the hash depends on the flags of the whole message, which hashes do not change
            message = MessageV0.try_compile(world.bot.pubkey(), trades, [], world.svm.latest_blockhash())
            hashes = [vault.accounts_hash_of_message(message, at, {}) for at in range(2)]
            trades = [
                Instruction(PROGRAM, trade.data[:72] + digest + trade.data[104:], trade.accounts)
                for trade, digest in zip(trades, hashes, strict=True)
            ]
        return message

    if slots_between:
        attack(world, both((100, 100)), [world.bot], VaultError.TOO_SOON)
        return
    attack(world, both((1_500, 1_501)), [world.bot], VaultError.TURNOVER_EXCEEDED)
    world.send_message(both((1_500, 1_000)), [world.bot])
    assert world.vault_state().trade_seq == 2


@pytest.mark.parametrize("seq", [0, 1, 2**64 - 1])
def test_a_vault_at_the_last_sequence_trades_no_more(seq: int) -> None:
    """Written by hand: no vault lives that long."""
    world = trading_world()
    account = world.account(world.vault_address)
    last = (2**64 - 1).to_bytes(8, "little")
    data = account.data[:48] + last + last + account.data[64:]
    world.svm.set_account(world.vault_address, Account(account.lamports, data, account.owner))
    order = replace(world.order(AMOUNT, 1), seq=seq) if seq else vault.TradeOrder(0, bytes(32), AMOUNT, 1, SLOT + 1)
    attack(world, world.plan(order, world.swap(AMOUNT)), [world.bot], VaultError.WRONG_SEQUENCE)


@pytest.mark.parametrize("ahead", [-SLOT, -1, 301, 10**9])
def test_expiry_before_now_or_too_far_ahead(shared: World, ahead: int) -> None:
    order = replace(shared.order(AMOUNT, 1), expiry_slot=SLOT + ahead)
    expected = VaultError.EXPIRED if ahead < 0 else VaultError.EXPIRY_TOO_FAR
    attack(shared, shared.plan(order, shared.swap(AMOUNT)), [shared.bot], expected)


@pytest.mark.parametrize("ahead", [0, 1, 299, 300])
def test_expiry_within_its_window(ahead: int) -> None:
    world = trading_world()
    order = replace(world.order(AMOUNT, 1), expiry_slot=SLOT + ahead)
    message = world.plan(order, world.swap(AMOUNT))
    world.svm.warp_to_slot(SLOT + ahead + 1)
    attack(world, message, [world.bot], VaultError.EXPIRED)
    world.svm.warp_to_slot(SLOT + ahead)
    world.send_message(message, [world.bot])
    assert world.vault_state().trade_seq == 1


@pytest.mark.parametrize("bps", [1, 2_500, 9_999])
def test_the_share_of_a_trade_at_and_above_its_edge(bps: int) -> None:
    world = limited(trade_share_bps_max=bps)
    edge = HELD * bps // 10_000
    refuse(world, edge + 1, VaultError.SHARE_EXCEEDED)
    refuse(world, HELD, VaultError.SHARE_EXCEEDED)
    trade(world, edge)
    # The next is a share of what is left.
    left = HELD - edge
    refuse(world, left * bps // 10_000 + 1, VaultError.SHARE_EXCEEDED)


@pytest.mark.parametrize("bps", [1, 2_500, 3_333, 9_999, 10_000])
def test_shares_of_the_largest_balance_there_can_be_are_exact(bps: int) -> None:
    world = limited(trade_share_bps_max=bps)
    rogue.set_up(world)
    world.allow(rogue.ROGUE)
    largest = 2**64 - 1
    world.set_token_account(
        account_of(world.vault_address, world.place_in), world.place_in, world.vault_address, largest
    )
    world.fund(rogue.RESERVE, world.place_in, 0)
    edge = largest * bps // 10_000
    for amount, expected in ((edge + 1, VaultError.SHARE_EXCEEDED), (edge, None)):
        if amount > largest:
            continue
        script = rogue.exchange(world, amount, 1)
        script.signers.add(world.trade_authority)
        message = world.plan(world.order(amount, 1), script.build())
        if expected is not None:
            attack(world, message, [world.bot], expected)
        else:
            world.send_message(message, [world.bot])
    assert world.holding(world.vault_address, world.place_in) == largest - edge


def test_a_share_of_zero_lets_nothing_through() -> None:
    world = limited(trade_share_bps_max=0)
    refuse(world, 1, VaultError.SHARE_EXCEEDED)


def test_the_turnover_of_two_windows_at_and_above_its_edge() -> None:
    world = limited(turnover_bps_max=3_000)
    trade(world, HELD // 10)  # 1,000 bps in the window of slots 1,000 to 1,099
    left = HELD - HELD // 10
    refuse(world, left // 5 + 1, VaultError.TURNOVER_EXCEEDED)
    world.svm.warp_to_slot(1_099)
    trade(world, left // 5)  # 2,000 bps: full
    refuse(world, 1, VaultError.TURNOVER_EXCEEDED)
    for slot in (1_100, 1_199):  # the window before still counts
        world.svm.warp_to_slot(slot)
        refuse(world, 1, VaultError.TURNOVER_EXCEEDED)
    world.svm.warp_to_slot(1_200)
    left -= left // 5
    refuse(world, left * 3 // 10 + 1, VaultError.TURNOVER_EXCEEDED)
    trade(world, left * 3 // 10)


def test_what_was_used_in_one_window_counts_in_the_next_only() -> None:
    world = limited(turnover_bps_max=3_000)
    world.svm.warp_to_slot(1_050)
    trade(world, HELD // 10)
    world.svm.warp_to_slot(1_100)
    left = HELD - HELD // 10
    trade(world, left // 10)
    world.svm.warp_to_slot(1_200)  # the first has gone, the second is the window before
    left -= left // 10
    refuse(world, left // 5 + 1, VaultError.TURNOVER_EXCEEDED)
    trade(world, left // 5)


def test_many_small_trades_are_one_turnover() -> None:
    """Shares are rounded up: slicing a trade makes it count for more, never for less."""
    world = limited(turnover_bps_max=100)
    for _ in range(100):
        trade(world, 1_000)
    refuse(world, 1_000, VaultError.TURNOVER_EXCEEDED)
    assert world.holding(world.vault_address, world.place_in) == HELD - 100_000


@pytest.mark.parametrize("slots", [1, 7, 300])
def test_the_slots_between_two_trades(slots: int) -> None:
    world = limited(slots_between_min=slots)
    trade(world, AMOUNT)
    for early in sorted({SLOT, SLOT + slots - 1}):
        world.svm.warp_to_slot(early)
        refuse(world, AMOUNT, VaultError.TOO_SOON)
    world.svm.warp_to_slot(SLOT + slots)
    trade(world, AMOUNT)


@pytest.mark.parametrize("side", ["place_in", "place_out"])
def test_a_mint_that_the_owner_did_not_list(side: str) -> None:
    world = trading_world()
    other = world.place_out if side == "place_in" else world.place_in
    limits = Limits(10_000, 10_000, 0, 100, (other.mint,))
    world.send([vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=limits)], [world.owner])
    refuse(world, 1, VaultError.MINT_NOT_ALLOWED)


def test_a_new_vault_trades_nothing_until_its_owner_sets_limits() -> None:
    world = trading_world()
    nothing = Limits(0, 0, 0, 1, ())
    world.send([vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=nothing)], [world.owner])
    refuse(world, 1, VaultError.MINT_NOT_ALLOWED)


def test_dust_in_every_account_beforehand_changes_no_judgement() -> None:
    """What anybody may send: tokens to all four accounts, lamports to them, vault, hand and configuration."""
    world = trading_world()
    for wallet in (world.vault_address, world.trade_authority):
        for place in (world.place_in, world.place_out):
            world.add_dust(account_of(wallet, place), place, 7)
            world.svm.airdrop(account_of(wallet, place), 1_000_000)
        world.svm.airdrop(wallet, 1_000_000)
    world.svm.airdrop(vault.config_address(PROGRAM), 1_000_000)
    quote = world.quote(AMOUNT)
    attack(
        world, world.plan(world.order(AMOUNT, quote + 1), world.swap(AMOUNT)), [world.bot], VaultError.TOO_LITTLE_OUT
    )
    world.send_message(world.plan(world.order(AMOUNT, quote), world.swap(AMOUNT)), [world.bot])
    last = world.vault_state().last_trade
    assert last is not None
    assert (last.amount_in, last.amount_out) == (AMOUNT, quote)
    # The dust of the hands went home on top, and nothing stays in them.
    assert world.trade_balances()[:4] == (HELD + 14 - AMOUNT, quote + 14, 0, 0)
