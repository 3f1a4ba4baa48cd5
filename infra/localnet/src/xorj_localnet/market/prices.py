"""What a token costs at a tick: pure functions of the tick, whole pico-USD.

1. The same tick gives the same price in every process.
2. A price is positive at every tick.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

BPS = 10_000


class PriceSeries(Protocol):
    """Prices of one token over the ticks of the market."""

    def at(self, tick: int) -> int:
        """Pico-USD for one whole token at `tick` (0, 1, …)."""
        ...


@dataclass(frozen=True, slots=True)
class Swing:
    """A triangle wave around a base price, beginning at the base.

    `swing_bps` is its height above and below the base, negative to begin downwards; 0 keeps the price still.
    """

    base_pico_usd: int
    swing_bps: int
    period_ticks: int

    def at(self, tick: int) -> int:
        period = self.period_ticks
        place = (4 * tick + period) % (4 * period)
        height = period - abs(place - 2 * period)
        return self.base_pico_usd + self.base_pico_usd * self.swing_bps * height // (BPS * period)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Recorded prices, `rows_per_tick` rows further each tick; the last one stays."""

    rows_pico_usd: Sequence[int]
    rows_per_tick: int

    def at(self, tick: int) -> int:
        return self.rows_pico_usd[min(tick * self.rows_per_tick, len(self.rows_pico_usd) - 1)]
