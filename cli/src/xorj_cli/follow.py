"""Reads the log of a running world and tells its stories as they happen."""

import asyncio
from collections.abc import Callable

from xorj_log.inbox import FactRecord, read_record
from xorj_log.reader import LogReader

from xorj_cli.running import RunningWorld
from xorj_cli.stories import TOPICS, Stories

Changed = Callable[[Stories], None]


async def follow(world: RunningWorld, stories: Stories, changed: Changed) -> None:
    """Tell every fact to `stories`, from the beginning of the log, until cancelled; raises KafkaError, ReadRefused."""
    async with LogReader(world.kafka, TOPICS) as reader:
        while True:
            for record in await reader.read(timeout_ms=50):
                item = read_record(record)
                if isinstance(item, FactRecord):
                    stories.tell(item.fact, record.timestamp_ms)
            changed(stories)


async def follow_until(
    world: RunningWorld, stories: Stories, done: Callable[[Stories], bool], timeout_s: float, changed: Changed
) -> bool:
    """Follow until `done` or the time is over; whether it is done."""
    reached = asyncio.Event()

    def look(told: Stories) -> None:
        changed(told)
        if done(told):
            reached.set()

    following = asyncio.create_task(follow(world, stories, look))
    waiting = asyncio.create_task(reached.wait())
    try:
        await asyncio.wait([following, waiting], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            await following
        return reached.is_set()
    finally:
        for task in (following, waiting):
            task.cancel()
        await asyncio.gather(following, waiting, return_exceptions=True)
