"""The limit of a trade's path: bare records handed on over as many hops, on the same broker with the same settings.

Each hop is a consumer that waits for a record and an idempotent producer that appends the next one (all replicas, no
lingering), over TLS. The relays are tasks of this one process, not processes of their own: that saves this limit the
switching between processes, so it flatters the limit, never the trade.

1. Times are the broker's append times, as those of trades.
2. The topic belongs to this measurement alone and goes with the world.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from xorj_log.connection import KafkaConnection, close_client
from xorj_log.reader import FETCH_WAIT_MS_MAX

HOPS: Final = 5
"""delta → intended → planned → signed → submitted → confirmed."""
TOPIC: Final = "bench-hops"
PAYLOAD_BYTES: Final = 1_000
_ANSWER_S_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class HopFigures:
    """`latencies_ms`: first to last append of each paced record; `per_s`: records through all hops with all at once."""

    latencies_ms: tuple[int, ...]
    per_s: float


async def measure_hops(connection: KafkaConnection, *, paced: int, pace_s: float, at_once: int) -> HopFigures:
    """Hand on `paced` records one every `pace_s`, then `at_once` together. Raises KafkaError, TimeoutError."""
    await _create_topic(connection)
    async with _relays(connection) as (producer, first, last):
        await _through(producer, first, last, 1)  # the first record pays for connections and metadata
        latencies = []
        due = time.monotonic()
        for _ in range(paced):
            due += pace_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            latencies.extend(await _through(producer, first, last, 1))
        began = time.monotonic()
        await _through(producer, first, last, at_once)
        return HopFigures(tuple(latencies), at_once / (time.monotonic() - began))


async def _through(producer: Any, first: Any, last: Any, count: int) -> list[int]:
    """Append `count` records and wait for each at both ends; their milliseconds between the two appends."""
    for _ in range(count):
        await producer.send(TOPIC, value=os.urandom(16) + bytes(PAYLOAD_BYTES - 16), partition=0)
    async with asyncio.timeout(_ANSWER_S_MAX):
        begun = [(await first.getone()).timestamp for _ in range(count)]
        ended = [(await last.getone()).timestamp for _ in range(count)]
    return [end - begin for begin, end in zip(begun, ended, strict=True)]


@asynccontextmanager
async def _relays(connection: KafkaConnection) -> AsyncIterator[tuple[Any, Any, Any]]:
    """The running relays: the producer of the first record, and a reader at each end."""
    async with AsyncExitStack() as stack:
        producers = [await _producer(connection, stack) for _ in range(HOPS + 1)]
        consumers = [await _consumer(connection, stack, hop) for hop in range(HOPS)]
        ends = [await _consumer(connection, stack, place) for place in (0, HOPS)]
        tasks = [
            asyncio.create_task(_relay(consumer, producer, hop))
            for hop, (consumer, producer) in enumerate(zip(consumers, producers[1:], strict=True))
        ]
        try:
            yield producers[0], ends[0], ends[1]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _relay(consumer: Any, producer: Any, hop: int) -> None:
    while True:
        record = await consumer.getone()
        await producer.send(TOPIC, value=record.value, partition=hop + 1)


async def _producer(connection: KafkaConnection, stack: AsyncExitStack) -> Any:
    producer = AIOKafkaProducer(**connection.client_options(), acks="all", enable_idempotence=True, linger_ms=0)
    await producer.start()
    stack.push_async_callback(producer.stop)
    return producer


async def _consumer(connection: KafkaConnection, stack: AsyncExitStack, partition: int) -> Any:
    consumer = AIOKafkaConsumer(
        **connection.client_options(), enable_auto_commit=False, fetch_max_wait_ms=FETCH_WAIT_MS_MAX
    )
    await consumer.start()
    stack.push_async_callback(lambda: close_client(consumer.stop()))
    here = TopicPartition(TOPIC, partition)
    consumer.assign([here])
    await consumer.seek_to_beginning(here)
    return consumer


async def _create_topic(connection: KafkaConnection) -> None:
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        stamped = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics([NewTopic(TOPIC, HOPS + 1, 1, topic_configs=stamped)])
    finally:
        await admin.close()
