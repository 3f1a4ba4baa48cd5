"""The whole world on stage: its processes, an eye on every topic, and the few hands that a test needs."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from solders.pubkey import Pubkey
from xorj_cli.running import RunningWorld, open_world
from xorj_localnet.genesis.bootstrap import OpenedVault
from xorj_localnet.genesis.vaults import VaultPlan
from xorj_localnet.market.scenario import Trader
from xorj_localnet.trading import TradingOptions, TradingWorld
from xorj_localnet.world import WorldOptions
from xorj_log.inbox import FactRecord, UndecodableRecord, read_record
from xorj_log.reader import LogReader
from xorj_log.topics import TOPICS
from xorj_solana.rpc import Commitment, RpcClient
from xorj_solana.tokens import associated_token_address, parse_token_account
from xorj_solana.vault import Vault, parse_vault

from tests.rpc_proxy import RpcProxy, rpc_proxy

DEADLINE_S = 60.0
WALLET = "51iRrrejwzL2ME9ULojMeYXt77sF59XCJoDr7i25JrgK"
F = TypeVar("F")


class Stage:
    """A running world as a test sees it. `facts` holds everything on the log, in the order in which it was read."""

    def __init__(self, world: TradingWorld, running: RunningWorld, rpc: RpcClient, proxy: RpcProxy) -> None:
        self.world = world
        self.running = running
        self.rpc = rpc
        self.proxy = proxy
        self.facts: list[FactRecord] = []
        self.undecodable: list[UndecodableRecord] = []
        self._read_more = asyncio.Event()

    def mint(self, symbol: str) -> bytes:
        """A mint of the market by its symbol."""
        return next(bytes(Pubkey.from_string(t.mint)) for t in self.world.scenario.tokens if t.symbol == symbol)

    def vault(self, name: str) -> OpenedVault:
        """A vault of the world by its plan's name."""
        return next(v for v in self.world.vaults if v.plan.name == name)

    async def target(self, **weights_bps: int) -> None:
        """Let the engine rank one fully trusted trader with this allocation, by symbol."""
        allocation = {t.mint: weights_bps[t.symbol] for t in self.world.scenario.tokens if t.symbol in weights_bps}
        await self.world.publish_ranking([Trader(WALLET, 9_900, allocation)])

    async def tick(self, tick: int) -> None:
        """Let the market be at this tick: prices and pools move."""
        await self.world.venue_tick(tick)

    def of(self, kind: type[F], where: Callable[[F], bool] = lambda fact: True) -> list[F]:
        """Every fact of a kind that was read so far."""
        return [r.fact for r in self.facts if isinstance(r.fact, kind) and where(r.fact)]

    def record_of(self, fact: object) -> FactRecord:
        """The first record that holds this fact."""
        return next(record for record in self.facts if record.fact == fact)

    async def next(self, kind: type[F], where: Callable[[F], bool] = lambda fact: True, *, after: int = 0) -> F:
        """The first fact of a kind among those from index `after` on, waiting for it."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            self._read_more.clear()
            for record in self.facts[after:]:
                if isinstance(record.fact, kind) and where(record.fact):
                    return record.fact
            assert time.monotonic() < deadline, f"no {kind.__name__} within {DEADLINE_S:g} s: {self.story(after)}"
            try:
                await asyncio.wait_for(self._read_more.wait(), 1)
            except TimeoutError:
                continue

    def story(self, after: int = 0) -> str:
        """The kinds of facts from an index on, with reasons, for messages."""
        told = [r.fact for r in self.facts[after:] if r.record.position.topic not in ("heartbeats", "prices")]
        return ", ".join(f"{type(f).__name__} {getattr(f, 'detail', '')}".strip() for f in told)

    async def balances(self, name: str) -> dict[str, int]:
        """Base units of every token of a vault, by symbol, at confirmed."""
        tokens = self.world.scenario.tokens
        owner = self.vault(name).vault
        keys = [associated_token_address(owner, Pubkey.from_string(token.mint)) for token in tokens]
        answer = await self.rpc.get_multiple_accounts(keys, Commitment.CONFIRMED)
        found = {}
        for token, account in zip(tokens, answer.accounts, strict=True):
            assert account is not None
            found[token.symbol] = parse_token_account(account.data).amount
        return found

    async def vault_on_chain(self, name: str) -> Vault:
        """A vault account at confirmed."""
        answer = await self.rpc.get_multiple_accounts([self.vault(name).vault], Commitment.CONFIRMED)
        assert answer.accounts[0] is not None
        return parse_vault(answer.accounts[0].data)

    async def watch(self) -> None:
        """Read every topic for ever."""
        async with LogReader(self.running.kafka, [topic.name for topic in TOPICS]) as reader:
            while True:
                for record in await reader.read():
                    item = read_record(record)
                    if isinstance(item, FactRecord):
                        self.facts.append(item)
                    else:
                        self.undecodable.append(item)
                    self._read_more.set()


@asynccontextmanager
async def staged(
    directory: Path,
    plans: tuple[VaultPlan, ...],
    service_env: Mapping[str, Mapping[str, str]] | None = None,
    *,
    recorded: Path | None = None,
) -> AsyncIterator[Stage]:
    """The world of these vaults with quick slots; its executor speaks through the proxy, prices move only by `tick`.

    `recorded`: the directory of recorded data to trade on, otherwise the default market.
    """

    def chain_url() -> str:
        return str(json.loads((directory / "ready" / "chain.json").read_bytes())["rpc_url"])

    async with rpc_proxy(chain_url) as proxy:
        env = {name: dict(more) for name, more in (service_env or {}).items()}
        # On a busy machine a restart takes seconds: an attempt lives long enough to be the one that lands.
        patient = {"XORJ_EXECUTOR_ATTEMPT_SLOTS": "140", "XORJ_EXECUTOR_INTENT_SLOTS": "600"}
        env["executor"] = {"XORJ_RPC_URL": proxy.url, **patient, **env.get("executor", {})}
        options = TradingOptions(
            world=WorldOptions(directory=directory),
            scenario="default" if recorded is None else "recorded",
            recorded=recorded,
            plans=plans,
            slot_ms=200,
            finalized_depth_slots=12,
            market_tick_ms=0,
            service_env=env,
        )
        async with TradingWorld(options) as world, RpcClient(world.rpc_url) as rpc:
            stage = Stage(world, open_world(world.small.world_file), rpc, proxy)
            watching = asyncio.create_task(stage.watch())
            try:
                yield stage
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
