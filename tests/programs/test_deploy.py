"""`xorj program deploy` and `verify` on a local cluster: every step by transactions to the real upgradeable loader."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from solders.pubkey import Pubkey
from xorj_solana.programs import SYSTEM
from xorj_solana.vault.addresses import program_data_address

from tests.programs.deploy_world import CPMM_SO, SOL, VAULT_SO, DeployWorld, address, deploy_world, run_verb

DATA_HEAD = 45


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployWorld]:
    with deploy_world(tmp_path_factory.mktemp("deploy")) as made:
        yield made


def code_on_chain(world: DeployWorld, program: Pubkey) -> bytes:
    account = world.account(program_data_address(program))
    assert account is not None
    return base64.b64decode(account["data"][0])[DATA_HEAD:]


def test_a_deployment_costs_what_the_dry_run_said_and_the_dry_run_sent_nothing(world: DeployWorld) -> None:
    authority, program = world.key("authority", sol=10), world.key("program")
    before = world.transactions()
    planned = world.deploy(authority, "--program-key", program, "--dry-run")
    assert (planned.exit_code, world.transactions()) == (0, before)
    done = world.deploy(authority, "--program-key", program)
    assert done.exit_code == 0
    assert done.body["action"] == "deploy"
    assert done.body["paid_lamports"] == planned.body["cost"]["net_lamports"]
    assert world.lamports(address(authority)) == 10 * SOL - int(done.body["paid_lamports"])
    assert world.transactions() - before == sum(planned.body["transactions"].values())
    assert code_on_chain(world, address(program)) == CPMM_SO.read_bytes()
    assert world.account(Pubkey.from_string(done.body["buffer"])) is None


def test_a_payer_with_exactly_what_the_dry_run_asks_for_pays_for_all_of_it(world: DeployWorld) -> None:
    authority, program, payer = world.key("authority"), world.key("program"), world.key("payer", sol=10)
    arguments = ("--program-key", program, "--payer", payer, "--unit-price", 250_000)
    cost = world.deploy(authority, *arguments, "--dry-run").body["cost"]
    for lamports, expected in ((int(cost["needed_lamports"]) - 1, 1), (int(cost["needed_lamports"]), 0)):
        world.call("local_setAccount", str(address(payer)), {"lamports": lamports, "owner": str(SYSTEM)})
        world.call("local_warpSlots", 10)
        done = world.deploy(authority, *arguments)
        assert done.exit_code == expected, done.body
    assert done.body["paid_lamports"] == cost["net_lamports"]
    assert world.lamports(address(authority)) == 0


def test_what_runs_already_is_not_deployed_again(world: DeployWorld) -> None:
    authority, program = world.deployed()
    before = world.transactions()
    again = world.deploy(authority, "--program", program)
    assert (again.exit_code, again.body["action"], world.transactions()) == (0, "already", before)


def test_an_upgrade_to_a_longer_program_makes_room_and_costs_what_the_dry_run_said(world: DeployWorld) -> None:
    authority, program = world.deployed(elf=CPMM_SO)
    planned = world.deploy(authority, "--program", program, "--dry-run", elf=VAULT_SO)
    done = world.deploy(authority, "--program", program, elf=VAULT_SO)
    assert (done.exit_code, done.body["action"], planned.body["transactions"]["extend"]) == (0, "upgrade", 1)
    assert done.body["paid_lamports"] == planned.body["cost"]["net_lamports"]
    assert code_on_chain(world, program) == VAULT_SO.read_bytes()


def test_an_upgrade_to_a_shorter_program_leaves_zeroes_and_no_old_code(world: DeployWorld) -> None:
    authority, program = world.deployed(elf=VAULT_SO)
    assert world.deploy(authority, "--program", program, elf=CPMM_SO).exit_code == 0
    verified = world.run("verify", "--program", program, "--elf", CPMM_SO, "--expected-authority", address(authority))
    assert (verified.exit_code, verified.body["room_bytes"]) == (0, len(VAULT_SO.read_bytes()))


@pytest.mark.parametrize("place", ["first", "last", "room"])
def test_verify_names_the_byte_that_is_not_as_built(world: DeployWorld, place: str) -> None:
    authority, program = world.key("authority", sol=10), world.key("program")
    length = len(CPMM_SO.read_bytes())
    assert world.deploy(authority, "--program-key", program, "--room", length + 64).exit_code == 0
    check = ("verify", "--program", address(program), "--elf", CPMM_SO, "--expected-authority", address(authority))
    assert world.run(*check).exit_code == 0
    at = {"first": 0, "last": length - 1, "room": length + 63}[place]
    data_at = program_data_address(address(program))
    stored = world.account(data_at)
    assert stored is not None
    raw = bytearray(base64.b64decode(stored["data"][0]))
    raw[DATA_HEAD + at] ^= 1
    changed = {"lamports": stored["lamports"], "owner": stored["owner"], "data_base64": base64.b64encode(raw).decode()}
    world.call("local_setAccount", str(data_at), changed)
    world.call("local_warpSlots", 10)
    found = world.run(*check)
    assert (found.exit_code, found.body["ok"], found.body["first_difference"]) == (1, False, at)


def test_verify_finds_an_upgrade_authority_that_is_not_the_expected_one(world: DeployWorld) -> None:
    authority, program = world.deployed()
    for expected in ("none", world_address(world)):
        found = world.run("verify", "--program", program, "--elf", CPMM_SO, "--expected-authority", expected)
        assert found.exit_code == 1
        assert found.body["first_difference"] is None
        assert found.body["problems"] == [f"the upgrade authority is {address(authority)}, not {expected}"]


def world_address(world: DeployWorld) -> str:
    return str(address(world.key("somebody")))


def test_verify_of_what_is_no_program_is_refused(world: DeployWorld) -> None:
    wallet = address(world.key("wallet", sol=1))
    said = world.run("verify", "--program", wallet, "--expected-authority", "none")
    assert (said.exit_code, said.error) == (1, "not_upgradeable")


def test_only_the_upgrade_authority_upgrades(world: DeployWorld) -> None:
    _, program = world.deployed()
    before = world.transactions()
    said = world.deploy(world.key("stranger", sol=10), "--program", program, elf=VAULT_SO)
    assert (said.exit_code, said.error) == (1, "not_upgrade_authority")
    assert world.transactions() == before + 1  # the stranger's airdrop


def test_lamports_that_a_stranger_sent_ahead_stop_neither_buffer_nor_program(world: DeployWorld) -> None:
    authority, program = world.key("authority", sol=10), world.key("program")
    planned = world.deploy(authority, "--program-key", program, "--dry-run")
    for place in (planned.body["buffer"], str(address(program))):
        world.call("requestAirdrop", place, SOL // 100)
    world.call("local_warpSlots", 10)
    planned = world.deploy(authority, "--program-key", program, "--dry-run")
    done = world.deploy(authority, "--program-key", program)
    assert done.exit_code == 0, done.body
    assert done.body["paid_lamports"] == planned.body["cost"]["net_lamports"]
    assert code_on_chain(world, address(program)) == CPMM_SO.read_bytes()


def test_a_program_address_that_a_stranger_spoilt_is_told_before_anything_is_spent(world: DeployWorld) -> None:
    authority, program = world.key("authority", sol=10), world.key("program")
    world.call("requestAirdrop", str(program_data_address(address(program))), SOL // 100)
    world.call("local_warpSlots", 10)
    before = world.transactions()
    said = world.deploy(authority, "--program-key", program)
    assert (said.exit_code, said.error, world.transactions()) == (1, "address_spoilt", before)


def test_a_buffer_is_filled_for_a_multisig_which_then_upgrades_from_it(world: DeployWorld) -> None:
    multisig, program = world.deployed(elf=CPMM_SO)
    writer = world.key("writer", sol=10)
    arguments = ("--program", program, "--upgrade-authority", address(multisig))
    staged = world.deploy(writer, *arguments, elf=VAULT_SO)
    assert (staged.exit_code, staged.body["action"]) == (0, "stage")
    assert code_on_chain(world, program).startswith(CPMM_SO.read_bytes())
    again = world.deploy(writer, *arguments, elf=VAULT_SO)
    assert (again.exit_code, again.body["sent"]["signed"]) == (0, 0)
    owned = world.run("buffers", "--authority", multisig)
    assert [row["buffer"] for row in owned.body["buffers"]] == [staged.body["buffer"]]


def test_a_payer_without_enough_lamports_is_told_before_anything_is_sent(world: DeployWorld) -> None:
    authority, program = world.key("authority"), world.key("program")
    before = world.transactions()
    for more in ((), ("--dry-run",)):
        said = world.deploy(authority, "--program-key", program, *more)
        assert said.exit_code == 1
    assert world.transactions() == before


def test_a_file_that_is_no_program_is_refused(world: DeployWorld, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("text")
    authority, program = world.key("authority", sol=1), world.key("program")
    said = world.deploy(authority, "--program-key", program, elf=tmp_path / "text.so")
    assert (said.exit_code, said.error) == (1, "not_a_program")


def test_a_program_that_is_not_as_recorded_when_built_is_refused(world: DeployWorld, tmp_path: Path) -> None:
    (tmp_path / "vault.so").write_bytes(VAULT_SO.read_bytes() + b"\0")
    (tmp_path / "SHA256SUMS").write_text((VAULT_SO.parent / "SHA256SUMS").read_text())
    said = world.deploy(world.key("authority"), "--program-key", world.key("program"), elf=tmp_path / "vault.so")
    assert (said.exit_code, said.error) == (1, "not_as_built")


def test_the_cluster_must_be_named_and_be_the_one_that_answers(world: DeployWorld) -> None:
    authority, program = world.key("authority", sol=10), world.key("program")
    before = world.transactions()
    wrong = world.run("deploy", "--authority", authority, "--program-key", program, genesis=str(Pubkey.default()))
    assert (wrong.exit_code, wrong.error) == (1, "wrong_cluster")
    arguments = ("deploy", "--authority", authority, "--program-key", program, "--rpc", world.rpc_url, "--json")
    unnamed = run_verb(*arguments)
    assert (unnamed.exit_code, unnamed.error) == (2, "cluster_not_named")
    assert world.genesis in unnamed.body["error"]["message"]
    assert world.transactions() == before


def test_the_right_to_upgrade_is_given_to_a_key_that_signs_or_to_an_address_typed_twice(world: DeployWorld) -> None:
    authority, program = world.deployed()
    second, multisig = world.key("second", sol=1), address(world.key("multisig"))
    named = ("give", "--program", program, "--authority")
    mistyped = world.run(*named, authority, "--to", multisig, "--again", program)
    assert (mistyped.exit_code, mistyped.error) == (2, "no_receiver")
    assert world.run(*named, authority, "--to-key", second).exit_code == 0
    stale = world.run(*named, authority, "--to", multisig, "--again", multisig)
    assert (stale.exit_code, stale.error) == (1, "transaction_failed")
    assert world.run(*named, second, "--to", multisig, "--again", multisig).exit_code == 0
    check = ("--program", program, "--elf", CPMM_SO, "--expected-authority", multisig)
    assert world.run("verify", *check).exit_code == 0
