"""Token accounts in every wrong state, look-alikes of them, and Token-2022 mints with each extension."""

import struct
from collections.abc import Callable

import pytest
from solders.account import Account
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.programs import SPL_TOKEN, TOKEN_2022
from xorj_solana.tokens import token_account_data
from xorj_solana.vault import Limits, MintPlaces, ProgramFailure, VaultError

from tests.programs import rogue
from tests.programs.lawful import AMOUNT
from tests.programs.mints import LENGTHS, Extension, TransferFee, fee_mint, set_mint
from tests.programs.refusals import replaced
from tests.programs.rogue import RESERVE, ROGUE, exchange
from tests.programs.svm_world import PROGRAM, RENT, TOKEN, World, account_of, labelled, trading_world
from tests.programs.untouched import Expected, attack, attack_with

THIEF = Pubkey(labelled("thief"))
SIDES = [(holder, side) for holder in ("vault_address", "trade_authority") for side in ("place_in", "place_out")]
HARMLESS = {
    Extension.TRANSFER_FEE, Extension.METADATA_POINTER, Extension.TOKEN_METADATA, Extension.GROUP_POINTER,
    Extension.TOKEN_GROUP, Extension.GROUP_MEMBER_POINTER, Extension.TOKEN_GROUP_MEMBER,
}  # fmt: skip


@pytest.fixture
def world() -> World:
    return trading_world()


def refuse(world: World, expected: Expected) -> None:
    attack(world, world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT)), [world.bot], expected)


def put(world: World, address: Pubkey, change: Callable[[bytes], bytes]) -> None:
    account = world.account(address)
    world.svm.set_account(address, Account(account.lamports, change(account.data), account.owner))


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


STATES: dict[str, tuple[Callable[[bytes], bytes], VaultError]] = {
    "frozen": (lambda d: patched(d, 108, b"\x02"), VaultError.ACCOUNT_STATE_CHANGED),
    "not initialised": (lambda d: patched(d, 108, b"\x00"), VaultError.ACCOUNT_STATE_CHANGED),
    "delegated": (
        lambda d: patched(patched(d, 72, struct.pack("<I", 1) + bytes(THIEF)), 121, struct.pack("<Q", 2**64 - 1)),
        VaultError.ACCOUNT_STATE_CHANGED,
    ),
    "closable by another": (
        lambda d: patched(d, 129, struct.pack("<I", 1) + bytes(THIEF)),
        VaultError.ACCOUNT_STATE_CHANGED,
    ),
    "owned by another": (lambda d: patched(d, 32, bytes(THIEF)), VaultError.WRONG_TOKEN_ACCOUNT),
    "of another mint": (lambda d: patched(d, 0, bytes(THIEF)), VaultError.WRONG_TOKEN_ACCOUNT),
    "cut short": (lambda d: d[:164], VaultError.WRONG_TOKEN_ACCOUNT),
    "empty": (lambda _: b"", VaultError.WRONG_TOKEN_ACCOUNT),
}


@pytest.mark.parametrize(("holder", "side"), SIDES)
@pytest.mark.parametrize("state", STATES)
def test_a_token_account_in_a_state_that_is_not_its_owners_alone(
    world: World, holder: str, side: str, state: str
) -> None:
    change, expected = STATES[state]
    put(world, account_of(getattr(world, holder), getattr(world, side)), change)
    refuse(world, expected)


@pytest.mark.parametrize(("holder", "side"), SIDES)
def test_a_token_account_that_is_closed(world: World, holder: str, side: str) -> None:
    address = account_of(getattr(world, holder), getattr(world, side))
    world.svm.set_account(address, Account(0, b"", Pubkey.default()))
    refuse(world, VaultError.WRONG_TOKEN_ACCOUNT)


@pytest.mark.parametrize(("holder", "side"), SIDES)
@pytest.mark.parametrize("program", [TOKEN_2022, ROGUE, PROGRAM], ids=["Token-2022", "rogue", "vault"])
def test_a_token_account_of_another_program(world: World, holder: str, side: str, program: Pubkey) -> None:
    address = account_of(getattr(world, holder), getattr(world, side))
    account = world.account(address)
    world.svm.set_account(address, Account(account.lamports, account.data, program))
    refuse(world, VaultError.WRONG_TOKEN_ACCOUNT)


@pytest.mark.parametrize(("at", "holder", "side"), [(4 + n, *pair) for n, pair in enumerate(SIDES)])
def test_a_look_alike_with_the_right_owner_and_mint_elsewhere(world: World, at: int, holder: str, side: str) -> None:
    """Right in every byte, but not at the associated address: the funds in it would be out of the owner's sight.

    Of the trade authority's accounts any will do, since they go home empty; but then the swap must not reach another.
    """
    twin = Pubkey(labelled("look-alike"))
    world.set_token_account(twin, getattr(world, side), getattr(world, holder), 1_000 * TOKEN)
    honest = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    changed = replaced(honest, at, type(honest.accounts[at])(twin, is_signer=False, is_writable=True))
    is_vaults = holder == "vault_address"
    expected = VaultError.WRONG_TOKEN_ACCOUNT if is_vaults else VaultError.FOREIGN_TRADE_ACCOUNT
    attack(world, world.planned(changed, world.bot), [world.bot], expected)


