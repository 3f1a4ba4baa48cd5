"""One thread that does a device's blocking calls one after the other, and hands the answers back to the event loop.

1. Calls are done in the order in which they were given; a call whose caller has left before its turn is not done.
2. The thread is a daemon: a device that hangs for ever does not keep the process from ending.
3. Answers go back a few at a time: waking the loop costs as much as a signature does.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
ANSWERS_AT_ONCE_MAX = 8


class _Call(NamedTuple):
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    waiting: "asyncio.Future[Any]"


class _Answer(NamedTuple):
    waiting: "asyncio.Future[Any]"
    result: Any
    error: Exception | None


class OneThread:
    """A thread and its queue; give it work from event loops."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def call(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, done in the thread."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()
        self._calls.put(_Call(work, loop, waiting))
        return await waiting

    def end(self) -> None:
        """Let the thread end after what it was given; does not wait for it."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            answers: list[_Answer] = []
            loop = call.loop
            while call is not None and call.loop is loop:
                if not call.waiting.cancelled():
                    answers.append(_done(call))
                if len(answers) >= ANSWERS_AT_ONCE_MAX:
                    break
                try:
                    call = self._calls.get_nowait()
                except Empty:
                    break
            else:
                self._calls.put(call)  # the end, or another loop's: in its own turn
            if not loop.is_closed():
                loop.call_soon_threadsafe(_deliver, answers)


def _done(call: _Call) -> _Answer:
    try:
        return _Answer(call.waiting, call.work(), None)
    except Exception as error:  # noqa: BLE001 (the caller gets it)
        return _Answer(call.waiting, None, error)


def _deliver(answers: list[_Answer]) -> None:
    for waiting, result, error in answers:
        if waiting.done():  # the caller has left meanwhile
            continue
        if error is None:
            waiting.set_result(result)
        else:
            waiting.set_exception(error)
