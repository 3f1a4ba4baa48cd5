"""Moves every vault's trade on: one worker per vault that has something to do, and one watcher for the chain.

1. A worker does what `next_step` says for the folded state, then waits until the log has told it the result.
2. At most one worker per vault, at most `workers_max` steps at once over all vaults.
3. Nothing is done before the assigned partitions have been read to their ends; watching starts then, too.
4. A fault of the world pauses one vault; an unforeseen exception ends the process.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog
from xorj_core.ids import trade_id
from xorj_core.next_step import Await, Decide, Idle, Plan, Sign, Step, Submit, next_step
from xorj_log.inbox import FactRecord, Incoming, UndecodableRecord
from xorj_log.writer import PublishUnknown

from xorj_executor.books import Books
from xorj_executor.metrics import STEP_SECONDS, UNDECODABLE
from xorj_executor.ports import ChainUnreachable
from xorj_executor.steps import HALTED_PAUSE_S, After, Halted, Ports, ReadBack, Retry, Rules, Steps
from xorj_executor.watcher import Watcher, WatchRules

READ_BACK_S: Final = 10.0
PAUSE_S_MIN: Final = 0.1
PAUSE_S_MAX: Final = 2.0
AWAIT_S_MAX: Final = 2.0

log = structlog.get_logger()
Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]


class Executor:
    """The service without its connections. `spawn` starts a task whose failure ends the process."""

    def __init__(self, ports: Ports, rules: Rules, watch: WatchRules, spawn: Spawn, *, workers_max: int = 64) -> None:
        self.books = Books()
        self.steps = Steps(self.books, ports, rules)
        self.watcher = Watcher(self.books, ports, watch)
        self._spawn = spawn
        self._busy = asyncio.Semaphore(workers_max)
        self._wakes: dict[bytes, asyncio.Event] = {}
        self._workers: dict[bytes, asyncio.Task[None]] = {}
        self._has_caught_up = False
        self._carry_out: dict[type, Callable[[Any], Awaitable[After]]] = {
            Decide: self.steps.decide,
            Plan: self.steps.plan,
            Sign: self.steps.sign,
            Submit: self.steps.submit,
        }

    def hear(self, item: Incoming) -> None:
        """Fold one record and wake whoever it concerns."""
        match item:
            case FactRecord():
                vault = self.books.enter(item)
            case UndecodableRecord():
                UNDECODABLE.labels(item.record.position.topic).inc()
                log.warning("executor.undecodable", position=str(item.record.position), reason=item.reason)
                vault = self.books.enter_undecodable(item)
        if vault is not None and self._has_caught_up:
            self._wake(vault)

    def begin_again(self) -> None:
        """Other partitions were assigned: stop acting and forget what was read."""
        self._has_caught_up = False
        for task in self._workers.values():
            task.cancel()
        self._workers.clear()
        self._wakes.clear()
        self.books.forget_vaults()
        self.watcher.forget()

    def caught_up(self) -> None:
        """Everything that was on the log has been read: act on it."""
        self._has_caught_up = True
        for vault in list(self.books.vaults):
            self._wake(vault)

    @property
    def has_caught_up(self) -> bool:
        """Whether the executor acts."""
        return self._has_caught_up

    async def watch(self, poll_s: float, slot_moved: asyncio.Event) -> None:
        """Watch the chain for ever."""
        pause_s = poll_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await slot_moved.wait()
            slot_moved.clear()
            if not self._has_caught_up:
                continue
            try:
                await self.watcher.tick()
                pause_s = poll_s
            except ChainUnreachable as error:
                log.warning("watcher.chain_unreachable", error=str(error))
                pause_s = min(pause_s * 2, PAUSE_S_MAX)
                await asyncio.sleep(PAUSE_S_MIN)
            self._wake_whose_slot_has_come()

    def _wake_whose_slot_has_come(self) -> None:
        """A vault that waits for the chain has a worker; others have nothing that a slot could change."""
        for vault in list(self._workers):
            if not isinstance(self._next(vault), Await | None):
                self._wake(vault)

    def _wake(self, vault: bytes) -> None:
        event = self._wakes.setdefault(vault, asyncio.Event())
        event.set()
        if vault not in self._workers and self._next(vault) is not None:
            self._workers[vault] = self._spawn(f"vault-{vault.hex()[:16]}", self._work(vault, event))

    def _next(self, vault: bytes) -> Step | None:
        step = next_step(self.books.vault(vault), self.watcher.confirmed_slot)
        return None if isinstance(step, Idle) else step

    async def _work(self, vault: bytes, wake: asyncio.Event) -> None:
        failures = 0
        while (step := self._next(vault)) is not None:
            wake.clear()
            if isinstance(step, Await):
                await _wait(wake, AWAIT_S_MAX)
                continue
            after = await self._one(step)
            match after:
                case ReadBack(position, pause_s):
                    failures = 0
                    await self._read_back(vault, wake, position)
                    await asyncio.sleep(pause_s)
                case Halted(why):
                    log.info("executor.halted", **_about(vault, step), why=why)
                    await _wait(wake, HALTED_PAUSE_S)
                case Retry(why):
                    failures += 1
                    log.warning("executor.retry", **_about(vault, step), why=why)
                    await asyncio.sleep(min(PAUSE_S_MIN * 2 ** min(failures, 10), PAUSE_S_MAX))
        # No await lies between the last look at the state and this: no wake can be missed.
        del self._workers[vault], self._wakes[vault]

    async def _one(self, step: Step) -> After:
        """Carry out one step; faults of the world become a Retry."""
        async with self._busy:
            start = time.perf_counter()
            try:
                return await self._carry_out[type(step)](step)
            except (PublishUnknown, ChainUnreachable, ConnectionError) as error:
                return Retry(f"{type(error).__name__}: {error}")
            finally:
                STEP_SECONDS.labels(type(step).__name__.lower()).observe(time.perf_counter() - start)

    async def _read_back(self, vault: bytes, wake: asyncio.Event, position: Any) -> None:
        """Wait until the record has been folded; after `READ_BACK_S` look again at what the log does say."""
        deadline = time.monotonic() + READ_BACK_S
        while not self.books.has_read(vault, position) and time.monotonic() < deadline:
            wake.clear()
            await _wait(wake, deadline - time.monotonic())


def _about(vault: bytes, step: Step) -> dict[str, str]:
    """What a log line says of a step: the trade, or the delta that may become one."""
    about = {"vault": vault.hex(), "step": type(step).__name__}
    if isinstance(step, Plan | Sign | Submit | Await) and step.trade.intended is not None:
        return {**about, "trade_id": step.trade.intended.trade_id.hex()}
    if isinstance(step, Decide):
        return {**about, "trade_id": trade_id(vault, step.delta.fact.vault_trade_seq + 1).hex()}
    return about


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
