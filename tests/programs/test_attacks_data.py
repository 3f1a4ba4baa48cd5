"""Instruction data of every wrong length, every wrong tag, and numbers at the ends of their range."""

import struct
from dataclasses import replace

import pytest
from solders.instruction import Instruction
from xorj_solana import vault
from xorj_solana.programs import SPL_TOKEN
from xorj_solana.vault import Limits, ProgramFailure, VaultError

from tests.programs.lawful import AMOUNT, SCENES, lawful, pass_time
from tests.programs.svm_world import DELAY_S, PROGRAM, SLOT, TOKEN, World, account_of, trading_world
from tests.programs.untouched import Expected, attack, attack_with

U64_MAX = 2**64 - 1
INSUFFICIENT = ProgramFailure(SPL_TOKEN, 1)


@pytest.mark.parametrize("name", SCENES)
def test_data_of_any_other_length_is_refused(name: str) -> None:
    scene = lawful(name)
    whole = scene.instruction.data
    cuts = [whole[:length] for length in range(len(whole))]
    longer = [whole + tail * count for tail in (b"\0", b"\xff") for count in (1, 7, 32, 300)]
    for data in (*cuts, *longer):
        expected = VaultError.UNKNOWN_INSTRUCTION if len(data) < 8 else VaultError.MALFORMED_DATA
        message = scene.message(Instruction(PROGRAM, data, scene.instruction.accounts))
        attack(scene.world, message, scene.signers, expected)
    scene.world.send_message(scene.message(), scene.signers)


@pytest.mark.parametrize("name", SCENES)
def test_a_tag_with_any_bit_changed_is_no_instruction(name: str) -> None:
    scene = lawful(name)
    for bit in range(64):
        data = bytearray(scene.instruction.data)
        data[bit // 8] ^= 1 << bit % 8
        instruction = Instruction(PROGRAM, bytes(data), scene.instruction.accounts)
        message = scene.message(replace_tag(instruction))
        attack(scene.world, message, scene.signers, VaultError.UNKNOWN_INSTRUCTION)


def replace_tag(instruction: Instruction) -> Instruction:
    """Cut to where no accounts hash is looked for: the tag alone decides."""
    return Instruction(PROGRAM, instruction.data[:40], instruction.accounts)


def test_a_route_that_says_another_length_than_it_has_is_refused() -> None:
    scene = lawful("bot_trade")
    at = 8 + 96
    (length,) = struct.unpack_from("<I", scene.instruction.data, at)
    for wrong in (0, length - 1, length + 1, 2**31, 2**32 - 1):
        data = scene.instruction.data[:at] + struct.pack("<I", wrong) + scene.instruction.data[at + 4 :]
        message = scene.message(Instruction(PROGRAM, data, scene.instruction.accounts))
        attack(scene.world, message, scene.signers, VaultError.MALFORMED_DATA)


@pytest.fixture(scope="module")
def shared() -> World:
    return trading_world()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"amount_in_max": U64_MAX}, VaultError.INSUFFICIENT_FUNDS),
        ({"amount_in_max": 2**63}, VaultError.INSUFFICIENT_FUNDS),
        ({"amount_in_max": 5_000 * TOKEN + 1}, VaultError.INSUFFICIENT_FUNDS),
        ({"amount_out_min": U64_MAX}, VaultError.TOO_LITTLE_OUT),
        ({"expiry_slot": U64_MAX}, VaultError.EXPIRY_TOO_FAR),
        ({"expiry_slot": 0}, VaultError.EXPIRED),
        ({"seq": U64_MAX}, VaultError.WRONG_SEQUENCE),
        ({"seq": 0}, VaultError.WRONG_SEQUENCE),
    ],
)
def test_an_order_with_numbers_at_their_ends(shared: World, changed: dict[str, int], expected: Expected) -> None:
    order = replace(shared.order(AMOUNT, 1), **changed)  # type: ignore[arg-type]
    attack(shared, shared.plan(order, shared.swap(AMOUNT)), [shared.bot], expected)


@pytest.mark.parametrize("amount", [5_000 * TOKEN + 1, 2**63, U64_MAX - 1])
def test_withdrawing_more_than_there_is(shared: World, amount: int) -> None:
    owner = shared.owner.pubkey()
    target = account_of(owner, shared.place_in)
    order = vault.withdraw(PROGRAM, owner=owner, destination=target, place=shared.place_in, amount=amount)
    attack_with(shared, order, [shared.owner], INSUFFICIENT)


def test_the_largest_amount_means_everything_and_nothing_is_not_withdrawn(shared: World) -> None:
    owner = shared.owner.pubkey()
    empty = vault.withdraw(
        PROGRAM,
        owner=owner,
        destination=shared.fund(owner, shared.place_out, 0),
        place=shared.place_out,
        amount=U64_MAX,
    )
    attack_with(shared, empty, [shared.owner], VaultError.ZERO_AMOUNT)
    world = trading_world()
    target = world.fund(owner, world.place_in, 0)
    everything = vault.withdraw(PROGRAM, owner=owner, destination=target, place=world.place_in, amount=U64_MAX)
    world.send([everything], [world.owner])
    assert (world.balance(target), world.holding(world.vault_address, world.place_in)) == (5_000 * TOKEN, 0)


