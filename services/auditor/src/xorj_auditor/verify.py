"""Reads the audit log back and recomputes every hash: `verify` says intact, or what is wrong and where.

1. Every entry is checked (`xorj_auditor.checking`), the tree against every signed checkpoint in the database and every
   statement handed in, its stored hashes and the stored offsets against what the entries give.
2. All of it is one snapshot, however many processes read it; what is named is the first fault in the log's order.
3. A checkpoint counts only with the log's own signature. Entries after the last statement are chained, not signed.
4. It ends: each range is read once, and a process that dies is an error, never silence.
"""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
from xorj_core.checkpoint import NoteKey

from xorj_auditor.verify_range import Fault, RangeResult, Statement, VerifyRange, What, verify_range

Progress = Callable[[int, int], None]
"""Called with entries checked so far and entries in all."""

ALIGNED = 256
"""Ranges begin where a tile of the tree does, so that the tree before them is a few stored hashes."""
WORTH_A_PROCESS = 200_000
"""Fewer entries are read before another process has started."""

PROGRESS_S = 0.1
_OFFSETS = """
WITH runs AS (
    SELECT *, lag(next_offset, 1, 0::bigint)
        OVER (PARTITION BY cluster_id, topic, partition_no ORDER BY first_offset) AS before FROM audit_offsets)
SELECT cluster_id, topic, partition_no, max(next_offset) AS next_offset,
    min(first_offset) FILTER (WHERE first_offset <> before) AS broken
FROM runs GROUP BY 1, 2, 3"""


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What verification found: how many entries are good, from `start` on, and the head of the chain after them.

    `covered` is the size of the largest signed statement that the log agrees with; `fault` is None when verified.
    """

    start: int
    entries: int
    head: bytes
    covered: int
    statements: int
    fault: Fault | None = None

    @property
    def verified(self) -> bool:
        """Whether nothing was found."""
        return self.fault is None


class LogUnreadable(Exception):
    """Nothing can be said: a process that read a range has died."""


async def verify(
    dsn: str,
    on_progress: Progress | None = None,
    *,
    log_keys: Sequence[NoteKey] = (),
    statements: Sequence[Statement] = (),
    start: int = 0,
    end: int | None = None,
    jobs: int = 1,
    worth_a_process: int = WORTH_A_PROCESS,
) -> VerifyResult:
    """Verifies the entries from `start` to, not including, `end` (None: the last), as one snapshot.

    `log_keys`: one of them must have signed a checkpoint; none: the database's checkpoints are not looked at.
    `statements`: what others hold. Raises asyncpg's errors, OSError and LogUnreadable when nothing is known.
    """
    async with _snapshot(dsn) as (connection, snapshot):
        first, last = await connection.fetchrow("SELECT min(entry_index), max(entry_index) FROM audit_entries")
        total = 0 if last is None else last + 1
        if first is not None and first < 0:
            return VerifyResult(start, 0, b"", 0, 0, Fault(What.ENTRY, first, "an entry before the first"))
        end = total if end is None else min(end, total)
        start = min(start, end)
        cut = [s for s in statements if s.size > total]
        signed = await connection.fetchval("SELECT max(size) FROM audit_checkpoints") if log_keys else None
        if signed is not None and signed > total:
            cut.append(Statement(signed, None, None, "a checkpoint in the database"))
        tasks = [
            VerifyRange(dsn, snapshot, begin, until, tuple(log_keys), _about(statements, begin, until))
            for begin, until in _ranges(start, end, jobs, worth_a_process)
        ]
        results = await _run(tasks, on_progress, end - start)
        result = _joined(start, results)
        if result.fault is None and cut:
            worst = max(cut, key=lambda s: s.size)
            reason = f"cut: {worst.says} has {worst.size} entries, the log {total}"
            result = replace(result, fault=Fault(What.ENTRY, total, reason))
        if result.fault is None and (start, end) == (0, total):
            result = replace(result, fault=await _offsets_fault(connection, results))
        return result


@asynccontextmanager
async def _snapshot(dsn: str) -> AsyncIterator[tuple[Any, str]]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection, await connection.fetchval("SELECT pg_export_snapshot()")
    finally:
        await connection.close()


def _about(statements: Sequence[Statement], begin: int, until: int) -> tuple[Statement, ...]:
    return tuple(s for s in statements if begin < s.size <= until or s.size == begin == 0)


def _ranges(start: int, end: int, jobs: int, worth: int) -> Iterator[tuple[int, int]]:
    """At most `jobs` ranges of about equal length that follow one another; one empty range for none."""
    share = max(worth, -(-(end - start) // max(1, jobs)))
    at = start
    while True:
        following = min(end, (at + share + ALIGNED - 1) // ALIGNED * ALIGNED)
        yield at, following
        if following >= end:
            return
        at = following


async def _run(tasks: Sequence[VerifyRange], on_progress: Progress | None, total: int) -> list[RangeResult]:
    """Every range's result: in this process for one range, each in its own for several."""
    tell = on_progress or (lambda done, of: None)
    if len(tasks) == 1:
        return [await verify_range(tasks[0], lambda done: tell(done, total))]
    context = multiprocessing.get_context("spawn")
    done = context.Array("q", len(tasks), lock=False)
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(len(tasks), mp_context=context, initializer=_begin, initargs=(done,)) as pool:
        futures = [loop.run_in_executor(pool, _verify_in_process, task, slot) for slot, task in enumerate(tasks)]
        waiting: set[asyncio.Future[RangeResult]] = set(futures)
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=PROGRESS_S)
            tell(sum(done), total)
        try:
            return [future.result() for future in futures]
        except multiprocessing.ProcessError as error:
            raise LogUnreadable(str(error)) from error
        except RuntimeError as error:  # BrokenProcessPool: a process was killed
            raise LogUnreadable(f"a process that read the log has died: {error}") from error


