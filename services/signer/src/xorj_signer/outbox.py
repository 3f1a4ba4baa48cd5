"""Brings signatures that the ledger holds onto the log: at once for a request, and again and again for what was left.

1. Recording is not acting: what was signed becomes known, whatever has happened since, also while killed.
2. Within one process each attempt is published once: requests for one attempt share one publication.
3. That a fact is on the log is noted in the ledger later and without fsync. A crash in between publishes it a second
   time; readers tell by its fact id. It is never lost: the signature itself was committed before.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import structlog
from xorj_core.facts import Fact, TradeSigned
from xorj_core.facts.common import Position
from xorj_core.policy.decide import DECISION_VERSION
from xorj_log.writer import PublishUnknown

from xorj_signer.ledger import LEDGER_FAULTS, Ledger, StoredSignature

PERIOD_S = 0.5
IN_FLIGHT_S = 6.0
"""Younger rows may still be on their way from the request that made them (a publish takes at most 5 s)."""
REMEMBERED_MAX = 20_000
MARKS_MAX = 1_000

log = structlog.get_logger()

_Key: TypeAlias = tuple[bytes, int]


class Writer(Protocol):
    """What publishing needs of the log (`xorj_log.writer.LogWriter`)."""

    async def publish(
        self, fact: Fact, *, causation: Sequence[bytes] = (), traceparent: str = "", decision_version: int = 0
    ) -> Position: ...


class Publisher:
    """Publishes TradeSigned facts. One for each process."""

    def __init__(self, ledger: Ledger, writer: Writer) -> None:
        self._ledger = ledger
        self._writer = writer
        self._under_way: dict[_Key, asyncio.Task[Position]] = {}
        self._known: OrderedDict[_Key, Position] = OrderedDict()
        self._unmarked: list[tuple[TradeSigned, Position]] = []

    async def publish(
        self, stored: StoredSignature, causation: Sequence[bytes] = (), traceparent: str = ""
    ) -> Position:
        """Where the fact stands on the log, publishing it if that is not known; raises `PublishUnknown`.

        A caller that is cancelled does not stop a publication that has begun.
        """
        key = (stored.fact.intent_id, stored.fact.attempt)
        position = stored.published or self._known.get(key)
        if position is not None:
            return position
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._publish(key, stored.fact, causation, traceparent))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._over(key, done))
        return await asyncio.shield(task)

    async def publish_unpublished(self, age_s_min: float) -> int:
        """Note what is known, then publish what is outstanding; returns how many facts that were.

        Raises `PublishUnknown` and LEDGER_FAULTS.
        """
        await self.note()
        facts = await self._ledger.unpublished(age_s_min)
        for fact in facts:
            await self.publish(StoredSignature(fact, None))
            log.info("published_from_ledger", trade_id=fact.trade_id.hex(), attempt=fact.attempt)
        await self.note()
        return len(facts)

    async def note(self) -> None:
        """Tell the ledger what is on the log; raises LEDGER_FAULTS, and then tells it next time."""
        while marks := self._unmarked[:MARKS_MAX]:
            await self._ledger.mark_published(marks)
            del self._unmarked[: len(marks)]

    async def run(self, period_s: float = PERIOD_S) -> None:
        """For ever; faults of database and log are tried again."""
        age_s_min = 0.0
        while True:
            try:
                await self.publish_unpublished(age_s_min)
                age_s_min = IN_FLIGHT_S
            except (PublishUnknown, *LEDGER_FAULTS) as error:
                log.warning("outbox_waits", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(period_s)

    async def _publish(self, key: _Key, fact: TradeSigned, causation: Sequence[bytes], traceparent: str) -> Position:
        position = await self._writer.publish(
            fact, causation=causation, traceparent=traceparent, decision_version=DECISION_VERSION
        )
        self._known[key] = position
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        self._unmarked.append((fact, position))
        return position

    def _over(self, key: _Key, task: "asyncio.Task[Position]") -> None:
        del self._under_way[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whoever waited has been told; what nobody waited for any more is in the outbox.
            log.warning("not_published", attempt=key[1], intent_id=key[0].hex(), error=str(error))
