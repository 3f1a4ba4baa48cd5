"""Owns what the key was used for: one living intent for each (vault, sequence), one message for each (intent, attempt).

1. A reservation is committed, synchronously, before the key is used for it; `book` says which ones there may be.
2. Requests that wait are decided and committed together: one transaction, one fsync. Each gets its own verdict, and one
   that the database cannot store does not fail the others.
3. Batches of several signers follow each other: each holds the one row of `ledger_clock` until it is committed.
4. It is also the outbox: a signed row without a position on the log has yet to be published.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

import asyncpg
from xorj_core.facts import TradeSigned
from xorj_core.facts.common import Position
from xorj_core.policy.decide import Denied

from xorj_signer import ledger_rows as rows
from xorj_signer.book import AuditedExpiry, Expiries, Reservation, Reserved, StoredSignature

__all__ = ["LEDGER_FAULTS", "AuditedExpiry", "Expiries", "Ledger", "Reservation", "Reserved", "StoredSignature"]

BATCH_MAX = 256
GATHER_S = 0.003
"""While several ask at a time, a batch with fewer than the last one waits so long for more; one alone never waits."""
_CONNECTIONS_MAX = 4
_COMMAND_S_MAX = 5.0
_CONNECTION_SETTINGS = {
    "synchronous_commit": "on",
    "application_name": "xorj-signer",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
"""Every row is looked up in an index, whatever the planner believes of tables that were empty a minute ago: no join
reads a whole table, so a batch costs the same however long the ledger is. A plan is made once, and compiled never."""

LEDGER_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What is raised when the database cannot answer; a client whose server dies within a COMMIT calls it internal."""

_UNSTORABLE = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.RaiseError, ValueError)
"""What one member of a batch may be guilty of; the others are then committed without it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Ask(Generic[T]):
    """Something that waits for the next batch."""

    verdict: "asyncio.Future[T]"


@dataclass(frozen=True, slots=True, eq=False)
class _Reserve(_Ask[Reserved | Denied]):
    wanted: Reservation
    expiries: Expiries


@dataclass(frozen=True, slots=True, eq=False)
class _Complete(_Ask[StoredSignature]):
    fact: TradeSigned


_Batch: TypeAlias = "Sequence[_Reserve | _Complete]"
_Verdicts: TypeAlias = "list[Reserved | Denied | StoredSignature | RuntimeError]"


class Ledger:
    """The signer's database. Every method raises one of LEDGER_FAULTS when it cannot be reached."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._waiting: list[_Reserve | _Complete] = []
        self._wake = asyncio.Event()
        self._committer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=1,
            max_size=_CONNECTIONS_MAX,
            timeout=_COMMAND_S_MAX,
            command_timeout=_COMMAND_S_MAX,
            server_settings=_CONNECTION_SETTINGS,
        )
        self._committer = asyncio.create_task(self._commit_for_ever(), name="ledger")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._committer is not None:
            self._committer.cancel()
            await asyncio.wait([self._committer])
        _fail(self._waiting, asyncpg.InterfaceError("the ledger is closed"))
        if self._connection is not None:
            self._connection.terminate()
        if self._pool is not None:
            await self._pool.close()

    async def reserve(self, wanted: Reservation, expiries: Expiries) -> Reserved | Denied:
        """Bind the attempt to its bytes, or say what is bound already or which window is full."""
        return await self._ask(_Reserve(asyncio.get_running_loop().create_future(), wanted, expiries))

    async def complete(self, fact: TradeSigned) -> StoredSignature:
        """Store the signature of a reserved attempt; of two that do, the first one's fact is returned to both."""
        return await self._ask(_Complete(asyncio.get_running_loop().create_future(), fact))

    async def mark_published(self, marks: Sequence[tuple[TradeSigned, Position]]) -> None:
        """Remember where facts stand on the log. Not durable at once: a fact that is forgotten is published again."""
        async with self._open_pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit = off")
            await rows.mark_published(connection, marks)

    async def unpublished(self, age_s_min: float, rows_max: int = 100) -> list[TradeSigned]:
        """Facts signed at least `age_s_min` seconds ago that are not known to be on the log, oldest first."""
        return await rows.unpublished(self._open_pool, age_s_min, rows_max)

    async def ended(self) -> None:
        """Returns only by raising what ended the committing of batches: from then on nothing can be reserved."""
        if self._committer is not None:
            await asyncio.shield(self._committer)

    @property
    def _open_pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            raise RuntimeError("the ledger is not open")
        return self._pool

    async def _ask(self, ask: _Ask[T]) -> T:
        if self._committer is None or self._committer.done():
            raise asyncpg.InterfaceError("the ledger is closed")
        self._waiting.append(ask)  # type: ignore[arg-type]  # of the two kinds, as its callers are the two above
        self._wake.set()
        return await ask.verdict

    async def _commit_for_ever(self) -> None:
        last = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if len(self._waiting) < last:
                    await asyncio.sleep(GATHER_S)
                last = len(self._waiting)
                batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
                try:
                    await self._settle(batch)
                finally:
                    # Whoever still waits when this task is ended is told so.
                    _fail(batch, asyncpg.InterfaceError("the ledger was closed while it committed"))

    async def _settle(self, batch: _Batch) -> None:
        """Commit a batch and tell everyone in it; a member that cannot be stored is found by going one by one."""
        try:
            verdicts = await self._commit(batch)
        except _UNSTORABLE as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            for ask in batch:
                await self._settle([ask])
        except LEDGER_FAULTS as error:
            self._discard_connection()
            _fail(batch, error)
        else:
            for ask, verdict in zip(batch, verdicts, strict=True):
                _tell(ask.verdict, verdict)

    async def _commit(self, batch: _Batch) -> _Verdicts:
        connection = await self._connected()
        reserves = [ask for ask in batch if isinstance(ask, _Reserve)]
        completes = [ask.fact for ask in batch if isinstance(ask, _Complete)]
        async with asyncio.timeout(_COMMAND_S_MAX), connection.transaction():
            reserved = iter(await self._reserve_all(connection, reserves) if reserves else [])
            completed = iter(await rows.complete(connection, completes) if completes else [])
        return [next(reserved) if isinstance(ask, _Reserve) else next(completed) for ask in batch]

    async def _reserve_all(self, connection: rows.Connection, asks: Sequence[_Reserve]) -> Sequence[Reserved | Denied]:
        wanted = [ask.wanted for ask in asks]
        now_ms = await rows.lock_clock(connection, max(item.now_ms for item in wanted))
        book = await rows.read_book(connection, wanted, now_ms)
        verdicts = [book.reserve(ask.wanted, ask.expiries) for ask in asks]
        await rows.write_book(connection, book, now_ms)
        return verdicts

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=_COMMAND_S_MAX,
                command_timeout=_COMMAND_S_MAX,
                server_settings=_CONNECTION_SETTINGS,
            )
        return self._connection

    def _discard_connection(self) -> None:
        """What a broken connection has done is unknown; whoever asks again finds it in the rows."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _tell(verdict: "asyncio.Future[Any]", result: object) -> None:
    """Whoever was cancelled meanwhile is not told; what was committed for it stays."""
    if verdict.done():
        return
    if isinstance(result, Exception):
        verdict.set_exception(result)
    else:
        verdict.set_result(result)


def _fail(batch: _Batch, error: Exception) -> None:
    for ask in batch:
        _tell(ask.verdict, error)
