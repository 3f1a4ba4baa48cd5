"""What the executor counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0)

STEP_SECONDS: Final = Histogram("xorj_executor_step_seconds", "Time spent in one step.", ["step"], buckets=_BUCKETS)
FACTS: Final = Counter("xorj_executor_facts_total", "Facts published, by kind.", ["fact"])
UNDECODABLE: Final = Counter("xorj_executor_undecodable_total", "Records that did not decode, by topic.", ["topic"])
OPEN_TRADES: Final = Gauge("xorj_executor_open_trades", "Trades that have not ended.")
