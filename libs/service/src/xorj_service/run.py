"""The life of a service process: start, run its tasks, stop in order.

1. A task that ends with an exception stops the process with exit code 1: a service never limps on.
2. SIGTERM and SIGINT set `stopping`; the service has `GRACE_S` to finish, then its tasks are cancelled.
3. Readiness is announced only after every check is well.
4. A process that was told to stop is gone after `STOP_S_MAX`, whatever a library's thread still waits for.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
import uvloop

from xorj_service.health import Health
from xorj_service.logs import configure_logs
from xorj_service.settings import ServiceSettings

GRACE_S = 5.0
STOP_S_MAX = 13.0
READY_POLL_S = 0.02


class Context:
    """What a service's main coroutine is given."""

    def __init__(self, service: str, health: Health) -> None:
        self.service = service
        self.health = health
        self.stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Task[None] | None = None

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` for the life of the process; its failure stops the process."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def announce_when_ready(self, **details: Any) -> None:
        """Write the ready file as soon as every health check is well."""
        while not self.health.is_serving() or self.health.problems():
            await asyncio.sleep(READY_POLL_S)
        self.health.announce(**details)
        structlog.get_logger().info("service.ready", port=self.health.port, **details)

    @property
    def failed(self) -> bool:
        """True when a task ended with an exception."""
        return self._failed is not None

    async def close(self) -> None:
        """Cancel what still runs and wait for it."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE_S)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        structlog.get_logger().error("service.task_failed", task=task.get_name(), exc_info=task.exception())
        self._failed = self._failed or task
        self.stopping.set()


def run_service(service: str, settings: ServiceSettings, main: Callable[[Context], Awaitable[None]]) -> int:
    """Run `main` until it returns, a signal arrives or a task fails; the process's exit code."""
    configure_logs(service, settings.instance, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(service, settings, main))


async def _run(service: str, settings: ServiceSettings, main: Callable[[Context], Awaitable[None]]) -> int:
    log = structlog.get_logger()
    health = Health(settings.health_port, settings.ready_file)
    context = Context(service, health)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, context.stopping.set)
    serving = context.spawn("health", health.serve())
    working = context.spawn("main", _as_coroutine(main(context)))
    stopping = asyncio.create_task(context.stopping.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    context.stopping.set()
    log.info("service.stopping")
    _gone_at_the_latest(STOP_S_MAX)
    await asyncio.wait([working], timeout=GRACE_S)
    await context.close()
    stopping.cancel()
    serving.cancel()
    log.info("service.stopped", failed=context.failed)
    return 1 if context.failed else 0


def _gone_at_the_latest(stop_s_max: float) -> None:
    """End the process when it has not ended by then; state is on the log, so nothing is lost by it."""

    def end() -> None:
        structlog.get_logger().error("service.ended_by_force", after_s=stop_s_max)
        sys.stderr.flush()
        os._exit(1)

    timer = threading.Timer(stop_s_max, end)
    timer.daemon = True
    timer.start()


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work
