"""The auditor's signed heartbeat: what is stored, and whose counters were heard.

1. It states only what has been committed.
2. It goes out after commits, at most every `INTERVAL_MIN_S`, and every `INTERVAL_MAX_S` in any case.
3. A heartbeat that may not have been published is not repeated: the next one says more.
4. It stays away while the database does not answer: a writer that was deposed, or cannot store, proves nothing.
"""

import asyncio
import time

import structlog
from prometheus_client import Counter
from xorj_core.facts import AuditHeartbeat, Covered, Echo
from xorj_halt.keys import SigningKey
from xorj_halt.signatures import signed_audit_heartbeat
from xorj_log.writer import LogWriter, PublishUnknown

from xorj_auditor.echoes import Echoes
from xorj_auditor.ingest import Ingest, Stored
from xorj_auditor.store import AuditStore

INTERVAL_MIN_S = 0.005
INTERVAL_MAX_S = 0.1
SILENT_S_MAX = 1.0
ANSWER_AGE_S_MAX = 0.7
"""The database is asked every 0.2 s; when it has not answered for so long, no heartbeat goes out."""

_SENT = Counter("xorj_audit_heartbeats_sent", "Audit heartbeats published")
_log = structlog.get_logger()


class Heart:
    """Publishes heartbeats for one `Ingest`."""

    def __init__(
        self,
        instance: str,
        ingest: Ingest,
        store: AuditStore,
        echoes: Echoes,
        writer: LogWriter,
        key: SigningKey,
    ) -> None:
        self._instance = instance
        self._ingest = ingest
        self._store = store
        self._echoes = echoes
        self._writer = writer
        self._key = key
        self._last_s: float | None = None

    def problem(self) -> str | None:
        """Why readiness is refused: no heartbeat has gone out lately."""
        if self._last_s is None:
            return "no heartbeat has been sent"
        silent_s = time.monotonic() - self._last_s
        return f"no heartbeat for {silent_s:.1f} s" if silent_s > SILENT_S_MAX else None

    async def run(self, stopping: asyncio.Event) -> None:
        """Send heartbeats until `stopping`."""
        while not stopping.is_set():
            self._ingest.committed.clear()
            started_s = time.monotonic()
            if started_s - self._store.answered_s < ANSWER_AGE_S_MAX:
                await self._send()
            await asyncio.sleep(max(0.0, started_s + INTERVAL_MIN_S - time.monotonic()))
            try:
                async with asyncio.timeout(max(0.0, started_s + INTERVAL_MAX_S - time.monotonic())):
                    await self._ingest.committed.wait()
            except TimeoutError:
                continue

    async def _send(self) -> None:
        echoes = self._echoes.current(time.monotonic())
        heartbeat = audit_heartbeat(
            self._instance, self._echoes.cluster_id, self._ingest.stored, echoes, time.time_ns() // 1000
        )
        try:
            await self._writer.publish(signed_audit_heartbeat(heartbeat, self._key))
        except PublishUnknown as error:
            _log.warning("auditor.heartbeat_unknown", error=str(error))
        else:
            self._last_s = time.monotonic()
            _SENT.inc()


def audit_heartbeat(
    instance: str, cluster_id: str, stored: Stored, echoes: tuple[Echo, ...], now_us: int
) -> AuditHeartbeat:
    """The heartbeat that states `stored`, not yet signed."""
    return AuditHeartbeat(
        instance=instance,
        cluster_id=cluster_id,
        covered=tuple(Covered(t, p, offset) for (t, p), offset in sorted(stored.covered.items())),
        control_next_offset=stored.covered.get(("control", 0), 0),
        echoes=echoes,
        entries=stored.head.entries,
        head=stored.head.chain,
        sent_at_us=now_us,
        key_id=b"",
        signature=b"",
    )
