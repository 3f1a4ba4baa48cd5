"""A reader that hands out facts: what cannot be read goes to the dead letters, and the partition moves on.

An undecodable record is also handed out, because on a vault-keyed topic it freezes its vault: an owner's "disable"
must not be skipped by an older build.
"""

from dataclasses import dataclass
from typing import TypeAlias

from xorj_contracts.codec import Envelope, Undecodable, decode
from xorj_core.facts import DeadLettered, Fact

from xorj_log.reader import LogReader, LogRecord
from xorj_log.topics import BY_NAME
from xorj_log.writer import LogWriter

DEAD_LETTER_VALUE_BYTES_MAX = 64 * 1024
"""A longer value is cut in the dead letter; the whole record stays where it is and in the audit log."""


@dataclass(frozen=True, slots=True)
class FactRecord:
    """A record that was understood."""

    record: LogRecord
    envelope: Envelope
    fact: Fact


@dataclass(frozen=True, slots=True)
class UndecodableRecord:
    """A record that was not; `record.key` is the vault on vault-keyed topics."""

    record: LogRecord
    reason: str


Incoming: TypeAlias = FactRecord | UndecodableRecord


def read_record(record: LogRecord) -> Incoming:
    """The fact in a record, provided that it stands on the topic of its kind."""
    try:
        decoded = decode(record.value)
    except Undecodable as error:
        return UndecodableRecord(record, str(error))
    name = type(decoded.fact).__name__
    if name not in BY_NAME[record.position.topic].facts:
        return UndecodableRecord(record, f"{name} does not belong on {record.position.topic}")
    return FactRecord(record, decoded.envelope, decoded.fact)


class Inbox:
    """Facts of a reader; `name` is the principal that could not read."""

    def __init__(self, reader: LogReader, writer: LogWriter, name: str) -> None:
        self._reader = reader
        self._writer = writer
        self._name = name

    async def read(self, timeout_ms: int = 100, records_max: int = 500) -> list[Incoming]:
        """What has arrived, in order; undecodable records have been dead-lettered. Raises `PublishUnknown`."""
        incoming = [read_record(record) for record in await self._reader.read(timeout_ms, records_max)]
        for item in incoming:
            if isinstance(item, UndecodableRecord):
                await self._writer.publish(dead_letter(item, self._name))
        return incoming


def dead_letter(item: UndecodableRecord, reader: str) -> DeadLettered:
    """The dead letter of a record: re-reading gives the same fact id, so repeats can be told."""
    record = item.record
    return DeadLettered(
        position=record.position,
        reader=reader,
        reason=item.reason,
        key=(record.key or b"")[:1024],
        value=(record.value or b"")[:DEAD_LETTER_VALUE_BYTES_MAX],
        timestamp_ms=record.timestamp_ms,
    )
