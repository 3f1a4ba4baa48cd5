"""`xorj bench signer`: signatures a second through the deployed signer, beside the bare parts that it is made of.

A world of broker, database, auditor and signer (SoftHSM where it is installed). Before each measurement every record
that its requests name is put on the log by its real writer and is in the audit log; then `callers` ask over one mTLS
connection, each as soon as it is answered. Every request is the first of its vault: full policy, windows, a
reservation, the key, a completion, a published TradeSigned.

1. In each round bare parts and signer are measured one after the other, by the same client process; the share is the
   median of the rounds' shares, so that what else the machine does meanwhile weighs on both.
2. Each answer must be a signature; a refusal ends the bench.
3. The world is the bench's own (XORJ_HOME/bench) and is stopped however the measurement ends.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any, Final

import grpc
from xorj.signer.v1 import signer_pb2
from xorj_contracts.codec import position_to_message
from xorj_core.base58 import address_text
from xorj_core.facts import Fact
from xorj_core.facts.common import Position
from xorj_localnet.hsm import SignerKey, find_softhsm, provision
from xorj_localnet.paths import Home
from xorj_localnet.world import ServiceSpec, World, WorldOptions
from xorj_log.connection import KafkaConnection
from xorj_log.writer import LogWriter
from xorj_signer.providers.settings import load_provider_settings

from xorj_cli.bench.load import Load, run_load
from xorj_cli.bench.report import Figure, Limit, machine, percentile, report
from xorj_cli.bench.signer_parts import channel, measure_echo, measure_key, measure_ledger
from xorj_cli.bench.signer_trades import lawful_trades, new_prices
from xorj_cli.output import Failure

METHOD: Final = "/xorj.signer.v1.Signer/SignTrade"
FEW: Final = (1, 8)
MANY: Final = 64
AT_ONCE: Final = 200
WARM: Final = 64
ANSWER_S_MAX: Final = 30.0
PATIENCE_S: Final = 60.0
BUDGET_PER_S: Final = (500.0, 1_500.0)
BUDGET_SHARE: Final = (0.3, 0.6)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SignerWish:
    """How many signatures a round with 64 callers takes, and how many rounds there are."""

    signatures: int = 2_000
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Round:
    """The bare parts, and right after them the signer, with the same number of callers."""

    bare: dict[str, Load]
    signer: Load


async def run_signer_bench(wish: SignerWish, say: Say) -> dict[str, Any]:
    """The report. Raises Failure, and what a failing part raises."""
    host = machine()
    home = Home.from_environment()
    async with World(WorldOptions(home=home, directory=home.root / "bench")) as world:
        key = provision(world.directory / "hsm", find_softhsm())
        genesis_hash = os.urandom(32)
        bench = _Bench(world, key, genesis_hash, say)
        say("auditor and signer")
        await bench.start()
        few = {callers: await bench.measure(callers, max(50, wish.signatures * callers // 128)) for callers in FEW}
        rounds = [
            Round(await bench.measure_bare(wish.signatures), await bench.measure(MANY, wish.signatures))
            for _ in range(wish.rounds)
        ]
    return report("signer", _figures(key.provider, rounds, few), host)


class _Bench:
    """One running world."""

    def __init__(self, world: World, key: SignerKey, genesis_hash: bytes, say: Say) -> None:
        self._world = world
        self._key = key
        self._genesis_hash = genesis_hash
        self._say = say

    async def start(self) -> None:
        """Start what a signature needs."""
        audit_key = str(self._world.keys.named("auditor-heartbeat").seed_file)
        auditor = {"XORJ_INSTANCE": "auditor-1", "XORJ_AUDIT_KEY_FILE": audit_key}
        await self._world.start_service(ServiceSpec("auditor", "xorj_auditor", auditor))
        signer = {"XORJ_INSTANCE": "signer-1", "XORJ_LOG_LEVEL": "INFO", **self._provider()}
        await self._world.start_service(ServiceSpec("signer", "xorj_signer", signer))

    async def measure_bare(self, count: int) -> dict[str, Load]:
        """Each bare part with as many callers as the signer will have."""
        self._say("bare parts")
        # Settings and PKCS#11 module are told by the environment; this process measures and ends.
        os.environ.update(self._provider())
        provider = load_provider_settings(os.environ)
        return {
            "key": await measure_key(provider, 2 * count, MANY),
            "mTLS gRPC echo": await measure_echo(self._world, 2 * count, MANY),
            "ledger": await measure_ledger(self._world.database.dsn("signer"), 2 * count, MANY),
        }

    async def measure(self, callers: int, count: int) -> Load:
        """`count` signatures by so many callers."""
        requests = await self._prepared(count + WARM)
        address = str(self._world.supervisor.said_when_ready("signer")["address"])
        async with channel(self._world, address) as connected:
            sign: Any = connected.unary_unary(METHOD)
            await self._warm(sign, requests[count:])
            load = await run_load(lambda number: sign(requests[number], timeout=ANSWER_S_MAX), count, callers)
        self._say(f"{callers} callers: {load.per_s:.0f} signatures a second")
        return load

    async def _prepared(self, count: int) -> list[bytes]:
        """Requests for trades whose records are on the log."""
        self._say(f"{count} trades")
        prices = new_prices()
        trades = list(islice(lawful_trades(self._key.public_key, self._genesis_hash, prices), count))
        async with AsyncExitStack() as stack:
            ingestor, executor = [
                await stack.enter_async_context(LogWriter(self._connection(name), name, "bench"))
                for name in ("ingestor", "executor")
            ]
            await _publish(ingestor, [*prices, *(trade.settings for trade in trades)])
            intents = await _publish(executor, [trade.intent for trade in trades])
            plans = await _publish(executor, [trade.plan for trade in trades])
        return [
            signer_pb2.SignTradeRequest(
                intent=position_to_message(intent), attempt=position_to_message(plan)
            ).SerializeToString()
            for intent, plan in zip(intents, plans, strict=True)
        ]

    async def _warm(self, sign: Any, requests: Sequence[bytes]) -> None:
        """Ask for the last trades until each is signed: then all before them are read and audited, too."""
        async with asyncio.timeout(PATIENCE_S):
            for request in requests:
                while True:
                    try:
                        await sign(request, timeout=ANSWER_S_MAX)
                        break
                    except grpc.aio.AioRpcError as error:
                        if error.code() is not grpc.StatusCode.UNAVAILABLE:
                            raise Failure("refused", error.details() or "", "see the signer's log") from error

    def _provider(self) -> dict[str, str]:
        genesis = address_text(self._genesis_hash)
        return {"XORJ_GENESIS_HASH": genesis, "XORJ_LOCAL_GENESIS_HASH": genesis, **self._key.settings}

    def _connection(self, principal: str) -> KafkaConnection:
        identity = self._world.certificates.of(principal)
        files = (identity.ca_file, identity.certificate_file, identity.key_file)
        return KafkaConnection(self._world.broker.address, *files, principal)


async def _publish(writer: LogWriter, facts: Sequence[Fact]) -> list[Position]:
    positions: list[Position] = []
    for begin in range(0, len(facts), AT_ONCE):
        positions += await asyncio.gather(*(writer.publish(fact) for fact in facts[begin : begin + AT_ONCE]))
    return positions


def _figures(provider: str, rounds: Sequence[Round], few: dict[int, Load]) -> list[Figure]:
    slowest = min(rounds[0].bare, key=lambda name: median(each.bare[name].per_s for each in rounds))
    names = {"key": f"bare_{provider}_per_s", "mTLS gRPC echo": "bare_grpc_per_s", "ledger": "bare_ledger_per_s"}
    bare = {name: round(median(each.bare[name].per_s for each in rounds), 1) for name in names}
    per_s = round(median(each.signer.per_s for each in rounds), 1)
    share = round(median(each.signer.per_s / each.bare[slowest].per_s for each in rounds), 3)
    figures = [
        Figure(f"signatures_per_s_{MANY}", per_s, "signatures/s", Limit(slowest, bare[slowest]), *BUDGET_PER_S),
        Figure("share_of_slowest_part", share, "", None, *BUDGET_SHARE),
        *(Figure(figure, bare[name], "calls/s") for name, figure in names.items()),
    ]
    latencies = {callers: load.latencies_ms for callers, load in few.items()}
    latencies[MANY] = tuple(latency for each in rounds for latency in each.signer.latencies_ms)
    for callers, measured in latencies.items():
        for percent in (50, 99):
            figures.append(Figure(f"sign_p{percent}_{callers}", round(percentile(measured, percent), 2), "ms"))
    return figures
