"""A Faust consumer that loses nothing when partitions are assigned.

While it recovers its tables, Faust fetches records of source partitions too, may drop them, and then goes back to the
committed offsets; where nothing is committed its client does not go back. Records were lost in one restart of twelve
after kill -9. So, once an assignment is settled:

1. `go_back` sets every source partition to the offset it is told, between two fetches and not during one.
2. Every record carries the number of the `go_back` that its fetch came after, so that what was fetched before can be
   told, wherever it still waits, and be left to come again.
3. A record is never dropped for having been delivered before: the fold knows what it has folded.
"""

from collections.abc import Mapping
from typing import Any, Final

from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

TIMES_BACK: Final = "times-back"
"""The header under which a record carries its `go_back`. Our records have no headers of their own."""


class NothingLostConsumer(Consumer):
    """Faust's consumer, which can be sent back."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._read_offset = _NothingRead()
        self._times_back = 0
        self._times_back_of_batch = 0

    async def go_back(self, offsets: Mapping[TP, int]) -> None:
        """Read each of these partitions from its offset on; returns when that is in force."""
        self._times_back += 1  # counted as it is queued: fetches are queued on the same loop and run in that order
        await self._thread.call_thread(self._seek_all, offsets)

    def is_stale(self, message: Any) -> bool:
        """Whether a record was fetched before the latest `go_back`; it will come again."""
        return bool(message.headers[TIMES_BACK] != b"%d" % self._times_back)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        asked_after = self._times_back
        records = await super()._getmany(active_partitions, timeout)
        self._times_back_of_batch = asked_after
        return records

    def _to_message(self, tp: TP, record: Any) -> Any:
        message = super()._to_message(tp, record)
        message.headers = {TIMES_BACK: b"%d" % self._times_back_of_batch}
        return message

    async def _seek_all(self, offsets: Mapping[TP, int]) -> None:
        consumer = self._thread._ensure_consumer()
        assigned = consumer.assignment()
        for tp, offset in offsets.items():
            if (partition := TopicPartition(tp.topic, tp.partition)) in assigned:
                consumer.seek(partition, offset)


class _NothingRead(dict[TP, int | None]):
    """Stands for the offsets that Faust compares with to drop what it has delivered: no offset ever is one."""

    def __getitem__(self, key: TP) -> None:
        return None

    def __setitem__(self, key: TP, value: int | None) -> None:
        """Nothing is remembered."""

    def update(self, *values: Any, **more: Any) -> None:
        """Nothing is remembered."""


def lose_nothing(app: Any) -> None:
    """Make the application use this consumer; call it before the application starts."""
    app.transport.Consumer = NothingLostConsumer
