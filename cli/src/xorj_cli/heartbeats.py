"""Control and heartbeats as the operator reads them: who is alive, which kills each obeys, how far the audit goes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from xorj_core.facts import AuditHeartbeat, KillCommanded, ServiceHeartbeat
from xorj_core.keys import KeyRegistry
from xorj_halt.keys import load_registry
from xorj_halt.signatures import signer_of_audit_heartbeat, signer_of_heartbeat, signer_of_kill
from xorj_log.inbox import FactRecord, read_record
from xorj_log.reader import LogReader, LogRecord

from xorj_cli.output import Failure
from xorj_cli.running import RunningWorld

RECENT_MS = 2_000
"""An instance whose last heartbeat is older is not alive."""


@dataclass(slots=True)
class Pulse:
    """What control and heartbeats say. Only records with a valid signature count."""

    registry: KeyRegistry
    services: dict[str, ServiceHeartbeat] = field(default_factory=dict)
    seen_ms: dict[str, int] = field(default_factory=dict)
    audit: AuditHeartbeat | None = None
    audit_ms: int = 0
    kills: dict[bytes, tuple[KillCommanded, int]] = field(default_factory=dict)

    def take(self, record: LogRecord) -> None:
        """Add what one record says."""
        item = read_record(record)
        if not isinstance(item, FactRecord):
            return
        fact = item.fact
        if isinstance(fact, ServiceHeartbeat) and signer_of_heartbeat(self.registry, fact) is not None:
            self.services[fact.instance] = fact
            self.seen_ms[fact.instance] = record.timestamp_ms
        elif isinstance(fact, AuditHeartbeat) and signer_of_audit_heartbeat(self.registry, fact) is not None:
            self.audit, self.audit_ms = fact, record.timestamp_ms
        elif isinstance(fact, KillCommanded) and signer_of_kill(self.registry, fact) is not None:
            self.kills.setdefault(fact.command_id, (fact, record.timestamp_ms))

    def alive(self) -> list[ServiceHeartbeat]:
        """The last heartbeat of every instance that is alive, by service."""
        now_ms = time.time_ns() // 1_000_000
        recent = [beat for name, beat in self.services.items() if now_ms - self.seen_ms[name] < RECENT_MS]
        return sorted(recent, key=lambda beat: (beat.service, beat.instance))

    def acknowledged_by(self, command_id: bytes) -> dict[str, int]:
        """Instance to the time, Unix microseconds, at which it began to obey the command."""
        return {
            beat.instance: ack.obeyed_at_us
            for beat in self.services.values()
            for ack in beat.acknowledgements
            if ack.command_id == command_id
        }


class PulseReader:
    """Reads control whole, and the heartbeats from shortly before now on."""

    def __init__(self, reader: LogReader, registry: KeyRegistry) -> None:
        self._reader = reader
        self.pulse = Pulse(registry)

    async def until(self, done: Callable[[Pulse], bool], timeout_s: float) -> bool:
        """Read on until `done` or the time is over; whether it is done."""
        deadline = time.monotonic() + timeout_s
        while not done(self.pulse):
            if time.monotonic() > deadline:
                return False
            for record in await self._reader.read(timeout_ms=50):
                self.pulse.take(record)
        return True

    async def to_the_end(self, timeout_s: float = 10.0) -> Self:
        """Read everything that is on the two topics now."""
        async with asyncio.timeout(timeout_s):
            ends = await self._reader.end_offsets()
            while not await self._reader.has_reached(ends):
                for record in await self._reader.read(timeout_ms=50):
                    self.pulse.take(record)
        return self


ANSWER_S_MAX = 8.0
"""An operator is told so soon that the broker does not answer; the client by itself tries for 40 s."""

HEARTBEATS_BACK = 400
"""How many heartbeats before the end are read: some seconds of all services."""


@asynccontextmanager
async def read_pulse(world: RunningWorld) -> AsyncIterator[PulseReader]:
    """A reader of this world's control and heartbeats; raises KafkaError, ReadRefused, Failure."""
    async with AsyncExitStack() as opened:
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                reader = await opened.enter_async_context(LogReader(world.kafka, ["control", "heartbeats"]))
        except TimeoutError as error:
            broker = world.kafka.bootstrap
            message = f"the broker at {broker} does not answer within {ANSWER_S_MAX:g} s"
            raise Failure("broker_unreachable", message, "docs/runbooks/unreachable-broker.md") from error
        end = (await reader.end_offsets()).get(("heartbeats", 0), 0)
        reader.seek("heartbeats", 0, max(0, end - HEARTBEATS_BACK))
        yield PulseReader(reader, load_registry(world.keys_file))
