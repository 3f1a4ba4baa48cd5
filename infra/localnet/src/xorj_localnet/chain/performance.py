"""How fast slots pass, sampled as ``getRecentPerformanceSamples`` tells it. Pure: times are arguments.

1. Slots skipped by a warp count for nothing, so that samples divided give the true slot time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SAMPLE_PERIOD_S = 5
_SAMPLES_KEPT = 720


@dataclass(frozen=True, slots=True)
class Sample:
    """Slots and transactions counted over a period of whole seconds that ended at ``slot``."""

    slot: int
    slots: int
    transactions: int
    period_s: int


class Performance:
    """Counts ticks; a sample ends at the first tick after its period."""

    __slots__ = ("_started_s", "_ticks", "_transactions_before", "samples")

    def __init__(self, now_s: float) -> None:
        self._started_s = now_s
        self._ticks = 0
        self._transactions_before = 0
        self.samples: deque[Sample] = deque(maxlen=_SAMPLES_KEPT)

    def tick(self, slot: int, transaction_count: int, now_s: float) -> None:
        """A slot has passed at its own pace."""
        self._ticks += 1
        elapsed_s = now_s - self._started_s
        if elapsed_s < SAMPLE_PERIOD_S:
            return
        transactions = transaction_count - self._transactions_before
        self.samples.append(Sample(slot, self._ticks, transactions, round(elapsed_s)))
        self._started_s, self._ticks, self._transactions_before = now_s, 0, transaction_count
