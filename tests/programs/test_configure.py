"""`xorj program init`, `show` and the verbs that change the configuration, on a deployed vault program."""

import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from tests.programs.deploy_world import VAULT_SO, WAIT_S, DeployWorld, Said, address, deploy_world, run_verb


@dataclass(frozen=True, slots=True)
class Configured:
    """A configured vault program: key files of its people."""

    world: DeployWorld
    program: Pubkey
    authority: Path
    admin: Path
    guardian: Path
    bot: Pubkey

    def run(self, verb: str, *arguments: object) -> Said:
        return self.world.run(verb, *arguments, "--program", self.program)

    def init(self, *, delay: int = 1, guardian: Pubkey | None = None, authority: Path | None = None) -> Said:
        people = ("--admin", address(self.admin), "--guardian", guardian or address(self.guardian))
        rest = ("--bot", self.bot, "--swap-program", self.bot, "--delay", delay)
        return self.run("init", "--authority", authority or self.authority, *people, *rest)

    def shown(self) -> dict[str, Any]:
        """The configuration, as `show` tells it."""
        said = self.run("show")
        assert said.exit_code == 0, said.body
        config: dict[str, Any] = said.body["config"]
        return config


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployWorld]:
    with deploy_world(tmp_path_factory.mktemp("configure")) as made:
        yield made


@pytest.fixture(scope="module")
def program(world: DeployWorld) -> Configured:
    authority, program = world.deployed(elf=VAULT_SO)
    admin, guardian = (world.key(name, sol=1) for name in ("admin", "guardian"))
    made = Configured(world, program, authority, admin, guardian, address(world.key("bot")))
    unconfigured = made.run("show")
    assert (unconfigured.exit_code, unconfigured.body["config"]) == (1, None)
    stranger = made.init(authority=world.key("stranger", sol=1))
    assert (stranger.exit_code, stranger.error) == (1, "refused_by_program")
    assert "NOT_UPGRADE_AUTHORITY" in stranger.body["error"]["message"]
    done = made.init()
    assert (done.exit_code, done.body["already"]) == (0, False), done.body
    return made


def test_the_same_configuration_again_succeeds_and_sends_nothing(program: Configured) -> None:
    before = program.world.transactions()
    again = program.init()
    assert (again.exit_code, again.body["already"], program.world.transactions()) == (0, True, before)


def test_another_configuration_is_refused_and_named(program: Configured) -> None:
    before = program.world.transactions()
    said = program.init(guardian=program.bot, delay=5)
    assert (said.exit_code, said.error, program.world.transactions()) == (1, "other_configuration", before)
    assert said.body["error"]["message"].endswith("otherwise: guardian, delay")


def test_show_tells_people_keys_and_programs(program: Configured) -> None:
    shown = program.shown()
    assert (shown["admin"], shown["guardian"]) == (str(address(program.admin)), str(address(program.guardian)))
    assert shown["bot_authorities"] == [{"key": str(program.bot), "state": "active"}]
    assert (shown["paused"], shown["delay_s"], shown["swap_programs"]) == (False, 1, [str(program.bot)])
    assert program.run("show").body["vaults"] == 0


def test_a_bot_key_is_rotated_from_the_command_line_alone(program: Configured) -> None:
    new = address(program.world.key("new-bot"))
    admin = ("--key", program.admin)
    assert program.run("schedule", "add-bot", new, *admin).exit_code == 0
    (scheduled,) = program.shown()["scheduled"]
    assert (scheduled["change"], scheduled["value"]) == ("add-bot", str(new))
    assert scheduled["guardian_may_cancel"] is True
    early = program.run("apply", "add-bot", new, *admin)
    if early.exit_code != 0:  # a second may have passed
        assert "NOT_DUE" in early.body["error"]["message"]
        deadline = time.monotonic() + WAIT_S
        while program.shown()["scheduled"][0]["state"] != "due":
            assert time.monotonic() < deadline
            program.world.call("local_warpSlots", 5)
        assert program.run("apply", "add-bot", new, *admin).exit_code == 0
    assert program.run("retire", program.bot, "--key", program.guardian).exit_code == 0
    assert program.shown()["bot_authorities"] == [{"key": str(new), "state": "active"}]


def test_the_guardian_cancels_once_and_show_tells(program: Configured) -> None:
    wanted = address(program.world.key("wanted"))
    assert program.run("schedule", "allow-program", wanted, "--key", program.admin).exit_code == 0
    assert program.run("cancel", "allow-program", wanted, "--key", program.guardian).exit_code == 0
    (scheduled,) = program.shown()["scheduled"]
    assert scheduled["state"] == "cancelled by the guardian"
    assert program.run("schedule", "allow-program", wanted, "--key", program.admin).exit_code == 0
    again = program.run("cancel", "allow-program", wanted, "--key", program.guardian)
    assert "VETO_SPENT" in again.body["error"]["message"]
    assert program.run("cancel", "allow-program", wanted, "--key", program.admin).exit_code == 0


def test_the_guardian_pauses_and_only_the_admin_unpauses(program: Configured) -> None:
    assert program.run("pause", "--key", program.guardian).exit_code == 0
    assert program.shown()["paused"] is True
    refused = program.run("unpause", "--key", program.guardian)
    assert (refused.exit_code, refused.error) == (1, "refused_by_program")
    assert program.run("unpause", "--key", program.admin).exit_code == 0
    assert program.shown()["paused"] is False


def test_what_is_no_address_number_or_key_file_is_a_usage_error(program: Configured, tmp_path: Path) -> None:
    key = ("--key", program.admin)
    assert program.run("schedule", "add-bot", "not-an-address", *key).exit_code == 2
    assert program.run("schedule", "add-bot", *key).exit_code == 2
    assert program.run("schedule", "lower-delay", "1s", *key).exit_code == 2
    secret = "[1, 2, 3, 77777777]"
    (tmp_path / "broken.json").write_text(secret)
    (tmp_path / "broken.json").chmod(0o600)
    broken = program.run("pause", "--key", tmp_path / "broken.json")
    assert (broken.exit_code, broken.error) == (2, "key_unusable")
    assert "777" not in str(broken.body)


def test_a_key_file_that_others_may_read_is_refused(program: Configured, tmp_path: Path) -> None:
    copy = tmp_path / "open.json"
    copy.write_bytes(program.admin.read_bytes())
    for mode in (0o640, 0o604):
        copy.chmod(mode)
        said = program.run("pause", "--key", copy)
        assert (said.exit_code, said.error) == (2, "key_unusable")
    copy.chmod(0o400)
    assert program.run("pause", "--key", copy).exit_code == 0
    assert program.run("unpause", "--key", copy).exit_code == 0


def test_a_new_key_is_readable_by_its_owner_alone_and_never_overwrites(program: Configured) -> None:
    file = program.world.key("kept")
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    before = file.read_bytes()
    said = run_verb("key", file, "--json")
    assert (said.exit_code, said.error, file.read_bytes()) == (2, "key_unusable", before)


def test_without_an_endpoint_the_running_local_world_is_meant(
    program: Configured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XORJ_HOME", str(tmp_path))
    nowhere = run_verb("show", "--json")
    assert (nowhere.exit_code, nowhere.error) == (2, "no_endpoint")
    told = {
        "chain": {"rpc_url": program.world.rpc_url},
        "genesis_hash": program.world.genesis,
        "programs": {"vault": str(program.program)},
    }
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "world.json").write_text(json.dumps(told))
    assert run_verb("show", "--json").body["program"] == str(program.program)
    assert run_verb("raise-delay", "2", "--key", program.admin, "--json").exit_code == 0
