"""A Faust consumer that loses nothing when partitions are assigned.

While it recovers its tables, Faust fetches records of source partitions too, may drop them, and then goes back to the
committed offsets; where nothing is committed its client does not go back. Records were lost in one restart of twelve
after kill -9. So, once an assignment is settled:

1. `go_back` sets every source partition to the offset it is told.
2. Every record carries how often that had been done when it was taken from the client's buffers, so that what was
   taken before can be told, wherever it still waits, and be left to come again.
3. A record is never dropped for having been delivered before: the fold knows what it has folded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP
from xorj_log.reader import FETCH_WAIT_MS_MAX

TIMES_BACK: Final = "times-back"
"""The header under which a record carries its `go_back`; no writer of ours uses the name."""


class _Thread(AIOKafkaConsumerThread):
    """The thread that owns the client. Fetches and `go_back` run side by side on its loop."""

    times_back = 0

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Faust's client, whose empty fetches the broker holds no longer than those of our own readers.

        Faust says 1.5 s and has no setting for it. A held fetch does not cover partitions that were resumed or sent
        back meanwhile, so each step of an assignment waited for one to end.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS_MAX
        return consumer

    async def seek_all(self, offsets: Mapping[TP, int]) -> None:
        """Seek and count in one step of the loop, so that no fetch falls between."""
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        for tp, offset in offsets.items():
            if (partition := TopicPartition(tp.topic, tp.partition)) in assigned:
                consumer.seek(partition, offset)
        self.times_back += 1

    async def _fetch_records(self, *arguments: Any, **options: Any) -> Any:
        records = await super()._fetch_records(*arguments, **options)
        # Records are taken from the client's buffers in the last step of the fetch: the count now is theirs.
        return _Batch(self.times_back, records)


@dataclass(frozen=True, slots=True)
class _Batch:
    times_back: int
    records: Any


class NothingLostConsumer(Consumer):
    """Faust's consumer, which can be sent back."""

    _thread: _Thread

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._read_offset = _NothingRead()
        self._times_back = 0
        self._times_back_of_batch = 0

    async def go_back(self, offsets: Mapping[TP, int]) -> None:
        """Read each of these partitions from its offset on; returns when that is in force."""
        self._times_back += 1
        await self._thread.call_thread(self._thread.seek_all, offsets)

    def is_stale(self, message: Any) -> bool:
        """Whether a record was fetched before the latest `go_back`; it will come again."""
        return bool(message.headers[TIMES_BACK] != b"%d" % self._times_back)

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        batch: Any = await self._thread.getmany(active_partitions, timeout)
        self._times_back_of_batch = batch.times_back
        return batch.records

    def _to_message(self, tp: TP, record: Any) -> Any:
        message = super()._to_message(tp, record)
        message.headers = {TIMES_BACK: b"%d" % self._times_back_of_batch}
        return message


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