@pytest.mark.parametrize("place", [10, 11])
@pytest.mark.parametrize("program", [TOKEN_2022, ROGUE], ids=["Token-2022", "rogue"])
def test_another_token_program_than_the_accounts_have(world: World, place: int, program: Pubkey) -> None:
    honest = world.trade_instruction(world.order(AMOUNT, 1), world.swap(AMOUNT))
    changed = replaced(honest, place, type(honest.accounts[place])(program, is_signer=False, is_writable=False))
    expected = VaultError.WRONG_TOKEN_ACCOUNT if program == TOKEN_2022 else VaultError.WRONG_TOKEN_PROGRAM
    attack(world, world.planned(changed, world.bot), [world.bot], expected)


@pytest.mark.parametrize("side", ["place_in", "place_out"])
def test_a_mint_that_turned_into_something_else(world: World, side: str) -> None:
    mint = getattr(world, side).mint
    account = world.account(mint)
    for data, owner, expected in (
        (patched(account.data, 45, b"\0"), SPL_TOKEN, VaultError.UNSUPPORTED_MINT),
        (account.data + b"\0", SPL_TOKEN, VaultError.UNSUPPORTED_MINT),
        (b"", SPL_TOKEN, VaultError.UNSUPPORTED_MINT),
        (account.data, TOKEN_2022, VaultError.WRONG_MINT),
        (account.data, ROGUE, VaultError.WRONG_MINT),
    ):
        world.svm.set_account(mint, Account(account.lamports, data, owner))
        refuse(world, expected)


# Token-2022.


def mint_with(world: World, *kinds: Extension) -> MintPlaces:
    values = {kind: bytes(LENGTHS[kind]) for kind in kinds}
    if Extension.TRANSFER_FEE in values:
        values[Extension.TRANSFER_FEE] = TransferFee(100, 10**6).value()
    return set_mint(world.svm, "extended mint", values)


@pytest.mark.parametrize("kind", [kind for kind in Extension if kind not in HARMLESS])
def test_a_mint_with_an_extension_that_takes_control_is_refused(world: World, kind: Extension) -> None:
    """Alone, and behind one that is harmless; neither opened nor deposited nor traded, had it been harmless before."""
    owner = world.owner.pubkey()
    harmless = mint_with(world, Extension.METADATA_POINTER)
    limits = Limits(10_000, 10_000, 0, 1, (harmless.mint, world.place_out.mint, world.place_in.mint))
    world.send([vault.set_limits(PROGRAM, owner=owner, limits=limits)], [world.owner])
    world.send([vault.open_mint(PROGRAM, owner=owner, place=harmless)], [world.owner])
    for kinds in ((kind,), (Extension.METADATA_POINTER, kind), (kind, Extension.TRANSFER_FEE)):
        place = mint_with(world, *kinds)
        opening = vault.open_mint(PROGRAM, owner=owner, place=place)
        attack_with(world, opening, [world.owner], VaultError.UNSUPPORTED_MINT)
        held = account_of(world.vault_address, place)
        for wallet in (world.vault_address, world.trade_authority, owner):
            data = token_account_data(mint=place.mint, owner=wallet, amount=TOKEN)
            world.svm.set_account(account_of(wallet, place), Account(RENT, data, TOKEN_2022))
        deposit = vault.deposit(PROGRAM, owner=owner, source=account_of(owner, place), place=place, amount=1)
        attack_with(world, deposit, [world.owner], VaultError.UNSUPPORTED_MINT)
        for place_in, place_out in ((place, world.place_out), (world.place_in, place)):
            trade = vault.bot_trade(
                PROGRAM,
                vault=world.vault_address,
                bot_authority=world.bot.pubkey(),
                order=world.order(TOKEN, 1),
                place_in=place_in,
                place_out=place_out,
                swap=world.swap(AMOUNT),
            )
            attack(world, world.planned(trade, world.bot), [world.bot], VaultError.UNSUPPORTED_MINT)
        assert world.balance(held) == TOKEN


@pytest.mark.parametrize("kind", sorted(HARMLESS))
def test_a_mint_with_a_harmless_extension_is_opened(world: World, kind: Extension) -> None:
    place = mint_with(world, kind)
    world.send([vault.open_mint(PROGRAM, owner=world.owner.pubkey(), place=place)], [world.owner])
    assert world.holding(world.vault_address, place) == 0


@pytest.mark.parametrize("entries", [b"\x12\x00\xff\xff", b"\x12\x00\x40\x00" + bytes(63), b"\x12\x00\x40"])
def test_a_list_of_extensions_that_does_not_add_up_is_refused_or_ends(world: World, entries: bytes) -> None:
    place = mint_with(world)
    account = world.account(place.mint)
    world.svm.set_account(place.mint, Account(RENT, account.data + entries, TOKEN_2022))
    opening = vault.open_mint(PROGRAM, owner=world.owner.pubkey(), place=place)
    expected: Expected = VaultError.UNSUPPORTED_MINT if len(entries) > 3 else "InvalidAccountData|InvalidMint"
    attack_with(world, opening, [world.owner], expected)


