"""Makes every refusal known: a SigningRefused fact and a count, without letting a flood of requests flood the log.

1. Every refused request is in exactly one fact: by itself, or counted in `requests` of a later one.
2. The first of its kind (caller, reason, attempt) in a period is published at once, those after it together when the
   period is over. Beyond `BURST_MAX` facts of one caller in a period, attempts are no longer told apart: those that
   are left are gathered by caller and reason, without ids.
3. The caller gets its refusal in time even where the log cannot be reached, and what could not be published is
   gathered again; a caller that leaves takes no refusal along.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import structlog
from xorj_core.facts import SigningBasis, SigningRefused
from xorj_core.facts.common import Position
from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_core.policy.decide import DECISION_VERSION, REFUSAL_DETAIL_MAX
from xorj_log.writer import PublishUnknown, RecordTooLarge

from xorj_signer.metrics import REFUSED
from xorj_signer.outbox import Writer

PERIOD_S: Final = 1.0
BURST_MAX: Final = 50
NOWHERE: Final = Position()
NOTHING: Final = SigningBasis()

log = structlog.get_logger()

_Kind: TypeAlias = tuple[str, Reason, bytes, int]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Who was refused what and why; ids are empty where the records named could not be read."""

    caller: str
    reason: Reason
    detail: str
    intent_id: bytes = b""
    trade_id: bytes = b""
    vault: bytes = b""
    attempt: int = 0
    intent_position: Position = NOWHERE
    attempt_position: Position = NOWHERE
    causation: tuple[bytes, ...] = ()
    traceparent: str = ""
    requests: int = 1
    basis: SigningBasis = NOTHING

    @property
    def kind(self) -> _Kind:
        """Refusals of one kind may share a fact."""
        return (self.caller, self.reason, self.intent_id, self.attempt)

    def without_attempt(self) -> "Refusal":
        """The same, no longer told apart by its attempt."""
        return Refusal(self.caller, self.reason, self.detail, requests=self.requests)


class Refusals:
    """Publishes refusals. One for each process; `run` publishes what was gathered."""

    def __init__(self, writer: Writer, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._clock_s = clock_s
        self._period = -1
        self._seen: set[_Kind] = set()
        self._published: dict[str, int] = {}
        self._gathered: dict[_Kind, Refusal] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def tell(self, refusal: Refusal, wait_s: float = PERIOD_S) -> None:
        """Count a refusal and make it known, at once or with the next ones like it; waits `wait_s` for that at most."""
        REFUSED.labels(refusal.reason.name).inc()
        period = int(self._clock_s() / PERIOD_S)
        if period != self._period:
            self._period = period
            self._seen.clear()
            self._published.clear()
        if refusal.kind in self._seen:
            self._gather(refusal)
        elif self._published.get(refusal.caller, 0) >= BURST_MAX:
            self._gather(refusal.without_attempt())
        else:
            self._seen.add(refusal.kind)
            self._published[refusal.caller] = self._published.get(refusal.caller, 0) + 1
            publishing = asyncio.create_task(self._publish(refusal))
            self._under_way.add(publishing)
            publishing.add_done_callback(self._under_way.discard)
            await asyncio.wait([publishing], timeout=wait_s)

    async def run(self, period_s: float = PERIOD_S) -> None:
        """For ever: publish what was gathered, once a period."""
        while True:
            await asyncio.sleep(period_s)
            await self.flush()

    async def flush(self) -> None:
        """Publish what was gathered, after what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)
        gathered, self._gathered = self._gathered, {}
        for refusal in gathered.values():
            await self._publish(refusal)

    def _gather(self, refusal: Refusal) -> None:
        before = self._gathered.get(refusal.kind)
        requests = refusal.requests + (0 if before is None else before.requests)
        self._gathered[refusal.kind] = replace(refusal, requests=requests)

    async def _publish(self, refusal: Refusal) -> None:
        fact = SigningRefused(
            intent_id=refusal.intent_id,
            trade_id=refusal.trade_id,
            vault=refusal.vault,
            attempt=refusal.attempt,
            reason=refusal.reason,
            detail=refusal.detail[:REFUSAL_DETAIL_MAX],
            caller=refusal.caller,
            attempt_position=refusal.attempt_position,
            refused_at_us=time.time_ns() // 1000,
            requests=refusal.requests,
            basis=refusal.basis,
            intent_position=refusal.intent_position,
        )
        try:
            await self._writer.publish(
                fact,
                causation=refusal.causation,
                traceparent=refusal.traceparent,
                decision_version=DECISION_VERSION,
            )
        except (PublishUnknown, RecordTooLarge) as error:
            log.warning("refusal_not_published", reason=refusal.reason.name, error=str(error))
            self._gather(refusal)
