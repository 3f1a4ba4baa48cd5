"""The signer as its own process beside a real auditor."""

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from xorj.signer.v1 import signer_pb2
from xorj_core.facts import PolicyAdopted, ServiceStarted, TradeSigned
from xorj_core.policy.file import parse_policy
from xorj_core.policy.limits import policy_sha256
from xorj_halt.commands import kill_command
from xorj_halt.keys import load_seed, verifies
from xorj_localnet.hsm import SignerKey, provision
from xorj_localnet.process import ProcessSpec
from xorj_signer.settings import own_variables

from tests.signer.running import Running, reason_of, running_signer, signer_process
from tests.signer.trades import honest_trade

pytestmark = pytest.mark.asyncio(loop_scope="module")


def secret_of(key: SignerKey) -> str:
    """The seed of a file key, as the file holds it."""
    return Path(key.settings["XORJ_SIGNER_KEY_FILE"]).read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running_signer(Path(tmp_path_factory.mktemp("world"))) as started:
        yield started


async def test_a_trade_that_the_auditor_holds_is_signed(running: Running) -> None:
    trade = honest_trade(running.key.public_key)
    answer = await running.answer(await running.publish_trade(trade))
    assert isinstance(answer, signer_pb2.SignTradeResponse), answer
    assert verifies(running.key.public_key, trade.plan.message, answer.signature)
    signed = [f for f in await running.facts("signed-txs") if isinstance(f, TradeSigned)]
    assert [(f.provider, f.signature) for f in signed] == [(running.key.provider, answer.signature)]
    started = [f for f in await running.facts("observations") if isinstance(f, ServiceStarted)]
    assert any(fact.service == "signer" for fact in started)
    adopted = [f for f in await running.facts("observations") if isinstance(f, PolicyAdopted)]
    assert signed[0].policy_sha256 in {fact.policy_sha256 for fact in adopted}
    assert all(policy_sha256(parse_policy(fact.policy)) == fact.policy_sha256 for fact in adopted)


async def test_the_signer_counts_what_it_signs_and_refuses(running: Running) -> None:
    port = running.world.supervisor.said_when_ready("signer")["metrics_port"]
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
    counted = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(counted["xorj_signer_signed_total"]) >= 1
    assert float(counted["xorj_signer_request_seconds_count"]) >= 1


def told_to(pid: int) -> tuple[dict[str, str], str]:
    """Environment and arguments of a process."""
    process = Path(f"/proc/{pid}")
    environment = process.joinpath("environ").read_text().split("\0")
    return dict(item.split("=", 1) for item in environment if "=" in item), process.joinpath("cmdline").read_text()


KEY_FILES = {"XORJ_SIGNER_PKCS11_PIN_FILE", "XORJ_SIGNER_KEY_FILE"}
"""Of these the world's provider has one: the PIN of a token, or a seed where there is no SoftHSM."""


async def test_the_process_is_told_no_secret_but_its_own(running: Running) -> None:
    """By environment or argument it is told none at all; the files it is told of are its own, or no secret."""
    world = running.world
    pid = world.supervisor.pids()["signer"]
    told, arguments = told_to(pid)
    databases = world.database.dsn_files
    seeds = [key.seed_file for key in world.keys.keys]
    own_key = next(Path(text) for name, text in running.key.settings.items() if name in KEY_FILES)
    secrets = [path.read_text().strip() for path in (*seeds, *databases.values(), own_key)]
    for secret in secrets:
        assert not any(secret in text for text in (*told.values(), arguments))
    named = {Path(text) for name, text in told.items() if name.startswith("XORJ_") and name.endswith("_FILE")}
    own = world.certificates.of("signer")
    allowed = {own.ca_file, own.certificate_file, own.key_file, world.keys.registry_file, databases["signer"]}
    allowed |= {world.keys.named("signer").seed_file, world.ready_file("signer"), own_key}
    assert [path.name for path in named - allowed] == ["signer-policy.toml"]
    others = {name for name in told if name.startswith("XORJ_") and name not in own_variables()}
    assert {name for name in others if not name.startswith("XORJ_SIGNER_")} <= {
        "XORJ_GENESIS_HASH",
        "XORJ_LOCAL_GENESIS_HASH",
        "XORJ_VAULT_PROGRAM",
    }


