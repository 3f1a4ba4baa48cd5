"""Reads topics of the table as bytes with their positions.

1. Records of one partition come in offset order, each once per assignment.
2. No offset is ever committed: state is folded from the log, from the beginning or from offsets that the caller
   stored with its own state, and folds deduplicate by state.
3. Nothing is decoded here: a deserialiser that raises would loop on one offset for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from xorj_core.facts.common import Position

from xorj_log.connection import KafkaConnection, close_client, fetch_cluster_id
from xorj_log.lenient import markers_of, read_leniently
from xorj_log.topics import BY_NAME

PartitionKey = tuple[str, int]
"""Topic and partition."""

FETCH_WAIT_MS_MAX = 100
"""How long the broker holds an empty fetch; a new record ends it at once."""


START_DEADLINE_S = 10.0
"""A client that may not read a topic asks for its offsets for ever: this bounds it."""


class ReadRefused(Exception):
    """The topics could not be opened."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record as the broker returned it; `timestamp_ms` is its append time."""

    position: Position
    timestamp_ms: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None


class LogReader:
    """A consumer of whole topics (no group) or of this instance's share of them (with a group).

    Without a group it begins at the beginning of every partition, except where `start` names an offset; `only` names
    the partitions to read and where to begin, and no others are read.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Sequence[str],
        *,
        group: str | None = None,
        start: Mapping[PartitionKey, int] | None = None,
        only: Mapping[PartitionKey, int] | None = None,
        on_assigned: Callable[[frozenset[PartitionKey]], Awaitable[None]] | None = None,
    ) -> None:
        self._connection = connection
        self._topics = tuple(topics)
        self._group = group
        self._start = dict(only or start or {})
        self._only = only is not None
        self._on_assigned = on_assigned
        self._consumer: Any = None
        self.cluster_id = ""

    async def __aenter__(self) -> Self:
        read_leniently()
        self.cluster_id = await fetch_cluster_id(self._connection)
        self._consumer = AIOKafkaConsumer(
            **self._connection.client_options(),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_WAIT_MS_MAX,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
            partition_assignment_strategy=(RangePartitionAssignor,),
        )
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await self._consumer.start()
                await self._begin()
        except TimeoutError:
            await self._consumer.stop()
            raise ReadRefused(
                f"{self._connection.client_id} cannot read {', '.join(self._topics)}: "
                f"no answer within {START_DEADLINE_S:g} s; is the principal allowed to?"
            ) from None
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def _begin(self) -> None:
        if self._group is None:
            await self._assign()
        else:
            self._consumer.subscribe(self._topics, listener=_FromTheBeginning(self._consumer, self._on_assigned))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await close_client(self._consumer.stop())

    async def read(self, timeout_ms: int = 100, records_max: int = 500) -> list[LogRecord]:
        """Records that have arrived, waiting up to `timeout_ms` for the first one."""
        batches = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=records_max)
        return [self._record(message) for batch in batches.values() for message in batch]

    async def read_received(
        self, timeout_ms: int = 100, records_max: int = 500
    ) -> list[tuple[PartitionKey, Sequence[Any]]]:
        """What `read` returns, by partition and as the client hands it out: `xorj_core.audit_chain.Received`."""
        batches = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=records_max)
        return [((tp.topic, tp.partition), batch) for tp, batch in batches.items()]

    async def beginning_offset(self, topic: str, partition: int) -> int:
        """The first offset that the partition still has, or will have."""
        where = TopicPartition(topic, partition)
        return int((await self._consumer.beginning_offsets([where]))[where])

    def is_marker(self, topic: str, partition: int, offset: int, next_offset: int) -> bool:
        """Whether these offsets, which were skipped, hold markers of transactions alone."""
        return markers_of(TopicPartition(topic, partition), offset, next_offset)

    async def end_offsets(self) -> dict[PartitionKey, int]:
        """The next offset that will be written, for each assigned partition."""
        assigned = self._consumer.assignment()
        ends = await self._consumer.end_offsets(list(assigned)) if assigned else {}
        return {(tp.topic, tp.partition): offset for tp, offset in ends.items()}

    async def positions(self) -> dict[PartitionKey, int]:
        """The next offset that will be read, for each assigned partition."""
        return {(tp.topic, tp.partition): await self._consumer.position(tp) for tp in self._consumer.assignment()}

    async def has_reached(self, ends: Mapping[PartitionKey, int]) -> bool:
        """True when everything below `ends` has been returned by `read` (positions, not the last record's offset)."""
        positions = await self.positions()
        return all(positions.get(key, 0) >= end for key, end in ends.items())

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read this partition from `offset` on."""
        self._consumer.seek(TopicPartition(topic, partition), offset)

    async def _assign(self) -> None:
        keys = self._start if self._only else [(n, p) for n in self._topics for p in range(BY_NAME[n].partitions)]
        partitions = [TopicPartition(topic, partition) for topic, partition in keys]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_beginning(*partitions)
        for (topic, partition), offset in self._start.items():
            self._consumer.seek(TopicPartition(topic, partition), offset)

    def _record(self, message: Any) -> LogRecord:
        return LogRecord(
            position=Position(self.cluster_id, message.topic, message.partition, message.offset),
            timestamp_ms=message.timestamp,
            key=message.key,
            headers=tuple(message.headers),
            value=message.value,
        )


class _FromTheBeginning(ConsumerRebalanceListener):  # type: ignore[misc]
    """Re-reads every partition of a new assignment from its beginning."""

    def __init__(self, consumer: Any, on_assigned: Callable[[frozenset[PartitionKey]], Awaitable[None]] | None) -> None:
        self._consumer = consumer
        self._on_assigned = on_assigned

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing is held that must be given back: the next assignment is read anew."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        try:
            if self._on_assigned is not None:
                await self._on_assigned(frozenset((tp.topic, tp.partition) for tp in assigned))
            if assigned:
                await self._consumer.seek_to_beginning(*assigned)
        except BaseException:
            # aiokafka logs and swallows what a listener raises: without its partitions the process must not go on.
            asyncio.get_running_loop().call_exception_handler({"message": "rebalance failed"})
            raise
