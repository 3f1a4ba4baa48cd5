"""The read models: one Faust application that folds the vault-keyed topics into two tables with changelogs.

Faust holds what can be rebuilt and decides nothing; what is decided leaves through our own producer.

1. Both tables are keyed by vault and have the partitions of their source topics, so an instance that holds a vault's
   partition holds everything of that vault.
2. Nothing raises inside the agent: Faust would commit the record's offset and the record would be lost. A fault ends
   the process with the record unacknowledged.
3. Tables may be ahead of the committed offsets after a kill; folds ignore what they have folded.
4. `caught_up` is true only while every record that stood on the topics when the partitions were assigned is folded.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import faust
import structlog
from aiokafka.admin import AIOKafkaAdminClient
from faust.types import TP
from xorj_contracts.codec import decode
from xorj_core.facts import SettingsChanged
from xorj_core.facts.common import Position
from xorj_log.connection import KafkaConnection
from xorj_log.inbox import FactRecord, UndecodableRecord, read_record
from xorj_log.reader import LogRecord
from xorj_log.topics import BY_NAME, RECONCILER_GROUP, VAULT_PARTITIONS

from xorj_reconciler.changelogs import ensure_changelogs
from xorj_reconciler.consumer import lose_nothing
from xorj_reconciler.encoding import decode_state, encode_state
from xorj_reconciler.state import VaultState, fold, has_folded

SOURCES: Final = ("user-settings", "portfolio-deltas", "trade-intents", "confirmations")
POLL_S: Final = 0.02
STALL_S_MAX: Final = 15.0
"""Catching up without any progress for longer is a fault: a fresh start is better than waiting for ever."""

DeadLetter = Callable[[UndecodableRecord], Awaitable[None]]


class Stalled(Exception):
    """Records that stand on the log were not delivered."""


class _App(faust.App):
    """Faust without its data directory: tables are in memory, and nothing is left where the command was run."""

    def _create_directories(self) -> None:
        return


class ReadModels:
    """Settings and states of the vaults whose partitions this instance holds.

    `dead_letter` publishes what could not be read.
    """

    def __init__(self, connection: KafkaConnection, cluster_id: str, dead_letter: DeadLetter) -> None:
        self._connection = connection
        self._cluster_id = cluster_id
        self._dead_letter = dead_letter
        self._on_change: Callable[[bytes], None] = lambda vault: None
        self._cache: dict[bytes, tuple[bytes, VaultState]] = {}
        self._next: dict[TP, int] = {}  # of each held partition, the offset to fold next
        self._assignments = asyncio.Queue[frozenset[TP]]()
        self._held: frozenset[int] = frozenset()
        self.caught_up = False
        self._fault: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._app = self._make_app()
        self._settings: Any = self._make_table("settings")
        self._states: Any = self._make_table("vaults")
        self._app.agent(self._topic(), name="fold")(self._fold_all)

    def state(self, vault: bytes) -> VaultState | None:
        """What is known of a vault; None for one that is unknown or whose partition is another instance's."""
        state = self._decoded(vault)
        return state if state is not None and state.partition in self._held else None

    def _decoded(self, vault: bytes) -> VaultState | None:
        """The state in the table, decoded once for each time it is written."""
        data = self._states.get(vault)
        if data is None:
            return None
        known = self._cache.get(vault)
        if known is None or known[0] is not data:
            known = self._cache[vault] = (data, decode_state(data))
        return known[1]

    def settings(self, vault: bytes) -> SettingsChanged | None:
        """The newest settings of a vault."""
        value = self._settings.get(vault)
        fact = None if value is None else decode(value).fact
        return fact if isinstance(fact, SettingsChanged) else None

    def vaults(self) -> Iterator[bytes]:
        """Every vault in the tables; `state` tells whether it is held."""
        yield from list(self._states.keys())

    async def run(self, on_change: Callable[[bytes], None]) -> None:
        """Hold the tables until cancelled; `on_change` hears of each vault whose state may have changed.

        Raises what ended Faust or the fold.
        """
        self._on_change = on_change
        self._app.on_partitions_revoked.connect(self._revoked)
        self._app.on_rebalance_complete.connect(self._recovered)
        self._app.finalize()
        watching = asyncio.create_task(self._watch_catching_up())
        try:
            tables = (self._settings, self._states)
            await ensure_changelogs(self._connection, [t.changelog_topic.get_topic_name() for t in tables])
            await self._app.start()
            stopped = asyncio.create_task(self._app.wait_until_stopped())
            await asyncio.wait([stopped, watching, self._fault], return_when=asyncio.FIRST_COMPLETED)
            for ended in (watching, self._fault):
                if ended.done():
                    ended.result()
            raise RuntimeError(f"the table application stopped: {self._app.crash_reason!r}")
        finally:
            self.caught_up = False
            watching.cancel()
            await self._app.stop()

    # -- folding -------------------------------------------------------------------------------------------------

    async def _fold_all(self, stream: Any) -> None:
        stream.enable_acks = False  # acknowledged below, and only what was folded
        async for event in stream.events():
            try:
                if self._is_next(event.message):
                    await self._fold(event.message)
                    event.ack()
            except Exception as error:  # noqa: BLE001 - raised again by `run`; here Faust would lose the record
                if not self._fault.done():
                    self._fault.set_exception(error)
                await asyncio.Event().wait()  # until the process has stopped: the record stays unacknowledged

    async def _fold(self, message: Any) -> None:
        record = LogRecord(
            position=Position(self._cluster_id, message.topic, message.partition, message.offset),
            timestamp_ms=round(message.timestamp * 1000),
            key=message.key,
            headers=(),
            value=message.value,
        )
        item = read_record(record)
        vault = record.key or b""
        is_vault = len(vault) == 32
        before = self._decoded(vault) if is_vault else None
        if not (is_vault and has_folded(before, item)):
            if isinstance(item, UndecodableRecord):
                await self._dead_letter(item)
                structlog.get_logger().warning("record.undecodable", at=str(record.position), reason=item.reason)
            if is_vault:
                after = fold(before, item)
                if isinstance(item, FactRecord) and after.settings_fact_id == item.envelope.fact_id:
                    self._settings[vault] = record.value
                self._states[vault] = encode_state(after)
        self._next[message.tp] = message.offset + 1
        if is_vault:
            self._on_change(vault)

    def _is_next(self, message: Any) -> bool:
        """Whether a record is to be folded now: fetched after the latest `go_back`, and not folded since.

        Raises `Stalled` for a gap; only a compacted topic has gaps of its own.
        """
        following = self._next.get(message.tp)
        if following is None or self._app.consumer.is_stale(message) or message.offset < following:
            return False
        if message.offset > following and BY_NAME[message.topic].compacted_after_ms is None:
            raise Stalled(f"{message.tp}: offset {message.offset} arrived where {following} was next")
        return True

    # -- catching up ---------------------------------------------------------------------------------------------

    async def _revoked(self, app: Any, revoked: Any, **_: Any) -> None:
        self.caught_up = False
        self._held = frozenset()
        self._next = {}

    async def _recovered(self, app: Any, **_: Any) -> None:
        """Tables are whole up to their changelogs; the source partitions resume right after this."""
        held = frozenset(tp for tp in self._app.consumer.assignment() if tp.topic in SOURCES)
        self._assignments.put_nowait(held)

    async def _watch_catching_up(self) -> None:
        while True:
            held = await self._assignments.get()
            self.caught_up = False
            while self._app.rebalancing and self._assignments.empty():
                await asyncio.sleep(POLL_S)
            if not self._assignments.empty() or not held:
                continue
            starts, ends = await self._range(held)
            self._next = dict(starts)
            self._held = frozenset(tp.partition for tp in held)
            await self._app.consumer.go_back(starts)
            await self._wait_folded(ends)
            if self._assignments.empty():
                self.caught_up = True
                for vault in self.vaults():
                    self._on_change(vault)

    async def _wait_folded(self, ends: dict[TP, int]) -> None:
        """Until everything below `ends` is folded or partitions are assigned anew. Raises `Stalled`."""
        progress_at, seen = time.monotonic(), dict(self._next)
        while self._assignments.empty() and any(self._next[tp] < end for tp, end in ends.items()):
            if seen != self._next:
                progress_at, seen = time.monotonic(), dict(self._next)
            if time.monotonic() - progress_at > STALL_S_MAX:
                missing = {str(tp): (self._next[tp], end) for tp, end in ends.items() if self._next[tp] < end}
                raise Stalled(f"records stand on the log and do not arrive: {missing}")
            await asyncio.sleep(POLL_S)

    async def _range(self, held: frozenset[TP]) -> tuple[dict[TP, int], dict[TP, int]]:
        """Of each partition: the first offset that the group has not committed as folded, and the end."""
        ends = await self._app.consumer.highwaters(*held)
        starts = await self._app.consumer.earliest_offsets(*held)
        admin = AIOKafkaAdminClient(**self._connection.client_options())
        await admin.start()
        try:
            offsets: Any = await admin.list_consumer_group_offsets(RECONCILER_GROUP)
        finally:
            await admin.close()
        committed = {TP(tp.topic, tp.partition): meta.offset for tp, meta in offsets.items()}
        return {tp: max(starts[tp], committed.get(tp, 0)) for tp in held}, {tp: ends[tp] for tp in held}

    # -- Faust ---------------------------------------------------------------------------------------------------

    def _make_app(self) -> Any:
        for name in ("faust", "mode"):
            logging.getLogger(name).setLevel(logging.WARNING)
        app = _App(
            RECONCILER_GROUP,
            broker=f"kafka://{self._connection.bootstrap}",
            broker_credentials=faust.SSLCredentials(context=self._connection.ssl_context()),
            broker_client_id=self._connection.client_id,
            broker_session_timeout=6.0,
            broker_heartbeat_interval=1.0,
            broker_commit_interval=1.0,
            broker_check_crcs=True,
            consumer_auto_offset_reset="earliest",
            processing_guarantee="at_least_once",
            producer_acks=-1,
            store="memory://",
            key_serializer="raw",
            value_serializer="raw",
            topic_partitions=VAULT_PARTITIONS,
            topic_disable_leader=True,
            table_standby_replicas=0,
            # What is left to come again is never acknowledged: waiting for it would hold every new assignment back.
            stream_wait_empty=False,
            web_enabled=False,
            autodiscover=False,
        )
        lose_nothing(app)
        return app

    def _topic(self) -> Any:
        return self._app.topic(*SOURCES, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    def _make_table(self, name: str) -> Any:
        # A table's serialiser follows from its types: bytes are written as they are.
        return self._app.Table(name, partitions=VAULT_PARTITIONS, key_type=bytes, value_type=bytes)
