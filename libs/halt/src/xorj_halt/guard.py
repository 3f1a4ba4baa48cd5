"""The guard of one process: a thread that reads control and heartbeats and says whether trading is allowed.

It has its own thread, event loop, consumer and producer, so that a busy service still hears a kill in milliseconds.

1. Until control has been read to the end it had when the connection was made, every verdict is BLOCKED.
2. A kill that was read stays in force in this process, whatever happens to the connection.
3. A guard that fails blocks: no error of its own ever allows a trade.
4. A counter's sending time is taken before it is handed to the producer.
5. Counters begin at a random number, so that an echo meant for an earlier process of the same name proves nothing.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka.errors import KafkaError
from xorj_contracts.codec import fact_type
from xorj_core.facts import Acknowledgement, ServiceHeartbeat
from xorj_core.facts.common import Position
from xorj_core.kill import ActiveKill, KillState, halt_state, read_up_to
from xorj_core.lease import LeaseState, remember_sent
from xorj_log.connection import KafkaConnection
from xorj_log.reader import LogReader, LogRecord, ReadRefused
from xorj_log.writer import LogWriter, PublishUnknown

from xorj_halt.keys import load_registry, load_seed
from xorj_halt.signatures import signed_heartbeat
from xorj_halt.view import GuardView, Halted, covers, read_audit_heartbeat, read_control, verdict_of

CONTROL = "control"
HEARTBEATS = "heartbeats"
HEARTBEAT_S = 0.1
RECONNECT_S = 0.5
READ_WAIT_MS = 100
SWITCH_INTERVAL_S = 0.0005
"""The interpreter gives the guard's thread a turn at least this often."""
VERIFY_EVERY_NS = 40_000_000
"""While nobody waits for cover, newer audit heartbeats are verified only this often: the lease needs no more."""
PENDING_MAX = 16
REST_S = 0.01
"""While nobody waits for cover, heartbeats are read together, at most this often; a kill is heard so much later."""
ACKNOWLEDGED_MAX = 16

_log = logging.getLogger("xorj_halt.guard")