@pytest.mark.parametrize("amount", [TOKEN + 1, U64_MAX])
def test_depositing_more_than_there_is(shared: World, amount: int) -> None:
    owner = shared.owner.pubkey()
    source = shared.fund(owner, shared.place_in, TOKEN)
    order = vault.deposit(PROGRAM, owner=owner, source=source, place=shared.place_in, amount=amount)
    attack_with(shared, order, [shared.owner], INSUFFICIENT)


@pytest.mark.parametrize("delay_s", [0, DELAY_S - 1, DELAY_S, 14 * 86_400 + 1, 2**63, U64_MAX])
def test_a_delay_is_raised_within_its_range_only(shared: World, delay_s: int) -> None:
    order = vault.raise_delay(PROGRAM, admin=shared.admin.pubkey(), delay_s=delay_s)
    attack_with(shared, order, [shared.admin], VaultError.INVALID_DELAY)


@pytest.mark.parametrize("change", [vault.LowerDelay(0), vault.LowerDelay(DELAY_S), vault.LowerDelay(U64_MAX),
                                    vault.Unpause(0), vault.Unpause(U64_MAX)])  # fmt: skip
def test_a_change_to_a_number_that_makes_no_sense(shared: World, change: vault.Change) -> None:
    order = vault.schedule(PROGRAM, admin=shared.admin.pubkey(), change=change)
    attack_with(shared, order, [shared.admin], VaultError.INVALID_CHANGE)


@pytest.mark.parametrize("byte", range(41))
def test_a_change_has_no_byte_that_is_not_read(shared: World, byte: int) -> None:
    """Other kinds, key kinds and anything in the padding; another key is another change, so keys are left out."""
    honest = vault.schedule(PROGRAM, admin=shared.admin.pubkey(), change=vault.Unpause(0))
    if byte == 0:
        for kind in (0, 7, 255):
            data = honest.data[:8] + bytes([kind]) + honest.data[9:]
            attack_with(shared, Instruction(PROGRAM, data, honest.accounts), [shared.admin], VaultError.INVALID_CHANGE)
        return
    patched = bytearray(honest.data)
    patched[8 + byte] = 1
    attack_with(
        shared, Instruction(PROGRAM, bytes(patched), honest.accounts), [shared.admin], VaultError.INVALID_CHANGE
    )


@pytest.mark.parametrize(
    "limits",
    [
        Limits(10_001, 10_000, 0, 1, ()),
        Limits(10_000, 10_001, 0, 1, ()),
        Limits(65_535, 65_535, 0, 1, ()),
        Limits(10_000, 10_000, 0, 0, ()),
    ],
)
def test_limits_out_of_range(shared: World, limits: Limits) -> None:
    order = raw_limits(shared, limits)
    attack_with(shared, order, [shared.owner], VaultError.INVALID_LIMITS)


def raw_limits(world: World, limits: Limits, tail: bytes = b"") -> Instruction:
    """What the client would not build."""
    numbers = (limits.trade_share_bps_max, limits.turnover_bps_max, limits.slots_between_min, limits.window_slots)
    honest = vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=Limits(1, 1, 0, 1, ()))
    data = honest.data[:8] + struct.pack("<HHIQ", *numbers) + (tail or bytes(4))
    return Instruction(PROGRAM, data, honest.accounts)


def test_limits_with_a_mint_twice_a_zero_mint_or_too_many(shared: World) -> None:
    numbers = Limits(1, 1, 0, 1, ())
    mint = bytes(shared.place_in.mint)
    for mints in ([mint, mint], [bytes(32)], [mint, bytes(32)], [bytes([n]) * 32 for n in range(1, 18)]):
        tail = struct.pack("<I", len(mints)) + b"".join(mints)
        order = raw_limits(shared, numbers, tail)
        attack_with(shared, order, [shared.owner], VaultError.INVALID_LIMITS)
    for count in (0, 2, 16):
        order = raw_limits(shared, numbers, struct.pack("<I", count) + mint)
        attack_with(shared, order, [shared.owner], VaultError.MALFORMED_DATA)
    order = raw_limits(shared, numbers, struct.pack("<I", 2**32 - 1) + mint)
    attack_with(shared, order, [shared.owner], VaultError.INVALID_LIMITS)


def test_the_largest_lawful_numbers_do_not_overflow() -> None:
    world = trading_world()
    widest = Limits(10_000, 10_000, 2**32 - 1, U64_MAX, (world.place_in.mint, world.place_out.mint))
    world.send([vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=widest)], [world.owner])
    world.send_message(world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT)), [world.bot])
    too_soon = world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT))
    attack(world, too_soon, [world.bot], VaultError.TOO_SOON)
    pass_time(world, 2**32 - 2)
    attack(world, world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT)), [world.bot], VaultError.TOO_SOON)
    pass_time(world, 1)
    assert world.svm.get_clock().slot == SLOT + 2**32 - 1
    world.send_message(world.plan(world.order(AMOUNT, 1), world.swap(AMOUNT)), [world.bot])
