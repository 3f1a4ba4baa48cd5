"""Verifies one range of the log through one connection: entries, the tree at each signed statement, its stored hashes.

1. What precedes the range (link, tree) is taken as stored and handed back, for the range before to confirm.
2. Memory is flat: entries are read in segments, and so are checkpoints and stored hashes.
3. Entries that do not lead to a signed root are named by the span since the last statement that they do lead to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import asyncpg
from xorj_core.audit_chain import Head
from xorj_core.checkpoint import CheckpointRefused, NoteKey, SignedCheckpoint, parse_checkpoint
from xorj_core.merkle import Frontier, Node
from xorj_halt.keys import verifies

from xorj_auditor.checking import BadEntry, Checker, Row
from xorj_auditor.scan import scan
from xorj_auditor.tree import TreeDamaged, TreeReader

SEGMENT = 1 << 18
_BEFORE = "SELECT chain, appended_at_us FROM audit_entries WHERE entry_index = $1 LIMIT 1"
_CHECKPOINTS = "SELECT size, note FROM audit_checkpoints WHERE size > $1 AND size <= $2 ORDER BY size"
_NODES = """
SELECT n.hash FROM unnest($1::smallint[], $2::bigint[]) WITH ORDINALITY AS w (level, node_index, place)
LEFT JOIN audit_nodes AS n ON n.level = w.level AND n.node_index = w.node_index ORDER BY w.place"""


class What(StrEnum):
    """What a fault was found in."""

    ENTRY = "entry"
    CHECKPOINT = "checkpoint"
    TREE = "tree"
    OFFSETS = "offsets"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: `where` is an entry's index, a checkpoint's size, or the first entry under a tree hash."""

    what: What
    where: int
    reason: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody signed about the log at a size: its root, its link, or both. `says` names who."""

    size: int
    root: bytes | None
    chain: bytes | None
    says: str


@dataclass(frozen=True, slots=True)
class VerifyRange:
    """One range to verify, within a snapshot that somebody holds open."""

    dsn: str
    snapshot: str
    start: int
    end: int
    log_keys: tuple[NoteKey, ...]
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class RangeResult:
    """What a range was found to be; what it was taken to follow, for whoever verified the range before."""

    start: int
    start_chain: bytes
    start_tree: tuple[bytes, ...]
    entries: int  # good up to, not including, this index
    chain: bytes
    tree: tuple[bytes, ...]
    began: dict[bytes, tuple[int, int]]
    next_offsets: dict[bytes, int]
    covered: int
    statements: int
    fault: Fault | None


async def verify_range(task: VerifyRange, on_progress: Callable[[int], None]) -> RangeResult:
    """Verifies a range; `on_progress` hears how many of its entries are done. Raises asyncpg's errors and OSError."""
    connection = await asyncpg.connect(task.dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(f"SET TRANSACTION SNAPSHOT '{task.snapshot}'")
            return await _Verifier(task, connection, on_progress).run()
    finally:
        await connection.close()


@dataclass(slots=True)
class _Verifier:
    task: VerifyRange
    connection: Any
    on_progress: Callable[[int], None]
    checker: Checker = field(default_factory=Checker)
    waiting: list[Statement] = field(default_factory=list)  # statements to come, by size
    nodes: list[tuple[Node, bytes]] = field(default_factory=list)
    covered: int = 0
    statements: int = 0

    async def run(self) -> RangeResult:
        task = self.task
        try:
            head, tree = await self._before()
        except TreeDamaged as damaged:
            fault = Fault(What.TREE, task.start, str(damaged))
            return RangeResult(task.start, b"", (), task.start, b"", (), {}, {}, 0, 0, fault)
        self.checker = Checker(head, from_the_beginning=task.start == 0, tree=tree.copy())
        found = await self._verify()
        checker = self.checker
        return RangeResult(
            start=task.start,
            start_chain=head.chain,
            start_tree=tuple(tree.hashes),
            entries=checker.head.entries,
            chain=checker.head.chain,
            tree=tuple(checker.tree.hashes) if checker.tree is not None else (),
            began=checker.began,
            next_offsets=checker.next_offsets,
            covered=self.covered,
            statements=self.statements,
            fault=found,
        )

    async def _before(self) -> tuple[Head, Frontier]:
        """What is stored of the log before the range. Raises TreeDamaged."""
        start = self.task.start
        if start == 0:
            return Head(), Frontier()
        row = await self.connection.fetchrow(_BEFORE, start - 1)
        if row is None:
            raise TreeDamaged(f"entry {start - 1} is missing")
        return Head(start, bytes(row[0]), row[1]), await TreeReader(self.connection).frontier(start)

    async def _verify(self) -> Fault | None:
        task = self.task
        for begin in range(task.start, max(task.end, task.start + 1), SEGMENT):
            end = min(begin + SEGMENT, task.end)
            fault = await self._load_statements(begin, end)
            if fault is None:
                fault = self._at_statements()  # of the empty log
            if fault is None:
                fault = await self._segment(begin, end)
            if fault is not None:
                return fault
        return None

    async def _load_statements(self, begin: int, end: int) -> Fault | None:
        """Signed checkpoints of the segment beside the statements that were handed in."""
        found = [s for s in self.task.statements if begin < s.size <= end or s.size == begin == 0]
        keys = self.task.log_keys
        rows = await self.connection.fetch(_CHECKPOINTS, begin or -1, end) if keys else []
        for size, note in rows:
            try:
                root = signed_root(size, note, keys)
            except CheckpointRefused as refused:
                return Fault(What.CHECKPOINT, size, f"the stored checkpoint of {size} entries: {refused}")
            found.append(Statement(size, root, None, "a signed checkpoint"))
        self.waiting = sorted(found, key=lambda s: s.size)
        return None

    async def _segment(self, begin: int, end: int) -> Fault | None:
        faults: list[Fault] = []

        async def take(rows: list[Row]) -> None:
            while rows and not faults:
                room = self.waiting[0].size - self.checker.head.entries if self.waiting else len(rows)
                self.checker.check_rows(rows[:room])
                self.nodes += self.checker.nodes
                rows = rows[room:]
                if (fault := self._at_statements()) is not None:
                    faults.append(fault)
                    raise _FaultFound
            self.on_progress(self.checker.head.entries - self.task.start)

        try:
            await scan(self.connection, begin, end, take)
        except BadEntry as bad:
            return Fault(What.ENTRY, bad.index, bad.reason)
        except _FaultFound:
            return faults[0]
        if self.checker.head.entries != end:
            return Fault(What.ENTRY, self.checker.head.entries, "missing: the log goes on after it")
        return await self._nodes_fault()

    def _at_statements(self) -> Fault | None:
        """Compares the log with every statement about exactly as many entries as have been checked."""
        head, tree = self.checker.head, self.checker.tree
        while self.waiting and self.waiting[0].size <= head.entries:
            statement = self.waiting.pop(0)
            root_differs = statement.root is not None and tree is not None and tree.root() != statement.root
            if root_differs or (statement.chain is not None and head.chain != statement.chain):
                since, last = self.covered or self.task.start, statement.size - 1
                reason = f"rewritten: entries {since} to {last} are not those that {statement.says} states"
                return Fault(What.ENTRY, since, reason)
            self.covered, self.statements = statement.size, self.statements + 1
        return None

    async def _nodes_fault(self) -> Fault | None:
        """The stored hashes of the tree are those of the entries just read."""
        nodes, self.nodes = self.nodes, []
        if not nodes:
            return None
        levels, indexes = [node.level for node, _ in nodes], [node.index for node, _ in nodes]
        stored = await self.connection.fetch(_NODES, levels, indexes)
        for (node, given), row in zip(nodes, stored, strict=True):
            if row[0] is None or bytes(row[0]) != given:
                span = node.span
                what = "is missing" if row[0] is None else "is not theirs"
                return Fault(What.TREE, span.start, f"the hash over entries {span.start} to {span.end - 1} {what}")
        return None


def signed_root(size: int, note: str, keys: Sequence[NoteKey]) -> bytes:
    """The root in a stored checkpoint; raises CheckpointRefused unless the log signed it for this size."""
    signed = parse_checkpoint(note.encode())
    signed_by_log(signed, keys)
    if signed.checkpoint.size != size:
        raise CheckpointRefused(f"it speaks of {signed.checkpoint.size} entries")
    return signed.checkpoint.root


def signed_by_log(signed: SignedCheckpoint, keys: Sequence[NoteKey]) -> NoteKey:
    """The one of the log's keys that signed a checkpoint of it; raises CheckpointRefused."""
    known = {(one.name, one.key_id) for one in signed.signatures}
    key = next((key for key in keys if (key.name, key.key_id) in known), None)
    if key is None:
        raise CheckpointRefused("not signed by a key of the log")
    signed.signed_by(key, verifies)
    if signed.checkpoint.origin != key.name:
        raise CheckpointRefused(f"of another log, {signed.checkpoint.origin}")
    return key


class _FaultFound(Exception):
    """Ends the reading of a segment; the fault is beside it."""
