"""One auditor writes, the others stand by: waits until this one may write.

1. The lock decides, and it belongs to a session: a writer that dies gives it back at once.
2. A writer that holds it and has not spoken to the database for `SILENT_S_MAX` is deposed: its session is ended, and
   with it go the lock and whatever it had not committed. A writer at work speaks every `PING_EVERY_S`.
3. A standby takes over within `SILENT_S_MAX` and a few polls, which is longer than the lease: trading pauses, and that
   is right.
"""

import asyncio
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from xorj_auditor.store import AuditStore

PING_EVERY_S: Final = 0.2
SILENT_S_MAX: Final = 2.5
POLL_S: Final = 0.2

_WRITES = Gauge("xorj_audit_is_writer", "1 while this auditor writes, 0 while it stands by")
_DEPOSED = Counter("xorj_audit_writers_deposed", "Silent writers whose session this auditor has ended")
_log = structlog.get_logger()


class Succession:
    """Whether this auditor writes."""

    def __init__(self) -> None:
        self.is_standing_by = False

    async def until_writer(self, store: AuditStore, stopping: asyncio.Event) -> bool:
        """Returns True once `store` holds the lock, False when told to stop. Raises the store's errors."""
        _WRITES.set(0)
        while not stopping.is_set():
            if await store.lead():
                self.is_standing_by = False
                _WRITES.set(1)
                await store.ping()
                return True
            writer = await store.writer()
            if writer is not None and not self.is_standing_by:
                _log.info("auditor.stands_by", writer_pid=writer.pid)
            self.is_standing_by = True
            if writer is not None and writer.silent_s > SILENT_S_MAX:
                _DEPOSED.inc()
                _log.warning("auditor.writer_deposed", writer_pid=writer.pid, silent_s=round(writer.silent_s, 2))
                await store.depose(writer)
                continue
            await pause(stopping, POLL_S)
        return False


async def keep_in_touch(store: AuditStore, stopping: asyncio.Event) -> None:
    """Speak to the database until `stopping`. Raises the store's errors: then this auditor writes no more."""
    while not stopping.is_set():
        await store.ping()
        await pause(stopping, PING_EVERY_S)


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Returns after this long, or at once when told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
