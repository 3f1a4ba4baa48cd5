"""Reads the log of a running world and tells its stories as they happen."""

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
