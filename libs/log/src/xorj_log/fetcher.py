"""Fetches single records by position, for readers that are told where to look.

Recent records come from a tail kept in memory, older ones by seeking. A record is returned only from the cluster,
topic, partition and offset that were asked for.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaError
from xorj_core.facts.common import Position

from xorj_log.connection import KafkaConnection
from xorj_log.reader import LogReader, LogRecord
from xorj_log.topics import BY_NAME

TAIL_RECORDS = 10_000


class RecordNotFound(LookupError):
    """No record stands at this position, or it did not arrive in time."""


class WrongCluster(LookupError):
    """The position belongs to another cluster."""


class RecordFetcher:
    """Keeps the tail of `topics` and answers `fetch`."""

    def __init__(self, connection: KafkaConnection, topics: Sequence[str]) -> None:
        self._connection = connection
        self._topics = tuple(topics)
        self._tail: OrderedDict[tuple[str, int, int], LogRecord] = OrderedDict()
        self._arrived = asyncio.Condition()
        self._tail_start: dict[tuple[str, int], int] = {}
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.cluster_id = ""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait([ready, self._task], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            ready.cancel()
            await self._task
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def fetch(self, position: Position, timeout_s: float) -> LogRecord:
        """The record at `position`; raises `RecordNotFound` (also after `timeout_s`), `WrongCluster`, KafkaError."""
        if self._task is None or self._task.done():
            raise KafkaError("the tail of the log is not being read")
        if position.cluster_id != self.cluster_id:
            raise WrongCluster(f"{position} is on cluster {position.cluster_id[:40]!r}")
        topic = BY_NAME.get(position.topic)
        if topic is None or position.topic not in self._topics or position.partition >= topic.partitions:
            raise RecordNotFound(f"{position}: not a partition that is read here")
        key = (position.topic, position.partition, position.offset)
        if record := self._tail.get(key):
            return record
        try:
            async with asyncio.timeout(timeout_s):
                if position.offset < self._tail_start.get(key[:2], 0):
                    return await self._seek(position)
                async with self._arrived:
                    await self._arrived.wait_for(lambda: key in self._tail)
                    return self._tail[key]
        except TimeoutError:
            raise RecordNotFound(f"{position}: no record within {timeout_s} s") from None

    async def ended(self) -> None:
        """Returns only by raising what ended the reading of the tail: from then on nothing can be fetched."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _follow(self) -> None:
        async with LogReader(self._connection, self._topics) as reader:
            self.cluster_id = reader.cluster_id
            self._tail_start = await reader.end_offsets()
            for (topic, partition), offset in self._tail_start.items():
                reader.seek(topic, partition, offset)
            self._ready.set()
            while True:
                records = await reader.read()
                if not records:
                    continue
                async with self._arrived:
                    for record in records:
                        at = record.position
                        self._tail[(at.topic, at.partition, at.offset)] = record
                    while len(self._tail) > TAIL_RECORDS:
                        (topic, partition, offset), _ = self._tail.popitem(last=False)
                        self._tail_start[(topic, partition)] = offset + 1
                    self._arrived.notify_all()

    async def _seek(self, position: Position) -> LogRecord:
        start = {(position.topic, position.partition): position.offset}
        async with LogReader(self._connection, (position.topic,), only=start) as reader:
            while True:
                for record in await reader.read(records_max=1):
                    if record.position == position:
                        return record
                    raise RecordNotFound(f"{position}: the next record is {record.position}")
