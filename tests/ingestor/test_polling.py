"""One source's failures are its own."""

import asyncio
from dataclasses import dataclass, field

import pytest
from xorj_ingestor.polling import Polling, SourceFailed
from xorj_log.writer import PublishUnknown

TURNS_S_MAX = 10.0


@dataclass(slots=True)
class Planned:
    """A poller whose turns go as planned, well afterwards; `done` is set at the first good turn."""

    source: str
    plan: list[Exception] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    turns: int = 0

    async def poll(self) -> None:
        self.turns += 1
        if self.plan:
            raise self.plan.pop(0)
        self.done.set()


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(TURNS_S_MAX):
        await event.wait()


async def test_faults_of_the_world_are_survived_and_other_sources_go_on() -> None:
    failing = Planned("failing", [SourceFailed("a"), PublishUnknown("b"), SourceFailed("c")])
    well = Planned("well")
    tasks = [asyncio.create_task(Polling(poller, 1).run()) for poller in (failing, well)]
    await until(well.done)
    await until(failing.done)
    for task in tasks:
        task.cancel()
    assert failing.turns == 4


async def test_any_other_fault_stops_the_process() -> None:
    with pytest.raises(KeyError):
        await Polling(Planned("wrong", [KeyError("a mistake of ours")]), 1).run()


async def test_a_poller_waits_for_the_first_turn_of_what_it_builds_on_even_a_failed_one() -> None:
    first, second = Planned("first", [SourceFailed("down")]), Planned("second")
    before = Polling(first, 60_000)
    after = Polling(second, 1, after=before)
    running = asyncio.create_task(after.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert (second.turns, after.problem()) == (0, "second has not been asked yet")
    starting = asyncio.create_task(before.run())
    await until(second.done)
    await until(after.asked)
    assert before.problem() is None
    assert after.problem() is None
    running.cancel()
    starting.cancel()
