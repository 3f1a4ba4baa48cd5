"""The cluster that a verb works on: an RPC endpoint that is named, or that of the local world.

1. Nothing is sent to a cluster whose genesis hash the operator has not named; of the running local world it is known.
2. An endpoint is shown by host and port only: providers put keys into paths.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_solana.landing import Lander, Step
from xorj_solana.rpc.client import RpcClient, endpoint_name
from xorj_solana.rpc.results import Commitment

from xorj_cli.output import Exit, Failure
from xorj_cli.running import START_ONE, world_file

UNIT_PRICE_MICRO_LAMPORTS_MAX = 1_000_000
RPC_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Where:
    """What the operator said about the cluster; `program` is needed by every verb but few know it by default."""

    rpc_url: str | None
    genesis: str | None
    program: str | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that answers, and the program meant on it, if any was named."""

    client: RpcClient
    genesis: str
    named_program: Pubkey | None

    @property
    def program(self) -> Pubkey:
        """The program meant. Raises `Failure` when none was named."""
        if self.named_program is None:
            raise Failure("no_program", "which program is not said", "give --program ADDRESS", Exit.USAGE)
        return self.named_program

    def told(self) -> dict[str, str]:
        """What every answer says about where it comes from."""
        return {"endpoint": self.client.name, "genesis_hash": self.genesis}


@asynccontextmanager
async def on_cluster(where: Where, *, sends: bool) -> AsyncIterator[Cluster]:
    """The cluster, known to be the one meant. Raises `Failure`, `RpcError`."""
    rpc_url, expected, program = where.rpc_url, where.genesis, where.program
    if rpc_url is None:
        local = _local_world(world_file())
        rpc_url, expected, program = local.rpc_url, expected or local.genesis, program or local.program
    if rpc_url is None or not rpc_url.startswith(("http://", "https://")):
        raise Failure("bad_url", "the endpoint is no http or https address", "give --rpc URL", Exit.USAGE)
    named = None if program is None else address(program, "--program")
    async with RpcClient(rpc_url, timeout_s=RPC_TIMEOUT_S) as client:
        genesis = str(await client.get_genesis_hash())
        if expected is None and sends:
            raise Failure(
                "cluster_not_named",
                f"{endpoint_name(rpc_url)} serves the cluster with genesis hash {genesis}",
                "nothing was sent; if that is the cluster you mean, repeat with --cluster-genesis and this hash",
                Exit.USAGE,
            )
        if expected is not None and expected != genesis:
            raise Failure(
                "wrong_cluster",
                f"{endpoint_name(rpc_url)} serves the cluster with genesis hash {genesis}, not {expected}",
                "nothing was sent; check --rpc and --cluster-genesis",
                Exit.CHECK_FAILED,
            )
        yield Cluster(client, genesis, named)


def _local_world(path: Path) -> Where:
    try:
        body = json.loads(path.read_bytes())
        return Where(str(body["chain"]["rpc_url"]), str(body["genesis_hash"]), str(body["programs"]["vault"]))
    except FileNotFoundError:
        hint = f"give --rpc URL (or XORJ_RPC_URL), or {START_ONE}"
        raise Failure("no_endpoint", "no endpoint was named and no local world is running", hint, Exit.USAGE) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure("bad_world_file", f"{path}: {error!r}", "stop the world and start it again") from error


def address(text: str, option: str) -> Pubkey:
    """An address from base58. Raises `Failure` (usage)."""
    try:
        return Pubkey.from_string(text)
    except ValueError as error:
        raise Failure("bad_address", f"{option}: {text}: {error}", "give an address in base58", Exit.USAGE) from error


async def unit_price(client: RpcClient, writable: list[Pubkey], wanted: int | None) -> int:
    """Micro-lamports per compute unit: what was said, or what three of four recent slots would have accepted.

    Without a word of the operator's it is at most `UNIT_PRICE_MICRO_LAMPORTS_MAX`. Raises `RpcError`.
    """
    if wanted is not None:
        return wanted
    prices = sorted(fee.micro_lamports_per_unit for fee in await client.get_recent_prioritization_fees(writable))
    return min(prices[len(prices) * 3 // 4], UNIT_PRICE_MICRO_LAMPORTS_MAX) if prices else 0


async def send_one(cluster: Cluster, payer: Keypair, step: Step) -> int:
    """Simulates, sends and sees one transaction finalized; returns its slot. Raises `LandingFailed`, `RpcError`."""
    price = await unit_price(cluster.client, [cluster.program], None)
    lander = Lander(cluster.client, payer, unit_price_micro_lamports=price)
    return await lander.land([await lander.tried(step)], Commitment.FINALIZED)


def sol(lamports: int) -> str:
    """Lamports as SOL, exactly."""
    whole, rest = divmod(abs(lamports), 10**9)
    return f"{'-' if lamports < 0 else ''}{whole}.{rest:09d}"
