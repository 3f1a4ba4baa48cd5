"""Enters the heartbeats topic: one digest for each minute of it, and each change of state as a record of its own.

1. Every heartbeat is in the log, in one digest or as a record: offsets follow one another as everywhere.
2. A digest is the SHA-256 over the leaves of its records (as if appended at 0), in order; so the records on the topic
   prove themselves against it for as long as the topic keeps them.
3. A minute is one of the broker's append times: the same topic gives the same digests, whoever reads it when.
4. What is not entered yet is read again after a restart.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from xorj_core.audit_chain import GapReason, LogEnd, Received, encode_headers, record_leaf

HEARTBEATS = "heartbeats"
MINUTE_MS = 60_000


@dataclass(slots=True)
class QuietTopic:
    """The heartbeats that are not entered yet."""

    end: LogEnd
    _digest: Any = field(default_factory=hashlib.sha256)
    _next: int | None = None  # the offset after the last one in the digest; None: the digest is empty
    _minute: int = 0

    def expected(self) -> int:
        """The next offset, entered or in the digest."""
        return self.end.next_offsets.get((HEARTBEATS, 0), 0) if self._next is None else self._next

    def take(
        self,
        records: Sequence[Received],
        changes: Callable[[Received], bool],
        appended_at_us: int,
        reason_of: Callable[[int, int], GapReason],
    ) -> None:
        """The next records of the topic; enters what is complete. Raises LogRewound."""
        for record in records:
            minute = record.timestamp // MINUTE_MS
            is_change = changes(record)
            if is_change or minute != self._minute or record.offset != self.expected():
                self._flush(appended_at_us)
            self._minute = minute
            if is_change or record.offset != self.expected():
                self.end.enter(HEARTBEATS, 0, (record,), appended_at_us, reason_of)
                continue
            self._digest.update(_leaf(self.end.cluster_id, record))
            self._next = record.offset + 1

    def _flush(self, appended_at_us: int) -> None:
        if self._next is None:
            return
        self.end.enter_digest(HEARTBEATS, 0, self._next, self._digest.digest(), appended_at_us)
        self._digest, self._next = hashlib.sha256(), None


def _leaf(cluster_id: str, record: Received) -> bytes:
    headers = encode_headers(record.headers)
    return record_leaf(cluster_id, HEARTBEATS, 0, record.offset, record.timestamp, 0, record.key, headers, record.value)
