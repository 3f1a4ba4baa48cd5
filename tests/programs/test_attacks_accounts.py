"""Every account of every instruction replaced, dropped, repeated, exchanged, unsigned: refused, and nothing moves.

The walk (tests/programs/refusals.py) is exhaustive over the instructions of the IDL. Its expectation, refusals.json,
names the exact reason of every single case; what succeeds in spite of a change is listed here again, with why that is
right.
"""

import json
from typing import Final

import pytest

from tests.programs.lawful import SCENES, lawful
from tests.programs.refusals import EXPECTED, IDL, SUCCESS, Table, walk

# Account, and why a change of it may succeed.
HARMLESS: Final = {
    ("bot_trade", "token_program_in"): "both sides have the same one, so that an exchange changes nothing",
    ("bot_trade", "trade_in"): "the swap's accounts name it as writable, which counts for the whole message",
    ("bot_trade", "trade_out"): "the swap's accounts name it as writable, which counts for the whole message",
    ("cancel", "authority"): "the admin may cancel too",
    ("disable_bot", "authority"): "the admin and the guardian may disable too",
    ("disable_bot", "config"): "an owner's own disabling does not look at the configuration",
    ("initialize", "payer"): "whoever pays",
    ("remove_program", "authority"): "the guardian may remove too",
    ("retire_authority", "authority"): "the guardian may retire too",
    ("set_paused", "authority"): "the guardian may pause too",
    ("withdraw", "destination"): "wherever the owner wants it",
    ("withdraw", "token_program"): "what follows it is for the mint's transfer hook",
    ("withdraw", "vault_token"): "any token account of the vault",
}


@pytest.fixture(scope="module")
def expected() -> Table:
    table: Table = json.loads(EXPECTED.read_text())
    return table


def test_there_is_a_lawful_form_of_every_instruction_and_each_succeeds() -> None:
    assert set(SCENES) == {entry["name"] for entry in json.loads(IDL.read_text())["instructions"]}
    for name in SCENES:
        scene = lawful(name)
        scene.world.send_message(scene.message(), scene.signers)


@pytest.mark.parametrize("name", SCENES)
def test_a_changed_account_is_refused_with_its_reason(name: str, expected: Table) -> None:
    assert walk(name) == expected[name]


def test_what_succeeds_in_spite_of_a_change_is_known(expected: Table) -> None:
    found = {
        (instruction, account)
        for instruction, accounts in expected.items()
        for account, reasons in accounts.items()
        if SUCCESS in reasons
    }
    assert found == set(HARMLESS)


def test_only_named_keys_may_stand_in_for_a_keeper(expected: Table) -> None:
    """Of all signatures tried, these and no others are good for what was meant for the admin or the owner."""
    for instruction, allowed in {
        "schedule": set(), "raise_delay": set(), "cancel": {"admin signing"}, "set_paused": {"guardian signing"},
        "retire_authority": {"guardian signing"}, "remove_program": {"guardian signing"},
        "disable_bot": {"admin signing", "guardian signing"}, "withdraw": set(), "set_limits": set(),
        "enable_bot": set(), "close_mint": set(), "deposit": set(), "bot_trade": set(),
    }.items():  # fmt: skip
        good = {
            change
            for reasons in expected[instruction].values()
            for change in reasons.get(SUCCESS, [])
            if change.endswith("signing")
        }
        assert good == allowed, instruction
