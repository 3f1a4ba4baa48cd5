"""Only the program's own upgrade authority makes the configuration, once; look-alikes of every account are refused."""

from collections.abc import Callable

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.sysvar import CLOCK, INSTRUCTIONS, RENT
from xorj_solana import vault
from xorj_solana.deploy import deployment
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, SYSTEM, UPGRADEABLE_LOADER
from xorj_solana.vault import VaultError
from xorj_solana.vault.addresses import program_data_address

from tests.programs.lawful import lawful
from tests.programs.refusals import replaced
from tests.programs.svm_world import DELAY_S, PROGRAM, SLOT, World, empty_world, initialize, labelled
from tests.programs.svm_world import RENT as LAMPORTS
from tests.programs.untouched import attack_with

PROGRAM_DATA = program_data_address(PROGRAM)


@pytest.fixture(scope="module")
def shared() -> World:
    """Nothing initialises here."""
    return empty_world()


def by(world: World, authority: Pubkey) -> Instruction:
    return vault.initialize(
        PROGRAM,
        payer=world.admin.pubkey(),
        upgrade_authority=authority,
        admin=authority,
        guardian=authority,
        swap_programs=[LOCAL_CPMM_PROGRAM],
        bot_authorities=[authority],
        delay_s=DELAY_S,
    )


@pytest.mark.parametrize("role", ["admin", "guardian", "bot", "owner", "market_maker"])
def test_a_stranger_does_not_initialize(shared: World, role: str) -> None:
    stranger: Keypair = getattr(shared, role)
    signers = [shared.admin] if role == "admin" else [shared.admin, stranger]
    attack_with(shared, by(shared, stranger.pubkey()), signers, VaultError.NOT_UPGRADE_AUTHORITY)


def test_the_upgrade_authority_has_to_sign(shared: World) -> None:
    honest = initialize(shared)
    unsigned = AccountMeta(shared.upgrade_authority.pubkey(), is_signer=False, is_writable=False)
    attack_with(shared, replaced(honest, 1, unsigned), [shared.admin], VaultError.NOT_UPGRADE_AUTHORITY)


def program_data(authority: Pubkey, *, kind: int = 3, option: int = 1) -> bytes:
    return kind.to_bytes(4, "little") + SLOT.to_bytes(8, "little") + bytes([option]) + bytes(authority) + bytes(64)


LOOK_ALIKES: dict[str, Callable[[Pubkey], Account]] = {
    "owned by another program": lambda key: Account(LAMPORTS, program_data(key), LOCAL_CPMM_PROGRAM),
    "owned by the loader, of another program": lambda key: Account(LAMPORTS, program_data(key), UPGRADEABLE_LOADER),
    "a buffer of the loader": lambda key: Account(
        LAMPORTS, (1).to_bytes(4, "little") + b"\x01" + bytes(key) + bytes(64), UPGRADEABLE_LOADER
    ),
    "too short": lambda key: Account(LAMPORTS, program_data(key)[:44], UPGRADEABLE_LOADER),
    "empty": lambda key: Account(LAMPORTS, b"", UPGRADEABLE_LOADER),
}


@pytest.mark.parametrize("kind", LOOK_ALIKES)
def test_a_look_alike_of_the_program_data(shared: World, kind: str) -> None:
    stranger, forged = shared.owner, Pubkey(labelled("forged program data"))
    shared.svm.set_account(forged, LOOK_ALIKES[kind](stranger.pubkey()))
    for place in (4, 3):
        meta = AccountMeta(forged, is_signer=False, is_writable=False)
        instruction = replaced(by(shared, stranger.pubkey()), place, meta)
        attack_with(shared, instruction, [shared.admin, stranger], VaultError.NOT_UPGRADE_AUTHORITY)


def test_a_look_alike_program_with_its_own_program_data(shared: World) -> None:
    """The stranger deployed the same bytes as its own program, and is that one's upgrade authority."""
    stranger, twin = shared.owner, Pubkey(labelled("twin program"))
    elf = shared.account(PROGRAM_DATA).data[45:]
    for address, account in deployment(twin, elf, stranger.pubkey(), SLOT - 1):
        shared.svm.set_account(address, account)
    own = by(shared, stranger.pubkey())
    own = replaced(own, 3, AccountMeta(twin, is_signer=False, is_writable=False))
    own = replaced(own, 4, AccountMeta(program_data_address(twin), is_signer=False, is_writable=False))
    attack_with(shared, own, [shared.admin, stranger], VaultError.NOT_UPGRADE_AUTHORITY)
    mixed = replaced(own, 3, AccountMeta(PROGRAM, is_signer=False, is_writable=False))
    attack_with(shared, mixed, [shared.admin, stranger], VaultError.NOT_UPGRADE_AUTHORITY)


def test_nobody_initializes_a_program_that_cannot_be_upgraded_any_more() -> None:
    world = empty_world()
    elf = world.account(PROGRAM_DATA).data[45:]
    for address, account in deployment(PROGRAM, elf, None, SLOT - 1):
        world.svm.set_account(address, account)
    for authority in (world.upgrade_authority, world.owner):
        attack_with(world, by(world, authority.pubkey()), [world.admin, authority], VaultError.NOT_UPGRADE_AUTHORITY)


def test_once_is_once() -> None:
    scene = lawful("initialize")
    world = scene.world
    world.send_message(scene.message(), scene.signers)
    for again in (initialize(world), by(world, world.upgrade_authority.pubkey())):
        attack_with(world, again, [world.admin, world.upgrade_authority], VaultError.ALREADY_INITIALIZED)


def test_two_configurations_in_one_transaction() -> None:
    world = empty_world()
    twice = [initialize(world), by(world, world.upgrade_authority.pubkey())]
    attack_with(world, twice, [world.admin, world.upgrade_authority], VaultError.ALREADY_INITIALIZED)


@pytest.mark.parametrize("sysvar", [CLOCK, RENT, INSTRUCTIONS, SYSTEM])
def test_sysvars_are_no_accounts_of_any_instruction(sysvar: Pubkey) -> None:
    """Clock and rent come from the runtime itself, so there is no place where a look-alike could be handed in."""
    for name in ("schedule", "apply", "initialize"):
        scene = lawful(name)
        extra = [*scene.instruction.accounts, AccountMeta(sysvar, is_signer=False, is_writable=False)]
        instruction = Instruction(PROGRAM, scene.instruction.data, extra)
        attack_with(scene.world, instruction, scene.signers, VaultError.WRONG_ACCOUNTS)


@pytest.mark.parametrize("delay_s", [0, 14 * 86_400 + 1, 2**64 - 1])
def test_a_delay_out_of_range(shared: World, delay_s: int) -> None:
    honest = initialize(shared)
    data = honest.data[:-8] + delay_s.to_bytes(8, "little")
    instruction = Instruction(PROGRAM, data, honest.accounts)
    attack_with(shared, instruction, [shared.admin, shared.upgrade_authority], VaultError.INVALID_DELAY)
