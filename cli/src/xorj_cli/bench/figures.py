"""From the stories of a measured world to named figures. Pure.

1. Latencies are those of trades that were confirmed; how many were asked for and confirmed is a figure, too.
2. A step's milliseconds count from the step before it, by the broker's append times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xorj_cli.bench.hops import HOPS, HopFigures
from xorj_cli.bench.report import Figure, Limit, percentile
from xorj_cli.stories import Story

STEPS: Final = ("intended", "planned", "signed", "submitted", "confirmed")
BUDGET_MS: Final = {"with_slot_waits": (2_000.0, 1_000.0), "without_slot_waits": (400.0, 150.0)}
"""Must and aim for p99 from delta to confirmed."""
TRADES_PER_S: Final = (30.0, 100.0)


@dataclass(frozen=True, slots=True)
class Paced:
    """Trades asked for one after another in one world, and the bare hops measured there. `kind`: a key of BUDGET_MS."""

    kind: str
    asked: int
    stories: Sequence[Story]
    hops: HopFigures


@dataclass(frozen=True, slots=True)
class Burst:
    """Trades that one ranking asked of all vaults at once."""

    asked: int
    stories: Sequence[Story]
    hops: HopFigures


def paced_figures(paced: Paced) -> list[Figure]:
    """Percentiles from delta to confirmed, the median of each step, and how many were confirmed."""
    totals = [latency["total"] for story in paced.stories if "total" in (latency := story.latency_ms())]
    kind, hops = paced.kind, paced.hops.latencies_ms
    must, aim = BUDGET_MS[kind]
    figures = [
        Figure(f"{kind}.asked", paced.asked, "trades"),
        Figure(f"{kind}.confirmed", len(totals), "trades", Limit("asked", paced.asked), must=paced.asked),
        Figure(f"{kind}.hops_p50", percentile(hops, 50), "ms"),
        Figure(f"{kind}.hops_p99", percentile(hops, 99), "ms"),
    ]
    if not totals:
        return figures
    bare_p50 = Limit(f"bare Kafka, {HOPS} hops, p50", percentile(hops, 50))
    bare_p99 = Limit(f"bare Kafka, {HOPS} hops, p99", percentile(hops, 99))
    figures.append(Figure(f"{kind}.delta_to_confirmed_p50", percentile(totals, 50), "ms", bare_p50))
    figures.append(Figure(f"{kind}.delta_to_confirmed_p99", percentile(totals, 99), "ms", bare_p99, must, aim))
    for step in STEPS:
        taken = [latency[step] for story in paced.stories if step in (latency := story.latency_ms())]
        if taken:
            figures.append(Figure(f"{kind}.{step}_p50", percentile(taken, 50), "ms"))
    return figures


def burst_figures(burst: Burst) -> list[Figure]:
    """Trades per second from the first delta to the last confirmation of one ranking change."""
    confirmed = [story for story in burst.stories if {"reconciled", "confirmed"} <= story.at_ms.keys()]
    figures = [
        Figure("burst.asked", burst.asked, "trades"),
        Figure("burst.confirmed", len(confirmed), "trades", Limit("asked", burst.asked), must=burst.asked),
    ]
    if confirmed:
        begin = min(story.at_ms["reconciled"] for story in confirmed)
        end = max(story.at_ms["confirmed"] for story in confirmed)
        per_s = round(len(confirmed) * 1000 / max(1, end - begin), 1)
        bare = Limit(f"bare Kafka, {HOPS} hops, records/s", round(burst.hops.per_s, 1))
        figures.append(Figure("burst.trades_per_s", per_s, "trades/s", bare, *TRADES_PER_S))
    return figures
