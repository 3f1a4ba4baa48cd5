"""Callers that ask as fast as they are answered: `callers` at a time, until `count` have been. For benches."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Each answer's milliseconds, and answers a second from the first question to the last answer."""

    latencies_ms: tuple[float, ...]
    per_s: float


async def run_load(call: Callable[[int], Awaitable[object]], count: int, callers: int) -> Load:
    """Make calls 0 to `count` - 1. Raises what a call raises."""
    latencies: list[float] = []
    left = iter(range(count))

    async def caller() -> None:
        for number in left:
            began = time.perf_counter()
            await call(number)
            latencies.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(callers):
            tasks.create_task(caller())
    return Load(tuple(latencies), count / (time.perf_counter() - began))
