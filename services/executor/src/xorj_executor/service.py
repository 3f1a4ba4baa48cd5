"""Runs the executor: reads the log, feeds the executor, and stops when the process is asked to.

1. Every assignment is read from its beginning; nothing is done before its end has been reached.
2. A record that does not decode is dead-lettered and the partition moves on.
3. Nothing is done on a cluster whose genesis hash is not the one that was set.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import structlog
from solders.hash import Hash
from xorj_core.facts import Fact, Position, TradeIntended, TradeRefused
from xorj_core.trade import DECISION_VERSION
from xorj_halt.guard import Guard
from xorj_log.inbox import UndecodableRecord, dead_letter, read_record
from xorj_log.reader import LogReader, LogRecord
from xorj_log.topics import EXECUTOR_GROUP
from xorj_log.writer import LogWriter, PublishUnknown
from xorj_service.run import Context
from xorj_service.settings import BUILD
from xorj_solana.rpc import RpcError, RpcPool, slot_stream

from xorj_executor.books import PRICE_TOPICS, VAULT_TOPICS
from xorj_executor.executor import Executor
from xorj_executor.gate import GuardGate
from xorj_executor.ports import Chain, ChainUnreachable, Signer, Venue
from xorj_executor.settings import SERVICE, ExecutorSettings
from xorj_executor.steps import Ports

RETRY_S = 0.5
PRICE_RECORDS_BACK = 2_000
"""Enough of the prices' tail to hold every mint's latest; older ones would be too old to use."""
RECORDS_PER_TURN = 200

log = structlog.get_logger()


class WriterLog:
    """The port `Log` over the one producer."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    async def publish(self, fact: Fact, *, causation: Sequence[bytes] = ()) -> Position:
        """Append the fact; raises PublishUnknown."""
        version = DECISION_VERSION if isinstance(fact, TradeIntended | TradeRefused) else 0
        return await self._writer.publish(fact, causation=causation, decision_version=version)


class ExecutorService:
    """One instance of the service; every adapter is handed in."""

    def __init__(
        self,
        settings: ExecutorSettings,
        guard: Guard,
        writer: LogWriter,
        rpc: RpcPool,
        chain: Chain,
        venue: Venue,
        signer: Signer,
    ) -> None:
        self._settings = settings
        self._guard = guard
        self._writer = writer
        self._rpc = rpc
        self._chain = chain
        self._venue = venue
        self._signer = signer
        self._is_right_cluster = False
        self._has_prices = False
        self._assignments = 0

    async def run(self, context: Context) -> None:
        """Serve until the context stops."""
        ports = Ports(WriterLog(self._writer), GuardGate(self._guard), self._venue, self._chain, self._signer)
        settings = self._settings
        executor = Executor(
            ports, settings.rules(), settings.watch_rules(), context.spawn, workers_max=settings.executor_workers_max
        )
        health = context.health
        health.check("guard", self._guard.problem)
        health.check("cluster", lambda: None if self._is_right_cluster else "the genesis hash is not confirmed")
        health.check("prices", lambda: None if self._has_prices else "prices have not been read")
        health.check("log", lambda: None if executor.has_caught_up else "the log has not been read to its end")
        context.spawn("announce", context.announce_when_ready())
        await self._check_cluster(context)
        slot_moved = asyncio.Event()
        context.spawn("slots", self._follow_slots(slot_moved))
        context.spawn("prices", self._read_prices(executor))
        context.spawn("watch", executor.watch(settings.executor_poll_ms / 1000, slot_moved))
        await _persist(self._writer, self._settings.started(SERVICE, time.time_ns() // 1000))
        await self._read_log(context, executor)
        executor.begin_again()

    async def _check_cluster(self, context: Context) -> None:
        wanted = Hash.from_string(self._settings.genesis_hash)
        while not context.stopping.is_set():
            try:
                found = {await client.get_genesis_hash() for client in self._rpc.clients}
            except RpcError as error:
                log.warning("executor.chain_unreachable", error=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            if found != {wanted}:
                raise RuntimeError(f"XORJ_RPC_URL leads to cluster {found}, XORJ_GENESIS_HASH is {wanted}")
            self._is_right_cluster = True
            return

    async def _follow_slots(self, slot_moved: asyncio.Event) -> None:
        """Each new slot is a reason to look at the chain; without notifications the poll goes on."""
        async for _ in slot_stream(self._settings.ws_url):
            slot_moved.set()

    async def _read_prices(self, executor: Executor) -> None:
        async with LogReader(self._settings.kafka(SERVICE), PRICE_TOPICS) as reader:
            ends = await reader.end_offsets()
            for (topic, partition), end in ends.items():
                reader.seek(topic, partition, max(0, end - PRICE_RECORDS_BACK))
            while True:
                await self._hear(executor, await reader.read())
                if not self._has_prices:
                    self._has_prices = await reader.has_reached(ends)

    async def _read_log(self, context: Context, executor: Executor) -> None:
        async def on_assigned(partitions: frozenset[Any]) -> None:
            log.info("executor.assigned", partitions=len(partitions))
            self._assignments += 1
            executor.begin_again()

        kafka = self._settings.kafka(SERVICE)
        async with LogReader(kafka, VAULT_TOPICS, group=EXECUTOR_GROUP, on_assigned=on_assigned) as reader:
            ends: dict[Any, int] | None = None
            seen = -1
            while not context.stopping.is_set():
                await self._hear(executor, await reader.read())
                if seen != self._assignments:
                    seen, ends = self._assignments, None
                if executor.has_caught_up or self._assignments == 0:
                    continue
                if ends is None:
                    ends = await reader.end_offsets()
                if await reader.has_reached(ends) and await _knows_slots(executor) and seen == self._assignments:
                    executor.caught_up()
                    log.info("executor.caught_up", vaults=len(executor.books.vaults))

    async def _hear(self, executor: Executor, records: Sequence[LogRecord]) -> None:
        """Fold records in order, yielding now and then: workers must not wait for a long history."""
        for index, record in enumerate(records):
            item = read_record(record)
            executor.hear(item)
            if isinstance(item, UndecodableRecord):
                await _persist(self._writer, dead_letter(item, SERVICE))
            if index % RECORDS_PER_TURN == RECORDS_PER_TURN - 1:
                await asyncio.sleep(0)


async def _knows_slots(executor: Executor) -> bool:
    try:
        await executor.watcher.learn_slots()
    except ChainUnreachable as error:
        log.warning("executor.chain_unreachable", error=str(error))
        return False
    return True


async def _persist(writer: LogWriter, fact: Fact) -> None:
    """Publish until the log has it; a repeat carries the same fact id."""
    while True:
        try:
            await writer.publish(fact)
        except PublishUnknown as error:
            log.warning("executor.publish_unknown", fact=type(fact).__name__, error=str(error))
            await asyncio.sleep(RETRY_S)
        else:
            return


async def serve(
    context: Context, settings: ExecutorSettings, rpc: RpcPool, chain: Chain, venue: Venue, signer: Signer
) -> None:
    """Start guard and producer, then run."""
    kafka = settings.kafka(SERVICE)
    guard = Guard(kafka, settings.keys_file, settings.heartbeat_key_file, SERVICE, settings.instance, build=BUILD)
    guard.start()
    try:
        async with LogWriter(kafka, f"{SERVICE}/{settings.instance}", BUILD) as writer:
            await ExecutorService(settings, guard, writer, rpc, chain, venue, signer).run(context)
    finally:
        guard.stop()
