"""What each instruction costs is what infra/programs/compute.json says, so that every change of it is seen.

Exact on the programs as built: addresses, and with them the searches for derived ones, come from fixed labels.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana import vault
from xorj_solana.programs import LOCAL_CPMM_PROGRAM

from tests.programs import rogue
from tests.programs.svm_world import DELAY_S, PROGRAM, TOKEN, World, account_of, labelled, pass_time, trading_world

ROOT = Path(__file__).resolve().parents[2]
COMPUTE = ROOT / "infra" / "programs" / "compute.json"
OWN_PART_MAX = 25_000


def consumed(logs: Sequence[str], program: object) -> int:
    """Compute units of every call of a program, with what it called in turn."""
    pattern = re.compile(rf"^Program {program} consumed (\d+) of ")
    return sum(int(match[1]) for line in logs if (match := pattern.match(line)))


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
        own = consumed(done.logs(), PROGRAM) - consumed(done.logs(), LOCAL_CPMM_PROGRAM)
        figures[f"{name}, own part"] = own
    return figures


def measure_longest_trade() -> int:
    """The own part of a trade whose swap takes the most accounts, every one of them a token account."""
    world = trading_world()
    rogue.set_up(world)
    world.allow(rogue.ROGUE)
    own = 0
    for _ in range(2):
        script = rogue.exchange(world, TOKEN, 1)
        script.signers.add(world.trade_authority)
        for number in range(vault.MAX_SWAP_ACCOUNTS - len(script.keys)):
            address = Pubkey(labelled(f"padding {number}"))
            world.set_token_account(address, world.place_in, rogue.THIEF, 0)
            script.place(address)
        logs = world.send_message(world.plan(world.order(TOKEN, 1), script.build()), [world.bot]).logs()
        own = consumed(logs, PROGRAM) - consumed(logs, rogue.ROGUE)
    return own


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
    own_parts[f"bot_trade with {vault.MAX_SWAP_ACCOUNTS} token accounts, own part"] = measure_longest_trade()
    measure_keeping(world)
    measure_owner(world)
    measured = dict(sorted((world.compute | own_parts).items()))
    print(json.dumps(measured, indent=2))  # noqa: T201
    published = json.loads(COMPUTE.read_text())
    assert measured == published
    idl = json.loads((ROOT / "infra" / "programs" / "idl" / "vault.json").read_text())
    assert {entry["name"] for entry in idl["instructions"]} <= published.keys()


def test_a_trades_own_part_does_not_depend_on_the_addresses_after_the_first() -> None:
    own_parts = set()
    for number in range(4):
        world = trading_world(place_out=vault.MintPlaces(Pubkey(labelled(f"mint {number}"))))
        own_parts.add(measure_trades(world)["bot_trade, own part"])
    assert max(own_parts) - min(own_parts) <= 64, own_parts


def test_the_programs_own_part_of_a_trade_is_bounded_with_dust_and_with_the_most_accounts() -> None:
    own_parts = [units for name, units in json.loads(COMPUTE.read_text()).items() if name.endswith("own part")]
    assert own_parts
    assert max(own_parts) <= OWN_PART_MAX
