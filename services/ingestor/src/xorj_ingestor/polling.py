"""The loop that every poller shares: ask, publish, wait; a source that fails is asked less often and stops nobody else.

1. Only faults of the world (SourceFailed, PublishUnknown) are survived; any other exception stops the process.
2. After n failures in a row the wait is the interval times 2^n, at most `WAIT_MS_MAX` or the interval if longer.
3. What was not published is not remembered as published, so it is published at the next turn.
"""

import asyncio
from typing import Protocol

import structlog
from prometheus_client import Counter
from xorj_log.writer import PublishUnknown

WAIT_MS_MAX = 10_000
POLLS = Counter("xorj_ingestor_polls_total", "Polls of a source by outcome.", ["source", "outcome"])


class SourceFailed(Exception):
    """The source gave nothing usable this time."""


class Poller(Protocol):
    """One source of facts."""

    @property
    def source(self) -> str:
        """Its name in logs and metrics."""
        ...

    async def poll(self) -> None:
        """Asks once and publishes what is new. Raises SourceFailed, PublishUnknown."""
        ...


class Polling:
    """Runs one poller, beginning after the first turn of another one if there is one it builds on."""

    def __init__(self, poller: Poller, interval_ms: int, *, after: "Polling | None" = None) -> None:
        self._poller = poller
        self._interval_ms = interval_ms
        self._after = after
        self.asked = asyncio.Event()

    def problem(self) -> str | None:
        """For readiness: a source that does not answer is no reason to be unready, not having asked is."""
        return None if self.asked.is_set() else f"{self._poller.source} has not been asked yet"

    async def run(self) -> None:
        """Polls until cancelled."""
        log = structlog.get_logger().bind(source=self._poller.source)
        if self._after is not None:
            await self._after.asked.wait()
        failures = 0
        while True:
            try:
                await self._poller.poll()
            except (SourceFailed, PublishUnknown) as error:
                failures += 1
                POLLS.labels(self._poller.source, "failed").inc()
                if failures == 1:
                    log.warning("source.failed", detail=str(error)[:500])
            else:
                if failures:
                    log.info("source.recovered", failures=failures)
                failures = 0
                POLLS.labels(self._poller.source, "ok").inc()
            self.asked.set()
            await asyncio.sleep(wait_ms(self._interval_ms, failures) / 1000)


def wait_ms(interval_ms: int, failures: int) -> int:
    """Milliseconds to the next turn after this many failures in a row."""
    return max(interval_ms, min(interval_ms << min(failures, 16), WAIT_MS_MAX))