async def test_the_same_bytes_after_a_crash_give_the_same_signature(running: Running) -> None:
    positions = await running.publish_trade(honest_trade(running.key.public_key))
    first = await running.answer(positions)
    running.world.kill("signer")
    await running.world.restart("signer")
    again = await running.answer(positions)
    assert isinstance(first, signer_pb2.SignTradeResponse)
    assert isinstance(again, signer_pb2.SignTradeResponse)
    assert (again.signature, again.transaction) == (first.signature, first.transaction)


async def test_without_an_auditor_the_lease_lapses(running: Running) -> None:
    signed = await running.publish_trade(honest_trade(running.key.public_key))
    assert isinstance(await running.answer(signed), signer_pb2.SignTradeResponse)
    running.world.pause("auditor")
    try:
        refused = await running.answer(signed, until="NO_LEASE")
        unseen = await running.publish_trade(honest_trade(running.key.public_key))
        unaudited = await running.answer(unseen, until="NOT_AUDITED")
    finally:
        running.world.resume("auditor")
    assert reason_of(refused) == "NO_LEASE"
    assert reason_of(unaudited) in ("NOT_AUDITED", "NO_LEASE")
    assert isinstance(await running.answer(unseen), signer_pb2.SignTradeResponse)


async def test_a_signer_that_is_not_told_otherwise_observes(running: Running) -> None:
    positions = await running.publish_trade(honest_trade(running.key.public_key))
    await running.world.end("signer")
    spec = signer_process(running.world, running.key)
    env = {name: value for name, value in spec.env.items() if name != "XORJ_MODE"}
    observing = ProcessSpec("signer", spec.argv, env, ready_s_max=30.0, ready_file=spec.ready_file)
    await running.world.start_process(observing)
    refused = await running.answer(positions, until="OBSERVE_MODE")
    await running.world.end("signer")
    await running.world.start_process(spec)
    assert reason_of(refused) == "OBSERVE_MODE"
    assert isinstance(await running.answer(positions), signer_pb2.SignTradeResponse)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"XORJ_SIGNER_PROVIDER": "file", "XORJ_LOCAL_GENESIS_HASH": "another"}, "local cluster only"),
        ({"XORJ_SIGNER_PROVIDER": "file", "XORJ_SIGNER_KEY_FILE": "/nowhere/a.seed"}, "/nowhere/a.seed"),
        ({"XORJ_SIGNER_PROVIDER": "none"}, "XORJ_SIGNER_PROVIDER"),
        ({"XORJ_SIGNER_POLICY_FILE": "/nowhere/policy.toml"}, "/nowhere/policy.toml"),
        ({"XORJ_KEYS_FILE": "/nowhere/keys.json"}, "/nowhere/keys.json"),
    ],
)
async def test_settings_that_cannot_work_are_named_at_start(
    running: Running, changed: dict[str, str], told: str, tmp_path: Path
) -> None:
    seed = provision(tmp_path, None)
    spec = signer_process(running.world, seed, **changed)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XORJ_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "xorj_signer"],
        env={**environment, **spec.env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert secret_of(seed) not in done.stderr


async def test_a_kill_stops_the_signer_by_itself_also_for_what_it_has_signed(running: Running) -> None:
    """The last test of the module: a kill stays in force."""
    signed = await running.publish_trade(honest_trade(running.key.public_key))
    assert isinstance(await running.answer(signed), signer_pb2.SignTradeResponse)
    operator = load_seed(running.world.keys.named("operator-1").seed_file)
    command = kill_command(operator, "a test", command_id=os.urandom(16), issued_at_us=time.time_ns() // 1000)
    await running.publish("operator", command)
    refused = await running.answer(signed, until="KILLED")
    assert reason_of(refused) == "KILLED"
    fresh = await running.answer(await running.publish_trade(honest_trade(running.key.public_key)), until="KILLED")
    assert reason_of(fresh) == "KILLED"
