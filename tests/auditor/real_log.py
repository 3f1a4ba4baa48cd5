"""An audit log in a real PostgreSQL without a broker: entries of every kind, signed checkpoints, superuser's rights."""

import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from xorj_auditor.checkpoints import CheckpointKey, checkpoint_key
from xorj_auditor.schema import upgrade
from xorj_auditor.store import AuditStore
from xorj_auditor.verify import VerifyResult, verify
from xorj_auditor.verify_range import Statement
from xorj_core.audit_chain import GapReason, LogEnd
from xorj_core.checkpoint import SignedCheckpoint
from xorj_halt.keys import signing_key
from xorj_localnet.database import Database, start_database
from xorj_localnet.supervisor import Supervisor

from tests.worlds import reachable

ORIGIN = "test/audit"
CLUSTER = "cluster"
NOW_US = 1_800_000_000_000_000
TABLES = "audit_entries, audit_batches, audit_offsets, audit_nodes, audit_checkpoints, audit_cosignatures"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record as a consumer hands it out."""

    offset: int
    timestamp: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None


@dataclass(slots=True)
class RealLog:
    """The log under attack. `superuser` may do anything; `checkpoints` is what a witness may have kept."""

    database: Database
    superuser: Any
    key: CheckpointKey
    checkpoints: list[SignedCheckpoint] = field(default_factory=list)
    kept: list[SignedCheckpoint] = field(default_factory=list)

    async def write(self, count: int, *, checkpoint_every: int = 400, seed: int = 1) -> LogEnd:
        """Appends about `count` entries through the auditor's own store, with a checkpoint every so many."""
        rng = random.Random(seed)
        end = LogEnd(CLUSTER)
        async with AuditStore(self.database.dsn("auditor"), "test") as store:
            assert await store.lead()
            now_us = await self.now_us()
            while end.head.entries < count:
                now_us += 1_000
                self._enter(end, rng, min(checkpoint_every, count - end.head.entries), now_us)
                await store.append(end.take())
                signed = self.key.sign(end.tree.size, end.tree.root())
                await store.add_checkpoint(end.tree.size, signed.note().decode(), now_us)
                self.checkpoints.append(signed)
        return end

    async def now_us(self) -> int:
        """The database's time."""
        return int(await self.superuser.fetchval("SELECT (extract(epoch FROM now()) * 1000000)::bigint"))

    def _enter(self, end: LogEnd, rng: random.Random, count: int, now_us: int) -> None:
        while count > 0:
            topic, partition = rng.choice(["prices", "trade-intents"]), rng.randrange(3)
            expected = end.next_offsets.get((topic, partition), 0)
            begin = expected + rng.choice([0, 0, 0, 2])
            part = [
                Arrived(begin + n, 1_000 + n, rng.choice([None, b"", b"k"]), (), rng.choice([None, rng.randbytes(30)]))
                for n in range(min(count, rng.randrange(1, 40)))
            ]
            end.enter(topic, partition, part, now_us, lambda first, following: GapReason.DELETED)
            count -= len(part) + (begin != expected)
            if rng.random() < 0.1:
                following = end.next_offsets.get(("heartbeats", 0), 0) + 5
                end.enter_digest("heartbeats", 0, following, hashlib.sha256(rng.randbytes(8)).digest(), now_us)
                count -= 1

    async def keep(self) -> None:
        """Remembers what is stored now."""
        for table in TABLES.split(", "):
            await self.superuser.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
        self.kept = list(self.checkpoints)

    async def restore(self) -> None:
        """Brings back what `keep` has seen."""
        await self.empty()
        for table in TABLES.split(", "):
            await self.superuser.execute(f"INSERT INTO {table} TABLE kept_{table}")
        self.checkpoints = list(self.kept)

    async def empty(self) -> None:
        """Everything gone, as a superuser can have it."""
        await self.superuser.execute(f"TRUNCATE {TABLES}")
        self.checkpoints.clear()

    async def verified(self, *held: SignedCheckpoint, jobs: int = 1) -> VerifyResult:
        """What `verify` says, given these checkpoints that somebody else holds."""
        statements = [Statement(c.checkpoint.size, c.checkpoint.root, None, "the witness") for c in held]
        keys = (self.key.note_key,)
        return await verify(
            self.database.dsn("audit_reader"), log_keys=keys, statements=statements, jobs=jobs, worth_a_process=512
        )


@asynccontextmanager
async def real_database(directory: Path) -> AsyncIterator[RealLog]:
    """A real PostgreSQL with the audit schema and nothing in it."""
    reachable(directory)
    supervisor = Supervisor(directory)
    supervisor.open()
    try:
        database = await start_database(supervisor)
        await upgrade(database.dsn("xorj_owner", "xorj_audit"))
        superuser = await asyncpg.connect(database.dsn("postgres", "xorj_audit"))
        try:
            yield RealLog(database, superuser, checkpoint_key(ORIGIN, signing_key(hashlib.sha256(b"seed").digest())))
        finally:
            await superuser.close()
    finally:
        await supervisor.stop()
