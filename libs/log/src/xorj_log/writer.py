"""Publishes facts: one idempotent producer per service instance.

1. A fact goes to the topic and under the key that the topic table names, and nowhere else.
2. `publish` returns only after every in-sync replica has the record, or raises `PublishUnknown`: the record may or may
   not be on the log, and whoever decided must read the log to know.
3. A record that is too large is refused before it is sent: one rejected record poisons an idempotent producer.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from xorj_contracts.codec import RECORD_BYTES_MAX, Envelope, encode
from xorj_core.facts import Fact, fact_id
from xorj_core.facts.common import Position

from xorj_log.connection import KafkaConnection, fetch_cluster_id
from xorj_log.topics import key_of, topic_of

TRADE_ID_HEADER = "trade-id"
"""Names the trade for readers that do not decode, such as logs; nothing is decided by it."""

PUBLISH_DEADLINE_S = 5.0
"""Idempotent sends retry for as long as the broker is down; this bounds the wait, not the outcome."""


class PublishUnknown(Exception):
    """Whether the fact is on the log is not known: read it back."""


class RecordTooLarge(ValueError):
    """The fact does not fit into one record; nothing was sent."""


class LogWriter:
    """The one producer of a service instance. `producer` names it in every envelope.

    `pace_ms`: how soon one request to the broker may follow another; what is published meanwhile goes in one. A fact
    that comes when nothing was sent lately goes at once.
    """

    def __init__(self, connection: KafkaConnection, producer: str, build: str, *, pace_ms: int = 0) -> None:
        self._connection = connection
        self._name = producer
        self._build = build
        self._pace_ms = pace_ms
        self._producer: Any = None
        self._starting = asyncio.Lock()
        self.cluster_id = ""

    async def __aenter__(self) -> Self:
        self.cluster_id = await fetch_cluster_id(self._connection)
        await self._started()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def publish(
        self,
        fact: Fact,
        *,
        causation: Sequence[bytes] = (),
        trade_id: bytes = b"",
        decision_version: int = 0,
        traceparent: str = "",
        decided_at_us: int | None = None,
    ) -> Position:
        """Append the fact and return where it stands; raises `PublishUnknown`, `RecordTooLarge`."""
        trade_id = trade_id or getattr(fact, "trade_id", b"")
        envelope = Envelope(
            fact_id=fact_id(fact),
            causation_ids=tuple(causation),
            trade_id=trade_id,
            producer=self._name,
            build=self._build,
            decided_at_us=time.time_ns() // 1000 if decided_at_us is None else decided_at_us,
            decision_version=decision_version,
            traceparent=traceparent or new_traceparent(trade_id),
        )
        headers = ((TRADE_ID_HEADER, trade_id),) if trade_id else ()
        return await self.append(topic_of(fact).name, key_of(fact), encode(envelope, fact), headers)

    async def append(
        self, topic: str, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> Position:
        """Append raw bytes; raises as `publish` does."""
        if len(value) > RECORD_BYTES_MAX:
            raise RecordTooLarge(f"{topic}: {len(value)} bytes, at most {RECORD_BYTES_MAX}")
        try:
            async with asyncio.timeout(PUBLISH_DEADLINE_S):
                producer = await self._started()
                sent = await producer.send_and_wait(topic, value=value, key=key, headers=list(headers))
        except (KafkaError, TimeoutError, OSError) as error:
            await self._discard()
            raise PublishUnknown(f"{topic}: {type(error).__name__}: {error}") from error
        return Position(self.cluster_id, sent.topic, sent.partition, sent.offset)

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._connection.client_options(),
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=self._pace_ms,  # the client waits after a request, not before it
                    max_request_size=2 * RECORD_BYTES_MAX,
                )
                await producer.start()
                self._producer = producer
            return self._producer

    async def _discard(self) -> None:
        """Forget the producer: after a failed send its sequence numbers may never be accepted again."""
        async with self._starting:
            producer, self._producer = self._producer, None
        if producer is not None:
            stopping = asyncio.ensure_future(producer.stop())
            stopping.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait([stopping], timeout=0.5)


def new_traceparent(trade_id: bytes) -> str:
    """A W3C traceparent: all steps of one trade share a trace id, taken from the trade id; the span id is random."""
    trace = (trade_id or os.urandom(16))[:16].hex()
    return f"00-{trace}-{os.urandom(8).hex()}-01"