class _Process:
    """What a process of the pool was given: where it tells how far it is."""

    done: Any = None


def _begin(done: Any) -> None:
    _Process.done = done


def _verify_in_process(task: VerifyRange, slot: int) -> RangeResult:
    def tell(done: int) -> None:
        _Process.done[slot] = done

    return asyncio.run(verify_range(task, tell))


def _joined(start: int, results: Sequence[RangeResult]) -> VerifyResult:
    """The result of ranges that follow one another: each must begin exactly where and as the one before it ended."""
    covered = statements = 0
    next_offsets: dict[bytes, int] = {}
    for number, result in enumerate(results):
        fault = None if number == 0 else _seam_fault(results[number - 1], result, next_offsets, whole=start == 0)
        fault = fault or result.fault
        covered, statements = max(covered, result.covered), statements + result.statements
        if fault is not None:
            entries = min(result.entries, fault.where) if fault.what is What.ENTRY else result.entries
            return VerifyResult(start, entries, result.chain, covered, statements, fault)
        next_offsets |= result.next_offsets
    last = results[-1]
    return VerifyResult(start, last.entries, last.chain, covered, statements)


def _seam_fault(
    before: RangeResult, after: RangeResult, next_offsets: dict[bytes, int], *, whole: bool
) -> Fault | None:
    """Why the second range does not follow the first."""
    at = after.start
    if before.entries != at or before.chain != after.start_chain:
        return Fault(What.ENTRY, at, "the link before it is not the one of the entry before it")
    if before.tree != after.start_tree:
        return Fault(What.TREE, at, "the stored hashes of the tree before it are not those of the entries")
    faults = []
    for place, (offset, entry) in after.began.items():
        known = next_offsets.get(place, 0 if whole else offset)
        if offset != known:
            faults.append(Fault(What.ENTRY, entry, f"offset {offset} of its partition, where {known} is next"))
    return min(faults, key=lambda fault: fault.where, default=None)


async def _offsets_fault(connection: Any, results: Sequence[RangeResult]) -> Fault | None:
    """The offsets from which the auditor goes on are those that the entries give."""
    known: dict[bytes, int] = {}
    for result in results:
        known |= result.next_offsets
    rows = await connection.fetch(_OFFSETS)
    for row in rows:
        if row["broken"] is not None:
            reason = f"the stored offsets of {row['topic']}/{row['partition_no']} do not follow one another"
            return Fault(What.OFFSETS, row["broken"], reason)
    stored = {_place(row["cluster_id"], row["topic"], row["partition_no"]): row["next_offset"] for row in rows}
    if stored == known:
        return None
    wrong = sorted(place for place in stored.keys() | known.keys() if stored.get(place) != known.get(place))
    there, given = stored.get(wrong[0]), known.get(wrong[0])
    reason = f"of {len(wrong)} partitions the stored next offset is wrong: {there} where the entries give {given}"
    return Fault(What.OFFSETS, given or 0, reason)


def _place(cluster_id: str, topic: str, partition: int) -> bytes:
    parts = (cluster_id.encode(), topic.encode(), partition.to_bytes(4, "big", signed=True))
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