PERMISSIVE = [
    kind for kind in Extension
    if kind not in HARMLESS and kind not in (Extension.NON_TRANSFERABLE, Extension.UNKNOWN, Extension.PAUSABLE,
                                             Extension.CONFIDENTIAL_TRANSFER_FEE, Extension.TRANSFER_HOOK)
]  # fmt: skip


@pytest.mark.parametrize("kind", PERMISSIVE)
def test_the_owner_withdraws_whatever_the_mint_turned_into(world: World, kind: Extension) -> None:
    """As far as the token program itself allows: it stops those that forbid transfers or want accounts of their own."""
    owner = world.owner.pubkey()
    place = mint_with(world, kind)
    for wallet, amount in ((world.vault_address, TOKEN), (owner, 0)):
        data = token_account_data(mint=place.mint, owner=wallet, amount=amount)
        world.svm.set_account(account_of(wallet, place), Account(RENT, data, TOKEN_2022))
    target = account_of(owner, place)
    world.send([vault.withdraw(PROGRAM, owner=owner, destination=target, place=place, amount=TOKEN)], [world.owner])
    assert world.balance(target) == TOKEN


FEE = TransferFee(rate_bps=250, fee_max=3 * TOKEN)


def fee_world() -> tuple[World, MintPlaces]:
    """A trading world whose input mint takes a transfer fee, with the hostile swap program as an honest exchange."""
    world = trading_world()
    rogue.set_up(world)
    world.allow(ROGUE)
    owner = world.owner.pubkey()
    place = fee_mint(world.svm, "mint with a fee", FEE)
    limits = Limits(10_000, 10_000, 0, 1, (place.mint, world.place_in.mint, world.place_out.mint))
    world.send([vault.set_limits(PROGRAM, owner=owner, limits=limits)], [world.owner])
    world.send([vault.open_mint(PROGRAM, owner=owner, place=place)], [world.owner])
    for wallet, amount in ((owner, 1_000 * TOKEN), (RESERVE, 10**12)):
        data = token_account_data(mint=place.mint, owner=wallet, amount=amount)
        data += b"\x02" + struct.pack("<HHQ", 2, 8, 0)
        world.svm.set_account(account_of(wallet, place), Account(RENT, data, TOKEN_2022))
    deposit = vault.deposit(PROGRAM, owner=owner, source=account_of(owner, place), place=place, amount=1_000 * TOKEN)
    world.send([deposit], [world.owner])
    assert world.holding(world.vault_address, place) == 1_000 * TOKEN - FEE.of(1_000 * TOKEN)
    return world, place


@pytest.mark.parametrize("amount", [1, 40, 41, 100 * TOKEN, 120 * TOKEN + 1])
def test_a_bought_mint_with_a_fee_counts_what_arrives_in_the_vault(amount: int) -> None:
    """Two transfers, two fees: from the pool to the hand, and from the hand to the vault."""
    world, place = fee_world()
    world.place_out = place
    arrives = amount - FEE.of(amount)
    arrives -= FEE.of(arrives)
    for minimum, expected in ((arrives + 1, VaultError.TOO_LITTLE_OUT), (max(arrives, 1), None)):
        script = exchange(world, AMOUNT, 0)
        source, target = account_of(RESERVE, place), account_of(world.trade_authority, place)
        rogue.transfer_checked(script, source, target, place, amount, 6, RESERVE)
        script.signers.add(world.trade_authority)
        message = world.plan(world.order(AMOUNT, minimum), script.build())
        if expected is not None or arrives == 0:
            attack(world, message, [world.bot], VaultError.TOO_LITTLE_OUT)
            continue
        held = world.holding(world.vault_address, place)
        world.send_message(message, [world.bot])
        last = world.vault_state().last_trade
        assert last is not None
        assert (last.amount_in, last.amount_out) == (AMOUNT, arrives)
        assert world.holding(world.vault_address, place) == held + arrives


def test_a_sold_mint_with_a_fee_counts_what_the_vault_loses() -> None:
    world, place = fee_world()
    world.place_in = place
    lent = AMOUNT - FEE.of(AMOUNT)
    script = exchange(world, lent // 2, 10**9)
    script.signers.add(world.trade_authority)
    held = world.holding(world.vault_address, place)
    world.send_message(world.plan(world.order(AMOUNT, 10**9), script.build()), [world.bot])
    back = lent - lent // 2
    spent = AMOUNT - (back - FEE.of(back))
    assert held - world.holding(world.vault_address, place) == spent
    last = world.vault_state().last_trade
    assert last is not None
    assert last.amount_in == spent


def test_taking_the_fee_too_is_more_than_was_lent() -> None:
    world, place = fee_world()
    world.place_in = place
    script = exchange(world, AMOUNT, 10**9)
    script.signers.add(world.trade_authority)
    message = world.plan(world.order(AMOUNT, 10**9), script.build())
    attack(world, message, [world.bot], ProgramFailure(TOKEN_2022, 1))
