"""What each instruction costs is what infra/programs/compute.json says, so that every change of it is seen.

Exact on the programs as built: addresses, and with them the searches for derived ones, come from fixed labels.
"""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, SPL_TOKEN, TOKEN_2022

from tests.programs import rogue
from tests.programs.svm_world import (
    DELAY_S,
    PROGRAM,
    TOKEN,
    Refused,
    World,
    account_of,
    labelled,
    pass_time,
    trading_world,
)

ROOT = Path(__file__).resolve().parents[2]
COMPUTE = ROOT / "infra" / "programs" / "compute.json"
OWN_PART_MAX = 25_000


_CALL = re.compile(r"^Program \w+ invoke \[(\d+)\]$")
_USED = re.compile(r"^Program (\w+) consumed (\d+) of ")


def own_part(logs: Sequence[str]) -> int:
    """Compute units of the vault program itself: calls count with what the runtime takes for them, not with what the
    swap and the token programs do in them."""
    depth, own = 0, 0
    for line in logs:
        if call := _CALL.match(line):
            depth = int(call[1])
        elif used := _USED.match(line):
            if depth == 1 and used[1] == str(PROGRAM):
                own += int(used[2])
            elif depth == 2:
                own -= int(used[2])
        elif re.match(r"^Program \w+ (success$|failed)", line):
            depth -= 1
    return own


def measure_trades(world: World) -> dict[str, int]:
    """The first trade of two mints, a later one, one with dust in its way; and the program's own part of each."""
    figures = {}
    amount = 100 * TOKEN
    for name in ("bot_trade, the first", "bot_trade", "bot_trade with dust"):
        order = world.order(amount, 1)
        if name == "bot_trade with dust":
            world.add_dust(account_of(world.trade_authority, world.place_in), world.place_in, 1)
            world.add_dust(account_of(world.trade_authority, world.place_out), world.place_out, 1)
        done = world.send_message(world.plan(order, world.swap(amount)), [world.bot], name=name)
        figures[f"{name}, own part"] = own_part(done.logs())
    return figures


def measure_longest_trades(token_program: Pubkey, name: str) -> dict[str, int]:
    """Trades whose swap takes the most accounts, every one of them a token account; the mints are the last of as many
    as may be listed, and the turnover moves on by a window."""
    places = (vault.MintPlaces(Pubkey(labelled(f"{name} {side}")), token_program) for side in ("in", "out"))
    world = trading_world(place_in=next(places), place_out=next(places))
    rogue.set_up(world)
    world.allow(rogue.ROGUE)
    others = (Pubkey(labelled(f"mint {number}")) for number in range(14))
    limits = vault.Limits(10_000, 10_000, 0, 10, (*others, world.place_in.mint, world.place_out.mint))
    world.send([vault.set_limits(PROGRAM, owner=world.owner.pubkey(), limits=limits)], [world.owner])
    figures: dict[str, int] = {}
    for dust in ("", " and dust"):
        world.svm.warp_to_slot(world.svm.get_clock().slot + 10)
        for place in (world.place_in, world.place_out) if dust else ():
            world.add_dust(account_of(world.trade_authority, place), place, 1)
        script = rogue.exchange(world, TOKEN, 1)
        script.signers.add(world.trade_authority)
        for number in range(vault.MAX_SWAP_ACCOUNTS - len(script.keys)):
            address = Pubkey(labelled(f"padding {number}"))
            world.set_token_account(address, world.place_in, rogue.THIEF, 0)
            script.place(address)
        done = world.send_message(world.plan(world.order(TOKEN, 1), script.build()), [world.bot])
        figures[f"bot_trade with {vault.MAX_SWAP_ACCOUNTS} {name} accounts{dust}, own part"] = own_part(done.logs())
    return figures


