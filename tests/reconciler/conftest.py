"""A real broker and a real local chain with the reconciler as its own process."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio
from xorj_core.facts import ReferencePriceObserved
from xorj_localnet.world import ServiceSpec, World
from xorj_log.inbox import FactRecord, UndecodableRecord, read_record
from xorj_log.reader import LogReader
from xorj_log.writer import LogWriter

from tests.reconciler.vault_facts import JUP, PROGRAM, USD, USDC, ChainHand, price
from tests.worlds import connection_of, small_world

DEADLINE_S = 40.0


@dataclass(slots=True)
class Seen:
    """Everything on the topics watched, in the order of arrival."""

    reader: LogReader
    facts: list[FactRecord] = field(default_factory=list)
    unreadable: list[UndecodableRecord] = field(default_factory=list)

    async def wait(self, found: Callable[[FactRecord], bool], count: int = 1) -> list[FactRecord]:
        """The first `count` facts that match, waiting for them until a deadline."""
        deadline = time.monotonic() + DEADLINE_S
        while len(matches := [item for item in self.facts if found(item)]) < count:
            assert time.monotonic() < deadline, [type(item.fact).__name__ for item in self.facts][-20:]
            await self.poll()
        return matches

    async def poll(self) -> None:
        """Take in what has arrived."""
        for record in await self.reader.read():
            item = read_record(record)
            if isinstance(item, FactRecord):
                self.facts.append(item)
            else:
                self.unreadable.append(item)


class Stage:
    """The world around the reconciler, and hands of every writer."""

    def __init__(self, world: World, chain: ChainHand, rpc_url: str) -> None:
        self.world = world
        self.chain = chain
        self.rpc_url = rpc_url
        self._writers: list[LogWriter] = []

    async def __aenter__(self) -> Self:
        self.ingestor = await self._writer("ingestor")
        self.executor = await self._writer("executor")
        self._reader = LogReader(connection_of(self.world, "auditor"), ("portfolio-deltas", "dead-letters"))
        self.seen = Seen(await self._reader.__aenter__())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.__aexit__(None, None, None)
        for writer in self._writers:
            await writer.__aexit__(None, None, None)

    async def _writer(self, name: str) -> LogWriter:
        writer = await LogWriter(connection_of(self.world, name), f"{name}/test", "test").__aenter__()
        self._writers.append(writer)
        return writer

    async def publish_prices(self, number: int) -> list[ReferencePriceObserved]:
        """USDC at 1 USD, JUP at 0.50 USD."""
        prices = [price(USDC, USD, number), price(JUP, USD // 2, number)]
        for fact in prices:
            await self.ingestor.publish(fact)
        return prices

    async def start_reconciler(self, name: str = "reconciler", **env: str) -> float:
        """Seconds until it was ready."""
        began = time.monotonic()
        told = {
            "XORJ_RPC_URL": self.rpc_url,
            "XORJ_VAULT_PROGRAM": str(PROGRAM),
            "XORJ_RECONCILE_PRICE_AGE_MS_MAX": "600000",
            "XORJ_LOG_LEVEL": "INFO",
        }
        spec = ServiceSpec(name, "xorj_reconciler", {**told, **env}, principal="reconciler")
        await self.world.start_service(spec)
        return time.monotonic() - began


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with small_world(Path(tmp_path_factory.mktemp("world"))) as world:
        ready = world.ready_file("chain")
        ready.parent.mkdir(exist_ok=True)
        env = {"XORJ_CHAIN_READY_FILE": str(ready), "XORJ_CHAIN_SLOT_MS": "100"}
        await world.start_process(world.module_process("chain", "xorj_localnet.chain", env))
        told: dict[str, Any] = json.loads(await asyncio.to_thread(ready.read_bytes))
        async with Stage(world, ChainHand(told["rpc_url"]), told["rpc_url"]) as built:
            yield built
