"""What each instruction costs is what docs/vault-program.md says, so that a change for the worse is seen."""

import re
from pathlib import Path

from xorj_solana import vault

from tests.programs.svm_world import PROGRAM, TOKEN, account_of, trading_world

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "vault-program.md"


def test_compute_units_are_no_more_than_documented() -> None:
    world = trading_world()
    owner, key = world.owner, world.owner.pubkey()
    amount = 100 * TOKEN
    order = world.order(amount, world.quote(amount))
    world.send_message(world.plan(order, world.swap(amount)), [world.bot], name="bot_trade with its message")
    destination = account_of(key, world.place_in)
    withdraw = vault.withdraw(PROGRAM, owner=key, destination=destination, place=world.place_in, amount=TOKEN)
    world.send([withdraw], [owner], name="withdraw")
    disable = vault.disable_bot(PROGRAM, authority=key, vault=world.vault_address)
    world.send([disable], [owner], name="disable_bot")
    pause = vault.set_paused(PROGRAM, authority=world.guardian.pubkey(), paused=True)
    world.send([pause], [world.guardian], name="set_paused")

    rows = re.findall(r"^\| `?([\w ]+?)`? \| ([\d,]+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: int(units.replace(",", "")) for name, units in rows}
    print(*(f"{name}: {units}" for name, units in world.compute.items()), sep="\n")  # noqa: T201
    assert set(documented) == set(world.compute)
    for name, units in world.compute.items():
        assert units <= documented[name], name
