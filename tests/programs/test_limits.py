"""A bot moves no more than the owner allows: share of a balance, slots between trades, turnover per window, mints."""

from collections.abc import Sequence

import pytest
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.vault import Limits, VaultError, events

from tests.programs.svm_world import (
    PROGRAM,
    TOKEN,
    Refused,
    World,
    labelled,
    new_keypair,
    pass_time,
    trading_world,
)

HELD = 5_000 * TOKEN


@pytest.fixture
def world() -> World:
    return trading_world()


def limit(world: World, **changed: object) -> list[vault.Event]:
    """Sets the widest limits but for what is named."""
    mints = (world.place_in.mint, world.place_out.mint)
    wide: dict[str, object] = {
        "trade_share_bps_max": 10_000,
        "turnover_bps_max": 10_000,
        "slots_between_min": 0,
        "window_slots": 100,
        "mints": mints,
    }
    limits = Limits(**(wide | changed))  # type: ignore[arg-type]
    order = vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=limits)
    return list(vault.find_events(world.send([order], [world.owner]).logs(), PROGRAM))


def trade(world: World, amount: int) -> None:
    world.send_message(world.plan(world.order(amount, 1), world.swap(amount)), [world.bot])


def trade_until_refused(world: World, size: int) -> None:
    for _ in range(2_000):
        trade(world, min(size, world.holding(world.vault_address, world.place_in) // 20))


def refuse(world: World, amount: int, expected: VaultError) -> None:
    before, balances = world.vault_state(), world.trade_balances()
    with pytest.raises(Refused) as refused:
        trade(world, amount)
    assert refused.value.vault_error() is expected, refused.value
    assert (world.vault_state(), world.trade_balances()) == (before, balances)


def refuse_instruction(
    world: World, instruction: Instruction, expected: VaultError, signers: Sequence[Keypair]
) -> None:
    with pytest.raises(Refused) as refused:
        world.send([instruction], signers)
    assert refused.value.vault_error() is expected, refused.value


def used(world: World) -> list[tuple[int, int]]:
    return [(turnover.used_before_bps, turnover.used_bps) for turnover in world.vault_state().turnover]


def test_a_new_vault_allows_nothing_although_the_bot_is_enabled() -> None:
    world = trading_world()
    newcomer = new_keypair(world.svm, "newcomer")
    key = newcomer.pubkey()
    world.send([vault.open_vault(PROGRAM, owner=key), vault.enable_bot(PROGRAM, owner=key)], [newcomer])
    address = vault.vault_address(PROGRAM, key)
    state = vault.parse_vault(world.account(address).data)
    assert state.limits == Limits(0, 0, 0, 0, ())
    for place in (world.place_in, world.place_out):
        world.send([vault.open_mint(PROGRAM, owner=key, place=place)], [newcomer])
    world.owner = newcomer
    refuse(world, 1, VaultError.MINT_NOT_ALLOWED)
    limit(world, trade_share_bps_max=0)
    for place in (world.place_in, world.place_out):
        refuse(world, 1, VaultError.MINT_NOT_OPENED)
        world.send([vault.open_mint(PROGRAM, owner=key, place=place)], [newcomer])
    world.fund(address, world.place_in, TOKEN)
    refuse(world, 1, VaultError.SHARE_EXCEEDED)
    limit(world, turnover_bps_max=0)
    refuse(world, 1, VaultError.TURNOVER_EXCEEDED)


def test_the_largest_share_of_a_balance_is_exact(world: World) -> None:
    limit(world, trade_share_bps_max=2_500)
    refuse(world, HELD // 4 + 1, VaultError.SHARE_EXCEEDED)
    trade(world, HELD // 4)
    left = HELD - HELD // 4
    refuse(world, left // 4 + 1, VaultError.SHARE_EXCEEDED)
    trade(world, left // 4)


def test_more_than_the_balance_is_insufficient_funds_before_it_is_a_share(world: World) -> None:
    limit(world, trade_share_bps_max=1)
    refuse(world, HELD + 1, VaultError.INSUFFICIENT_FUNDS)
    refuse(world, 2**64 - 1, VaultError.INSUFFICIENT_FUNDS)
    refuse(world, HELD, VaultError.SHARE_EXCEEDED)


def test_trades_keep_their_distance_in_slots_and_the_first_waits_for_none(world: World) -> None:
    limit(world, slots_between_min=10)
    trade(world, TOKEN)
    refuse(world, TOKEN, VaultError.TOO_SOON)
    pass_time(world, 0, slots=9)
    refuse(world, TOKEN, VaultError.TOO_SOON)
    pass_time(world, 0, slots=1)
    trade(world, TOKEN)


def test_turnover_is_bounded_in_every_stretch_of_a_windows_length(world: World) -> None:
    """Windows begin at slots 1,000, 1,100, ...; the world starts in the first slot of one."""
    limit(world, turnover_bps_max=1_000)
    pass_time(world, 0, slots=99)
    trade(world, HELD * 6 // 100)
    assert used(world) == [(0, 600), (0, 0)]
    pass_time(world, 0, slots=1)
    # One slot later, and yet what the last window spent still counts.
    balance = world.holding(world.vault_address, world.place_in)
    refuse(world, balance * 401 // 10_000, VaultError.TURNOVER_EXCEEDED)
    trade(world, balance * 400 // 10_000)
    assert used(world) == [(600, 400), (0, 0)]
    pass_time(world, 0, slots=99)
    refuse(world, TOKEN, VaultError.TURNOVER_EXCEEDED)
    pass_time(world, 0, slots=1)
    # The first window's six per cent are forgotten, the second's four are not.
    balance = world.holding(world.vault_address, world.place_in)
    refuse(world, balance * 601 // 10_000, VaultError.TURNOVER_EXCEEDED)
    trade(world, balance * 600 // 10_000)
    assert used(world) == [(400, 600), (0, 0)]
    pass_time(world, 0, slots=200)
    balance = world.holding(world.vault_address, world.place_in)
    trade(world, balance // 10)
    assert used(world) == [(0, 1_000), (0, 0)]


def test_every_mint_has_a_turnover_of_its_own_and_small_trades_count_rounded_up(world: World) -> None:
    limit(world, turnover_bps_max=3)
    for _ in range(3):
        trade(world, 1_000)
    refuse(world, 1_000, VaultError.TURNOVER_EXCEEDED)
    world.place_in, world.place_out = world.place_out, world.place_in
    world.fund(world.vault_address, world.place_in, 10**12)
    trade(world, 10**6)
    assert used(world) == [(0, 3), (0, 1)]


def test_only_what_was_spent_counts_not_what_might_have_been(world: World) -> None:
    limit(world, turnover_bps_max=1_000)
    order = world.order(HELD // 10, 1)
    world.send_message(world.plan(order, world.swap(HELD // 100)), [world.bot])
    assert used(world) == [(0, 100), (0, 0)]
    refuse(world, HELD // 10, VaultError.TURNOVER_EXCEEDED)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_mint_that_the_owner_does_not_list_is_neither_sold_nor_bought(world: World, missing: int) -> None:
    mints = [world.place_in.mint, world.place_out.mint]
    mints[missing] = Pubkey(labelled("another mint"))
    limit(world, mints=tuple(mints))
    refuse(world, TOKEN, VaultError.MINT_NOT_ALLOWED)


def test_only_the_owner_sets_limits_and_setting_them_forgets_the_turnover(world: World) -> None:
    trade(world, HELD // 10)
    limits = Limits(1, 2, 3, 4, (world.place_in.mint,))
    for other in (world.admin, world.guardian, world.bot):
        order = vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=limits)
        accounts = [order.accounts[0], order.accounts[1]]
        accounts[0] = type(accounts[0])(other.pubkey(), is_signer=True, is_writable=False)
        refuse_instruction(world, Instruction(PROGRAM, order.data, accounts), VaultError.NOT_OWNER, [other])
    found = limit(world, turnover_bps_max=77)
    state = world.vault_state()
    assert found == [events.LimitsSet(world.vault_address, state.limits)]
    assert state.limits.turnover_bps_max == 77
    assert used(world) == [(0, 0), (0, 0)]


def test_limits_that_mean_nothing_are_refused(world: World) -> None:
    mint = world.place_in.mint
    other = Pubkey(labelled("another mint"))
    wrong = [
        Limits(10_001, 0, 0, 1, ()),
        Limits(0, 10_001, 0, 1, ()),
        Limits(0, 0, 0, 0, ()),
        Limits(0, 0, 0, 1, (mint, other, mint)),
        Limits(0, 0, 0, 1, (mint, Pubkey.default())),
    ]
    for limits in wrong:
        order = vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=limits)
        refuse_instruction(world, order, VaultError.INVALID_LIMITS, [world.owner])
    many = tuple(Pubkey(labelled(f"mint {number}")) for number in range(17))
    with pytest.raises(vault.InvalidInstruction):
        vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=Limits(0, 0, 0, 1, many))
    full = Limits(1, 2, 3, 4, many[:16])
    world.send([vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=full)], [world.owner])
    assert world.vault_state().limits == full
    data = vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=full).data
    accounts = list(vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=full).accounts)
    seventeen = data[:24] + (17).to_bytes(4, "little") + data[28:] + bytes(many[16])
    refuse_instruction(world, Instruction(PROGRAM, seventeen, accounts), VaultError.INVALID_LIMITS, [world.owner])
    for length in (0, 8, 27, len(data) - 1):
        cut = Instruction(PROGRAM, data[: max(length, 8)], accounts)
        refuse_instruction(world, cut, VaultError.MALFORMED_DATA, [world.owner])


def test_a_stolen_bot_key_destroys_no_more_than_the_turnover_limit_in_a_window(world: World) -> None:
    """At a price of nothing for whatever it sells: the worst that a key can do alone, whichever way it cuts it up."""
    limit(world, turnover_bps_max=1_000, trade_share_bps_max=500)
    for size in [HELD // 20, HELD // 40, HELD // 100, TOKEN, 1_000]:
        with pytest.raises(Refused) as refused:
            trade_until_refused(world, size)
        assert refused.value.vault_error() is VaultError.TURNOVER_EXCEEDED
    spent = HELD - world.holding(world.vault_address, world.place_in)
    assert 0 < spent <= HELD // 10
