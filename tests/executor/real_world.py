"""The real world around the executor; ingestor and reconciler are played here."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey
from xorj_core.base58 import address_bytes
from xorj_core.facts import (
    Fact,
    MintPosition,
    PortfolioReconciled,
    ReferencePriceObserved,
    SettingsChanged,
    fact_id,
)
from xorj_core.money import value_micro_usd
from xorj_halt.commands import kill_command
from xorj_halt.keys import load_seed
from xorj_localnet.genesis.bootstrap import OpenedVault
from xorj_localnet.genesis.settings_rows import signed_settings
from xorj_localnet.trading import TradingOptions, TradingWorld
from xorj_localnet.world import WorldOptions
from xorj_log.inbox import FactRecord, read_record
from xorj_log.reader import LogReader
from xorj_log.writer import LogWriter

from tests.executor.faulty_rpc import FaultyRpc
from tests.worlds import connection_of, reachable

DEADLINE_S = 40.0
WATCHED = ("trade-intents", "signed-txs", "confirmations", "dead-letters")


class ExecutorWorld(TradingWorld):
    """A trading world in which only auditor, signer and executor are services; the executor's RPC can be faulty."""

    faulty_rpc: FaultyRpc

    def _service_env(self, name: str) -> dict[str, str]:
        self.faulty_rpc.target = self.rpc_url
        env = super()._service_env(name)
        return {**env, "XORJ_RPC_URL": self.faulty_rpc.url} if name == "executor" else env

    async def _start_services(self) -> None:
        async with asyncio.TaskGroup() as services:
            services.create_task(self.small.start_service(self._service("auditor")))
            await self.small.start_service(self._service("signer"))
            self.signer_address = str(self.small.supervisor.said_when_ready("signer")["address"])
            services.create_task(self.small.start_service(self._service("executor")))

    def _description(self) -> dict[str, Any]:
        return {}


