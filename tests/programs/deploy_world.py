"""A local cluster as a process, an operator with key files, and the `xorj program` verbs run against it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from typer.testing import CliRunner
from xorj_cli.program.command import app
from xorj_cli.program.keypairs import load_keypair, make_keypair

BUILT = Path(__file__).resolve().parents[2] / "infra" / "programs" / "built"
VAULT_SO, CPMM_SO = BUILT / "vault.so", BUILT / "cpmm.so"
XORJ = Path(sys.executable).with_name("xorj")
SOL = 10**9
WAIT_S = 60.0
_CLUSTER_SETTINGS = ("XORJ_RPC_URL", "XORJ_GENESIS_HASH", "XORJ_VAULT_PROGRAM")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """How a verb ended and the one object it printed."""

    exit_code: int
    body: Json

    @property
    def error(self) -> str:
        return str(self.body["error"]["code"])


@dataclass(frozen=True, slots=True)
class DeployWorld:
    """A running cluster whose slots take 20 ms, and where key files may be made."""

    rpc_url: str
    genesis: str
    folder: Path

    def call(self, method: str, *params: object) -> Any:
        """The result of one RPC call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.rpc_url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            document = json.load(answer)
        assert "result" in document, document
        return document["result"]

    def key(self, name: str, *, sol: int = 0) -> Path:
        """A new key file, its address funded and the funds finalized."""
        file = self.folder / f"{name}-{time.monotonic_ns()}.json"
        address = make_keypair(file).pubkey()
        if sol:
            self.call("requestAirdrop", str(address), sol * SOL)
            self.call("local_warpSlots", 10)
        return file

    def run(self, *arguments: object, rpc_url: str | None = None, genesis: str | None = None) -> Said:
        """`xorj program …` on this cluster."""
        named = ["--rpc", rpc_url or self.rpc_url, "--cluster-genesis", genesis or self.genesis, "--json"]
        return run_verb(*arguments, *named)

    def deploy(self, authority: Path, *more: object, elf: Path = CPMM_SO) -> Said:
        """`xorj program deploy`."""
        return self.run("deploy", "--authority", authority, "--elf", elf, *more)

    def deployed(self, *, elf: Path = CPMM_SO) -> tuple[Path, Pubkey]:
        """A program deployed by a new authority: its key file and the program."""
        authority, program = self.key("authority", sol=10), self.key("program")
        said = self.deploy(authority, "--program-key", program, elf=elf)
        assert said.exit_code == 0, said.body
        return authority, address(program)

    def lamports(self, key: Pubkey) -> int:
        return int(self.call("getBalance", str(key), {"commitment": "processed"})["value"])

    def account(self, key: Pubkey) -> Json | None:
        """An account in base64, as processed."""
        options = {"encoding": "base64", "commitment": "processed"}
        found: Json | None = self.call("getAccountInfo", str(key), options)["value"]
        return found

    def transactions(self) -> int:
        """How many transactions the cluster has executed."""
        return int(self.call("getEpochInfo")["transactionCount"])


def run_verb(*arguments: object) -> Said:
    """`xorj program …` in this process; the object it prints."""
    cleared: dict[str, str | None] = dict.fromkeys(_CLUSTER_SETTINGS)
    result = CliRunner().invoke(app, [*map(str, arguments)], env=cleared)
    lines = result.stdout.splitlines()
    assert len(lines) == 1, result.output + repr(result.exception)
    return Said(result.exit_code, json.loads(lines[0]))


def address(file: Path) -> Pubkey:
    return pair(file).pubkey()


def pair(file: Path) -> Keypair:
    return load_keypair(file)


@contextmanager
def deploy_world(folder: Path) -> Iterator[DeployWorld]:
    """Starts the cluster, ends it."""
    ready = folder / "ready.json"
    environment = {
        **os.environ,
        "XORJ_CHAIN_READY_FILE": str(ready),
        "XORJ_CHAIN_SLOT_MS": "20",
        "XORJ_CHAIN_CONFIRMED_DEPTH_SLOTS": "1",
        "XORJ_CHAIN_FINALIZED_DEPTH_SLOTS": "4",
    }
    process = subprocess.Popen([sys.executable, "-m", "xorj_localnet.chain"], env=environment)
    try:
        deadline = time.monotonic() + WAIT_S
        while not ready.exists():
            assert process.poll() is None, "the chain ended"
            assert time.monotonic() < deadline, "the chain is not ready"
            time.sleep(0.01)
        told = json.loads(ready.read_text())
        yield DeployWorld(told["rpc_url"], told["genesis_hash"], folder)
    finally:
        process.terminate()
        process.wait(WAIT_S)
