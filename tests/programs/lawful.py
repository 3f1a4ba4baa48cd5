"""Every instruction of the program in a form that succeeds, each in a world of its own: what attacks start from.

A test compares the names with the IDL's, so a new instruction cannot be forgotten here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.programs import LOCAL_CPMM_PROGRAM

from tests.programs.svm_world import (
    DELAY_S,
    PROGRAM,
    TOKEN,
    World,
    account_of,
    empty_world,
    initialize,
    labelled,
    new_keypair,
    trading_world,
    widest_limits,
)

AMOUNT: Final = 100 * TOKEN
NEW_KEY: Final = Pubkey(labelled("a key to come"))
CHANGE: Final = vault.AddBotAuthority(NEW_KEY)


@dataclass(frozen=True, slots=True)
class Lawful:
    """An instruction that succeeds in this world when these sign, the first of them paying."""

    name: str
    world: World
    instruction: Instruction
    signers: Sequence[Keypair]

    def message(self, instruction: Instruction | None = None, signers: Sequence[Keypair] | None = None) -> MessageV0:
        """The instruction, or another in its place, as a message; a trade with its accounts hash filled in."""
        sent = instruction or self.instruction
        payer = (signers or self.signers)[0].pubkey()
        message = MessageV0.try_compile(payer, [sent], [], self.world.svm.latest_blockhash())
        is_trade = self.name == "bot_trade" and len(sent.data) >= 104
        return vault.with_accounts_hash(message, PROGRAM, {}) if is_trade else message


def pass_time(world: World, seconds: int, slots: int | None = None) -> None:
    clock = world.svm.get_clock()
    clock.unix_timestamp += seconds
    clock.slot += seconds if slots is None else slots
    world.svm.set_clock(clock)


def _by_owner(name: str, build: Callable[[World, Pubkey], Instruction]) -> Callable[[], Lawful]:
    def scene() -> Lawful:
        world = trading_world()
        return Lawful(name, world, build(world, world.owner.pubkey()), [world.owner])

    return scene


def _by_admin(name: str, build: Callable[[World, Pubkey], Instruction]) -> Callable[[], Lawful]:
    def scene() -> Lawful:
        world = trading_world()
        return Lawful(name, world, build(world, world.admin.pubkey()), [world.admin])

    return scene


def _initialize() -> Lawful:
    world = empty_world()
    return Lawful("initialize", world, initialize(world), [world.admin, world.upgrade_authority])


def _open_vault() -> Lawful:
    world = trading_world()
    newcomer = new_keypair(world.svm, "newcomer")
    return Lawful("open_vault", world, vault.open_vault(PROGRAM, owner=newcomer.pubkey()), [newcomer])


def _apply() -> Lawful:
    world = trading_world()
    world.send([vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=CHANGE)], [world.admin])
    pass_time(world, DELAY_S)
    return Lawful("apply", world, vault.apply(PROGRAM, change=CHANGE), [world.market_maker])


def _cancel() -> Lawful:
    world = trading_world()
    world.send([vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=CHANGE)], [world.admin])
    return Lawful(
        "cancel", world, vault.cancel(PROGRAM, authority=world.guardian.pubkey(), change=CHANGE), [world.guardian]
    )


def _accept_admin() -> Lawful:
    world = trading_world()
    heir = new_keypair(world.svm, "heir")
    change = vault.SetAdmin(heir.pubkey())
    world.send([vault.schedule(PROGRAM, admin=world.admin.pubkey(), change=change)], [world.admin])
    pass_time(world, DELAY_S)
    return Lawful("accept_admin", world, vault.accept_admin(PROGRAM, new_admin=heir.pubkey()), [heir])


def _close_mint() -> Lawful:
    world = trading_world()
    owner = world.owner.pubkey()
    return Lawful("close_mint", world, vault.close_mint(PROGRAM, owner=owner, place=world.place_out), [world.owner])


def _bot_trade() -> Lawful:
    world = trading_world()
    trade = world.trade_instruction(world.order(AMOUNT, world.quote(AMOUNT)), world.swap(AMOUNT))
    return Lawful("bot_trade", world, trade, [world.bot])


def _deposit() -> Lawful:
    world = trading_world()
    source = world.fund(world.owner.pubkey(), world.place_in, TOKEN)
    order = vault.deposit(PROGRAM, owner=world.owner.pubkey(), source=source, place=world.place_in, amount=TOKEN)
    return Lawful("deposit", world, order, [world.owner])


def _open_mint() -> Lawful:
    world = trading_world()
    place = vault.MintPlaces(Pubkey(labelled("third mint")))
    world.svm.set_account(place.mint, world.account(world.place_in.mint))
    limits = widest_limits(place.mint)
    world.send([vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=limits)], [world.owner])
    order = vault.open_mint(PROGRAM, owner=world.owner.pubkey(), place=place)
    return Lawful("open_mint", world, order, [world.owner])


def _enable_bot() -> Lawful:
    world = trading_world()
    owner = world.owner.pubkey()
    world.send([vault.disable_bot(PROGRAM, authority=owner, vault=world.vault_address)], [world.owner])
    return Lawful("enable_bot", world, vault.enable_bot(PROGRAM, owner=owner), [world.owner])


def _withdraw(world: World, owner: Pubkey) -> Instruction:
    target = account_of(owner, world.place_in)
    return vault.withdraw(PROGRAM, owner=owner, destination=target, place=world.place_in, amount=TOKEN)


SCENES: Final[Mapping[str, Callable[[], Lawful]]] = {
    "initialize": _initialize,
    "set_paused": _by_admin("set_paused", lambda _, key: vault.set_paused(PROGRAM, authority=key, paused=True)),
    "schedule": _by_admin("schedule", lambda _, key: vault.schedule(PROGRAM, admin=key, change=CHANGE)),
    "cancel": _cancel,
    "apply": _apply,
    "accept_admin": _accept_admin,
    "retire_authority": _by_admin(
        "retire_authority", lambda w, key: vault.retire_authority(PROGRAM, authority=key, key=w.bot.pubkey())
    ),
    "remove_program": _by_admin(
        "remove_program", lambda _, key: vault.remove_program(PROGRAM, authority=key, removed=LOCAL_CPMM_PROGRAM)
    ),
    "raise_delay": _by_admin("raise_delay", lambda _, key: vault.raise_delay(PROGRAM, admin=key, delay_s=DELAY_S + 1)),
    "open_vault": _open_vault,
    "open_mint": _open_mint,
    "close_mint": _close_mint,
    "deposit": _deposit,
    "withdraw": _by_owner("withdraw", _withdraw),
    "enable_bot": _enable_bot,
    "disable_bot": _by_owner(
        "disable_bot", lambda w, key: vault.disable_bot(PROGRAM, authority=key, vault=w.vault_address)
    ),
    "set_limits": _by_owner(
        "set_limits",
        lambda w, key: vault.set_limits(PROGRAM, owner=key, limits=widest_limits(w.place_out.mint)),
    ),
    "bot_trade": _bot_trade,
}


def lawful(name: str) -> Lawful:
    return SCENES[name]()