class Stage:
    """Hands of ingestor and reconciler, and an eye on what executor and signer write."""

    def __init__(self, world: ExecutorWorld, ingestor: LogWriter, reconciler: LogWriter, reader: LogReader) -> None:
        self.world = world
        self.ingestor = ingestor
        self.reconciler = reconciler
        self.reader = reader
        self.facts: list[FactRecord] = []
        self.prices: dict[str, ReferencePriceObserved] = {}
        self._triggers = 0

    def mint(self, symbol: str) -> bytes:
        """A mint of the scenario by its symbol."""
        return next(bytes(Pubkey.from_string(t.mint)) for t in self.world.scenario.tokens if t.symbol == symbol)

    def vault(self, name: str) -> OpenedVault:
        """A vault of the world by its name."""
        return next(v for v in self.world.vaults if v.plan.name == name)

    async def publish_prices(self) -> None:
        """One price of every mint, as the market has it."""
        for token in self.world.scenario.tokens:
            price = ReferencePriceObserved(
                bytes(Pubkey.from_string(token.mint)),
                self.world.scenario.price_pico_usd(token.mint, 0),
                token.decimals,
                "venue",
                "market",
                time.time_ns() // 1000,
            )
            self.prices[token.symbol] = price
            await self.ingestor.publish(price)

    async def pump_prices(self) -> None:
        """Prices every second, for ever."""
        while True:
            await self.publish_prices()
            await asyncio.sleep(1)

    async def publish_settings(self, opened: OpenedVault, version: int = 1, *, enabled: bool = True) -> SettingsChanged:
        """What the owner of a vault allows."""
        mints = [price.mint for price in self.prices.values()]
        settings = signed_settings(
            opened, mints, address_bytes(self.world.genesis_hash), version=version, enabled=enabled
        )
        await self.ingestor.publish(settings)
        return settings

    async def publish_delta(
        self, opened: OpenedVault, holdings: dict[str, int], target: str, trade_seq: int, slot: int = 0
    ) -> PortfolioReconciled:
        """Holdings by symbol against everything in `target`."""
        self._triggers += 1
        values = {s: value_micro_usd(holdings.get(s, 0), p.decimals, p.price_pico_usd) for s, p in self.prices.items()}
        total = sum(values.values())
        positions = [
            MintPosition(
                mint=price.mint,
                decimals=price.decimals,
                amount_base_units=holdings.get(symbol, 0),
                price_pico_usd=price.price_pico_usd,
                price_fact_id=fact_id(price),
                value_micro_usd=values[symbol],
                target_weight_bps=10_000 if symbol == target else 0,
                target_value_micro_usd=total if symbol == target else 0,
                difference_micro_usd=values[symbol] - (total if symbol == target else 0),
            )
            for symbol, price in self.prices.items()
        ]
        plan = opened.plan
        delta = PortfolioReconciled(
            vault=bytes(opened.vault),
            trigger_fact_id=self._triggers.to_bytes(32, "big"),
            snapshot_slot=slot or self._triggers,
            vault_trade_seq=trade_seq,
            trader=bytes(32),
            ranking_fact_id=bytes(32),
            settings_fact_id=bytes(32),
            settings_version=1,
            profile=plan.profile,
            slippage_bps_max=plan.slippage_bps_max,
            trade_value_micro_usd_min=plan.trade_value_micro_usd_min,
            trade_value_micro_usd_max=plan.trade_value_micro_usd_max,
            dead_band_bps=plan.dead_band_bps,
            total_value_micro_usd=total,
            positions=tuple(sorted(positions, key=lambda p: p.mint)),
            in_balance=False,
        )
        await self.reconciler.publish(delta)
        return delta

    async def publish_kill(self) -> None:
        """An operator stops everything."""
        key = load_seed(self.world.small.keys.named("operator-1").seed_file)
        command = kill_command(key, "test", command_id=os.urandom(16), issued_at_us=time.time_ns() // 1000)
        async with LogWriter(connection_of(self.world.small, "operator"), "operator/test", "test") as writer:
            await writer.publish(command)

    def of(self, kind: type[Fact], vault: bytes) -> list[Any]:
        """Facts of one kind about one vault that have been seen."""
        return [r.fact for r in self.facts if isinstance(r.fact, kind) and getattr(r.fact, "vault", b"") == vault]

    async def wait(self, kind: type[Fact], vault: bytes, *, count: int = 1, deadline_s: float = DEADLINE_S) -> Any:
        """The `count`th fact of a kind about a vault."""
        await self.wait_until(lambda: len(self.of(kind, vault)) >= count, deadline_s)
        return self.of(kind, vault)[count - 1]

    async def wait_until(self, is_so: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Reads until a condition on what was seen holds."""
        deadline = time.monotonic() + deadline_s
        while not is_so():
            seen = [type(r.fact).__name__ for r in self.facts]
            assert time.monotonic() < deadline, f"{seen}\n{self.world.small.logs('executor')[-6000:]}"
            await self.poll()

    async def poll(self) -> None:
        """Take in what has arrived."""
        for record in await self.reader.read():
            item = read_record(record)
            if isinstance(item, FactRecord):
                self.facts.append(item)


@asynccontextmanager
async def staged(directory: Path, **service_env: dict[str, str]) -> AsyncIterator[Stage]:
    """A world with a stage; prices flow."""
    reachable(directory)
    options = TradingOptions(
        world=WorldOptions(directory=directory),
        market_tick_ms=3_600_000,
        slot_ms=100,
        finalized_depth_slots=8,
        service_env=service_env,
    )
    planned = ExecutorWorld(options)
    planned.faulty_rpc = FaultyRpc()
    async with planned.faulty_rpc, planned as world:
        ingestor = LogWriter(connection_of(world.small, "ingestor"), "ingestor/test", "test")
        reconciler = LogWriter(connection_of(world.small, "reconciler"), "reconciler/test", "test")
        reader = LogReader(connection_of(world.small, "auditor"), WATCHED)
        async with ingestor, reconciler, reader:
            stage = Stage(world, ingestor, reconciler, reader)
            await stage.publish_prices()
            pump = asyncio.create_task(stage.pump_prices())
            try:
                yield stage
            finally:
                pump.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await pump