def measure_keeping(world: World) -> None:
    admin, guardian = world.admin, world.guardian
    successor = Keypair.from_seed(labelled("another admin"))
    world.svm.airdrop(successor.pubkey(), 10**10)
    change, hand_over = vault.AddBotAuthority(successor.pubkey()), vault.SetAdmin(successor.pubkey())
    world.send([vault.schedule(PROGRAM, admin=admin.pubkey(), change=change)], [admin], name="schedule")
    world.send([vault.cancel(PROGRAM, authority=guardian.pubkey(), change=change)], [guardian], name="cancel")
    for again in (change, hand_over):
        world.send([vault.schedule(PROGRAM, admin=admin.pubkey(), change=again)], [admin])
    pass_time(world, DELAY_S)
    world.send([vault.apply(PROGRAM, change=change)], [world.owner], name="apply")
    world.send([vault.accept_admin(PROGRAM, new_admin=successor.pubkey())], [successor], name="accept_admin")
    order = vault.raise_delay(PROGRAM, admin=successor.pubkey(), delay_s=DELAY_S + 1)
    world.send([order], [successor], name="raise_delay")
    order = vault.retire_authority(PROGRAM, authority=guardian.pubkey(), key=successor.pubkey())
    world.send([order], [guardian], name="retire_authority")
    order = vault.remove_program(PROGRAM, authority=guardian.pubkey(), removed=LOCAL_CPMM_PROGRAM)
    world.send([order], [guardian], name="remove_program")
    world.send([vault.set_paused(PROGRAM, authority=guardian.pubkey(), paused=True)], [guardian], name="set_paused")


def measure_owner(world: World) -> None:
    owner, key = world.owner, world.owner.pubkey()
    destination = account_of(key, world.place_in)
    withdraw = vault.withdraw(
        PROGRAM, owner=key, destination=destination, place=world.place_in, amount=vault.EVERYTHING
    )
    world.send([withdraw], [owner], name="withdraw")
    world.send([vault.close_mint(PROGRAM, owner=key, place=world.place_in)], [owner], name="close_mint")
    disable = vault.disable_bot(PROGRAM, authority=key, vault=world.vault_address)
    world.send([disable], [owner], name="disable_bot")


def test_every_instruction_costs_what_the_file_says() -> None:
    world = trading_world()
    own_parts = measure_trades(world)
    own_parts |= measure_longest_trades(SPL_TOKEN, "token") | measure_longest_trades(TOKEN_2022, "Token-2022")
    measure_keeping(world)
    measure_owner(world)
    measured = dict(sorted((world.compute | own_parts).items()))
    print(json.dumps(measured, indent=2))  # noqa: T201
    published = json.loads(COMPUTE.read_text())
    assert measured == published
    idl = json.loads((ROOT / "infra" / "programs" / "idl" / "vault.json").read_text())
    assert {entry["name"] for entry in idl["instructions"]} <= published.keys()


def test_a_trades_own_part_does_not_depend_on_the_addresses_nor_on_being_the_first() -> None:
    """Over random mints, of which some need many tries for the bump of their accounts."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    own_parts = set()
    for number in range(30):
        world = trading_world(place_out=vault.MintPlaces(Pubkey(labelled(f"{seed} mint {number}"))))
        trade = world.plan(world.order(100 * TOKEN, 1), world.swap(100 * TOKEN))
        logs = world.send_message(trade, [world.bot]).logs()
        own_parts.add(own_part(logs))
    assert max(own_parts) - min(own_parts) <= 64, own_parts
    assert max(own_parts) <= OWN_PART_MAX


def test_a_trade_searches_for_no_address() -> None:
    """A mint that was listed after its accounts were opened is refused until it is opened again, whichever side."""
    world = trading_world()
    key = world.owner.pubkey()
    wanted = world.vault_state().limits
    for place in (world.place_in, world.place_out):
        without = replace(wanted, mints=tuple(mint for mint in wanted.mints if mint != place.mint))
        for limits in (without, wanted):
            world.send([vault.set_limits(PROGRAM, owner=key, limits=limits)], [world.owner])
        with pytest.raises(Refused) as refused:
            world.send_message(world.plan(world.order(TOKEN, 1), world.swap(TOKEN)), [world.bot])
        assert refused.value.vault_error() is vault.VaultError.MINT_NOT_OPENED
        world.send([vault.open_mint(PROGRAM, owner=key, place=place)], [world.owner])
        world.send_message(world.plan(world.order(TOKEN, 1), world.swap(TOKEN)), [world.bot])


def test_the_programs_own_part_of_a_trade_is_bounded_with_dust_and_with_the_most_accounts() -> None:
    own_parts = [units for name, units in json.loads(COMPUTE.read_text()).items() if name.endswith("own part")]
    assert own_parts
    assert max(own_parts) <= OWN_PART_MAX