def lease_clock_ns() -> int:
    """Monotonic nanoseconds that go on while the machine sleeps, where the system has such a clock."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    """Someone on another loop who waits until all `positions` are covered."""

    positions: tuple[Position, ...]
    loop: asyncio.AbstractEventLoop
    reached: asyncio.Event


class Guard:
    """Kill switch and lease of one process. Everything public may be called from any thread."""

    def __init__(
        self,
        connection: KafkaConnection,
        keys_file: Path,
        heartbeat_key_file: Path,
        service: str,
        instance: str,
        *,
        build: str = "",
    ) -> None:
        """Reads the key files; raises KeysUnusable."""
        self._connection = connection
        self._registry = load_registry(keys_file)
        self._key = load_seed(heartbeat_key_file)
        self._service = service
        self.instance = f"{service}/{instance}"
        self._build = build
        self._view = GuardView(LeaseState(self.instance, ""))
        self._counter = int.from_bytes(os.urandom(7), "big")
        self._obeyed_at_us: dict[bytes, int] = {}
        self._pending: list[LogRecord] = []
        self._verified_ns = 0
        self._waiters: set[_Waiter] = set()
        self._waiters_lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._wake_beat: asyncio.Event | None = None
        self._wanted: asyncio.Event | None = None
        self._main_task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="guard", daemon=True)

    def start(self) -> None:
        """Begin to read control and to send heartbeats."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread; every later verdict is BLOCKED."""
        self._stopping.set()
        loop, task = self._loop, self._main_task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(task.cancel)
        self._thread.join(timeout_s)

    def verdict(self, vault: bytes | None = None) -> Halted | None:
        """None while `vault` may trade, otherwise why not; None asks for what is not tied to one vault."""
        return self.judged(vault)[1]

    def judged(self, vault: bytes | None = None) -> tuple[int, Halted | None]:
        """The verdict, and up to where control had been read for it."""
        view = self._view
        return view.kill.next_offset, verdict_of(view, vault, lease_clock_ns())

    def problem(self) -> str | None:
        """Why the guard cannot do its work (for readiness); a kill or a lapsed lease is no such problem."""
        view = self._view
        if view.problem:
            return view.problem
        return None if view.kill.read_to_end else "control has not been read to its end"

    @property
    def control_next_offset(self) -> int:
        """Control has been read up to, not including, this offset."""
        return self._view.kill.next_offset

    @property
    def kills(self) -> tuple[ActiveKill, ...]:
        """Every command in force, in arrival order."""
        return self._view.kill.kills

    @property
    def cluster_id(self) -> str:
        """The cluster that is being read; empty before the first connection."""
        return self._view.lease.cluster_id

    def covered(self, position: Position) -> bool:
        """Whether the audit log is known to hold this record. May be `VERIFY_EVERY_NS` late; see `wait_covered`."""
        return covers(self._view, position)

    async def wait_covered(self, positions: Sequence[Position], timeout_s: float) -> bool:
        """Whether the audit log holds all these records, waiting up to `timeout_s` for it."""
        if self._all_covered(positions):
            return True
        waiter = _Waiter(tuple(positions), asyncio.get_running_loop(), asyncio.Event())
        with self._waiters_lock:
            self._waiters.add(waiter)
        try:
            loop = self._loop
            if self._all_covered(waiter.positions) or loop is None:
                return self._all_covered(waiter.positions)
            with contextlib.suppress(RuntimeError):  # the guard's loop has ended: nothing more will be covered
                loop.call_soon_threadsafe(self._hurry)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await waiter.reached.wait()
            return self._all_covered(waiter.positions)
        finally:
            with self._waiters_lock:
                self._waiters.discard(waiter)

    def _all_covered(self, positions: Sequence[Position]) -> bool:
        view = self._view
        return all(covers(view, position) for position in positions)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._view = replace(self._view, problem=f"the guard failed: {type(error).__name__}: {error}")
            raise

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._main_task = asyncio.current_task()
        self._wake_beat, self._wanted = asyncio.Event(), asyncio.Event()
        with contextlib.suppress(asyncio.CancelledError):  # how `stop` ends it
            while not self._stopping.is_set():
                try:
                    await self._session()
                except* (KafkaError, OSError, ReadRefused) as errors:
                    problem = "; ".join(f"{type(e).__name__}: {e}" for e in errors.exceptions)
                    self._view = replace(self._view, problem=f"no connection to the log: {problem}")
                    _log.warning("guard.disconnected: %s", problem)
                await asyncio.sleep(RECONNECT_S)
        self._view = replace(self._view, problem="the guard was stopped")

    async def _session(self) -> None:
        """One connection: control from its beginning, heartbeats from their end."""
        writer = LogWriter(self._connection, self.instance, self._build)
        async with LogReader(self._connection, (CONTROL, HEARTBEATS)) as reader, writer:
            ends = await reader.end_offsets()
            reader.seek(HEARTBEATS, 0, ends[(HEARTBEATS, 0)])
            lease, kill = self._view.lease, self._view.kill
            if lease.cluster_id != reader.cluster_id:
                lease, kill = LeaseState(self.instance, reader.cluster_id), replace(kill, next_offset=0)
            kill = KillState(kill.kills, kill.next_offset, read_to_end=False)
            self._view = replace(self._view, lease=lease, kill=kill)
            self._pending.clear()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._beat(writer))
                tasks.create_task(self._read(reader, ends[(CONTROL, 0)]))

    async def _read(self, reader: LogReader, control_end: int) -> None:
        while True:
            view = self._view
            if not view.kill.read_to_end:
                position = (await reader.positions())[(CONTROL, 0)]
                at_end = position >= control_end
                kill = read_up_to(self._view.kill, position, at_end=at_end)
                self._view = replace(self._view, kill=kill, problem="")
            for record in await reader.read(20 if self._pending else READ_WAIT_MS, 2000):
                if record.position.topic == CONTROL:
                    self._hear(record)
                elif fact_type(record.value) == "AuditHeartbeat":
                    self._pending = [*self._pending[-(PENDING_MAX - 1) :], record]
            if self._waiters or lease_clock_ns() - self._verified_ns >= VERIFY_EVERY_NS:
                self._verify_pending()
            await self._rest()

    async def _rest(self) -> None:
        """Let heartbeats gather, unless someone waits for what they say."""
        wanted = self._wanted
        if wanted is None or not self._pending:
            return
        wanted.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._waiters else REST_S):
                await wanted.wait()

    def _hurry(self) -> None:
        """Someone waits for cover: look at what is here, and read what comes."""
        self._verify_pending()
        if self._wanted is not None:
            self._wanted.set()

    def _hear(self, record: LogRecord) -> None:
        """Obey a record of control, and acknowledge at once what it stops."""
        known = len(self._view.kill.kills)
        self._view, ignored = read_control(self._view, self._registry, record)
        if ignored:
            _log.warning("guard.control_record_ignored: %s: %s", record.position, ignored)
        for kill in self._view.kill.kills[known:]:
            self._obeyed_at_us[kill.command_id] = time.time_ns() // 1000
            scope = kill.vault.hex() or "everything"
            _log.warning("guard.killed: %s by %s: %s", scope, kill.principal, kill.reason)
            if self._wake_beat is not None:
                self._wake_beat.set()

    def _verify_pending(self) -> None:
        """Take the newest heartbeat that verifies; it says all that the ones before it said."""
        pending, self._pending = self._pending, []
        for record in reversed(pending):
            view = read_audit_heartbeat(self._view, self._registry, record)
            if view is None:
                _log.warning("guard.audit_heartbeat_ignored: %s does not verify", record.position)
                continue
            self._view = view
            self._verified_ns = lease_clock_ns()
            break
        with self._waiters_lock:
            reached = [waiter for waiter in self._waiters if self._all_covered(waiter.positions)]
        for waiter in reached:
            with contextlib.suppress(RuntimeError):  # its loop has closed
                waiter.loop.call_soon_threadsafe(waiter.reached.set)

    async def _beat(self, writer: LogWriter) -> None:
        wake = self._wake_beat
        if wake is None:
            raise RuntimeError("the guard's loop is not running")
        while True:
            wake.clear()
            try:
                await writer.publish(self._next_heartbeat())
            except PublishUnknown as error:
                _log.warning("guard.heartbeat_unknown: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await wake.wait()

    def _next_heartbeat(self) -> ServiceHeartbeat:
        self._counter += 1
        self._view = replace(self._view, lease=remember_sent(self._view.lease, self._counter, lease_clock_ns()))
        kill = self._view.kill
        acknowledgements = tuple(
            Acknowledgement(k.command_id, k.control_offset, self._obeyed_at_us[k.command_id])
            for k in kill.kills[-ACKNOWLEDGED_MAX:]
        )
        heartbeat = ServiceHeartbeat(
            instance=self.instance,
            service=self._service,
            counter=self._counter,
            cluster_id=self._view.lease.cluster_id,
            control_next_offset=kill.next_offset,
            state=halt_state(kill),
            acknowledgements=acknowledgements,
            sent_at_us=time.time_ns() // 1000,
            key_id=b"",
            signature=b"",
        )
        return signed_heartbeat(heartbeat, self._key)
