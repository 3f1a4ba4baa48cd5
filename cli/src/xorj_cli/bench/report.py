"""The result of a benchmark: named figures, each beside the limit it is judged by. Pure.

1. The shape is the same for every benchmark; names are fixed (docs/performance.md lists them).
2. A ratio is the figure over its limit, both measured in one run.
3. A percentile is a value that was measured (nearest rank), never one between two.
"""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Limit:
    """What a bare part achieves, in the unit of the figure beside it."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `must` and `aim` are the budget's, None where it names none."""

    name: str
    value: float
    unit: str
    limit: Limit | None = None
    must: float | None = None
    aim: float | None = None

    @property
    def ratio(self) -> float | None:
        """The value over its limit; None without a limit, or where the limit is zero."""
        return None if self.limit is None or self.limit.value == 0 else round(self.value / self.limit.value, 3)

    def as_json(self) -> dict[str, Any]:
        """The figure as `--json` prints it."""
        limit = None if self.limit is None else {"name": self.limit.name, "value": self.limit.value}
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "limit": limit,
            "ratio": self.ratio,
            "must": self.must,
            "aim": self.aim,
        }


def report(bench: str, figures: Sequence[Figure], machine: dict[str, Any]) -> dict[str, Any]:
    """The one object that a benchmark prints. Raises ValueError when two figures have one name."""
    names = [figure.name for figure in figures]
    if len(set(names)) != len(names):
        raise ValueError(f"figures of one name: {sorted(names)}")
    return {"bench": bench, "machine": machine, "figures": [figure.as_json() for figure in figures]}


def machine() -> dict[str, Any]:
    """What the figures were measured on; the load of one minute tells how quiet it was."""
    return {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that `percent` % of all values do not exceed. Raises ValueError without values."""
    if not values or not 0 < percent <= 100:
        raise ValueError(f"no {percent} % of {len(values)} values")
    rank = -(-percent * len(values) // 100)
    return sorted(values)[rank - 1]
