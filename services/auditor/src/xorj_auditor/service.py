"""The auditor at work: succession, history, reader, heart and witnesses, put together for one process.

1. The history is checked before anything is appended or said.
2. A database that is down, full or restarted ends the writing, not the process: heartbeats stop, so leases lapse, and
   the writing begins anew from what is committed, so nothing is skipped.
3. A kill is obeyed by acknowledging it; recording goes on, because recording is not acting.
"""

import asyncio
import time
from collections.abc import Sequence

import httpx
import structlog
from prometheus_client import Counter
from xorj_core.checkpoint import SignedCheckpoint
from xorj_core.keys import KeyRegistry
from xorj_halt.guard import Guard
from xorj_halt.keys import SigningKey, load_registry, load_seed
from xorj_log.reader import LogReader
from xorj_log.topics import TOPICS
from xorj_log.writer import LogWriter
from xorj_service.run import Context
from xorj_service.settings import BUILD, read_secret

from xorj_auditor.checkpoints import Checkpoints, checkpoint_key
from xorj_auditor.echoes import Echoes
from xorj_auditor.heart import Heart
from xorj_auditor.history import checked_end, until_witnessed
from xorj_auditor.ingest import Ingest
from xorj_auditor.settings import AuditorSettings
from xorj_auditor.store import DATABASE_FAULTS, AuditStore, NotWriter
from xorj_auditor.succession import Succession, keep_in_touch, pause
from xorj_auditor.tree import TreeReader
from xorj_auditor.witnesses import Proof, Witness, WitnessDesk, keep_up, load_witnesses

NAME = "auditor"
AGAIN_S_MIN = 0.2
AGAIN_S_MAX = 5.0

_LOST = Counter("xorj_audit_database_faults", "Times that writing ended because of the database")
_log = structlog.get_logger()


async def audit(context: Context, settings: AuditorSettings) -> None:
    """Record until told to stop. Raises StoreRefused, KeysUnusable, WitnessesUnusable, LogRewound, faults of Kafka."""
    registry = load_registry(settings.keys_file)
    audit_key = load_seed(settings.audit_key_file)
    witnesses = load_witnesses(settings.audit_witnesses_file)
    connection = settings.kafka(NAME)
    instance = f"{NAME}/{settings.instance}"
    guard = Guard(connection, settings.keys_file, settings.heartbeat_key_file, NAME, settings.instance, build=BUILD)
    async with LogWriter(connection, instance, BUILD) as writer:
        auditor = _Auditor(context, settings, registry, audit_key, witnesses, writer, instance)
        context.health.check("recording", auditor.problem)
        context.health.check("guard", guard.problem)
        context.health.show("/checkpoint", auditor.checkpoint_note)
        guard.start()
        announcing = asyncio.create_task(context.announce_when_ready())
        try:
            await writer.publish(settings.started(NAME, time.time_ns() // 1000))
            await auditor.run()
        finally:
            announcing.cancel()
            await asyncio.to_thread(guard.stop)
    _log.info("auditor.stopped")


class _Auditor:
    """What outlives one term of writing."""

    def __init__(
        self,
        context: Context,
        settings: AuditorSettings,
        registry: KeyRegistry,
        audit_key: SigningKey,
        witnesses: Sequence[Witness],
        writer: LogWriter,
        instance: str,
    ) -> None:
        self._stopping = context.stopping
        self._settings = settings
        self._registry = registry
        self._audit_key = audit_key
        self._witnesses = witnesses
        self._writer = writer
        self._instance = instance
        self._succession = Succession()
        self._term: _Term | None = None
        self._fault = "the audit log is being opened"

    def problem(self) -> str | None:
        """Why readiness is refused. To stand by is no problem."""
        if self._term is not None:
            return self._term.problem()
        return None if self._succession.is_standing_by else self._fault

    def checkpoint_note(self) -> bytes | None:
        """The latest checkpoint, while this auditor writes."""
        return None if self._term is None else self._term.checkpoints.note()

    async def run(self) -> None:
        """One term of writing after another, until told to stop."""
        again_s = AGAIN_S_MIN
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                await self._one_term()
            except (*DATABASE_FAULTS, NotWriter, BaseExceptionGroup) as error:
                self._fault = _database_fault(error)
            else:
                continue
            finally:
                self._term = None
                self._succession.is_standing_by = False
            _LOST.inc()
            _log.error("auditor.database_fault", fault=self._fault)
            again_s = AGAIN_S_MIN if time.monotonic() - began_s > AGAIN_S_MAX else min(again_s * 2, AGAIN_S_MAX)
            await pause(self._stopping, again_s)

    async def _one_term(self) -> None:
        dsn = read_secret(self._settings.database_dsn_file)
        async with AuditStore(dsn, self._instance) as store:
            if not await self._succession.until_writer(store, self._stopping):
                return
            async with (
                LogReader(self._settings.kafka(NAME), tuple(topic.name for topic in TOPICS)) as reader,
                httpx.AsyncClient(trust_env=False) as client,
            ):
                await self._write(store, reader, client)

    async def _write(self, store: AuditStore, reader: LogReader, client: httpx.AsyncClient) -> None:
        key = checkpoint_key(self._settings.audit_origin, self._audit_key)
        kafka = self._settings.kafka(NAME)
        end, checkpoint = await checked_end(store, key, self._registry, kafka, reader.cluster_id)
        async with AuditStore(read_secret(self._settings.database_dsn_file), f"{self._instance} proofs") as proofs:
            proof = _one_at_a_time(TreeReader(proofs.session).consistency)
            desks = [
                WitnessDesk(one, client, proof, await store.cosigned_size(one.key.name)) for one in self._witnesses
            ]
            if not await until_witnessed(desks, checkpoint, store, self._stopping):
                return
            echoes = Echoes(self._registry, reader.cluster_id)
            ingest = Ingest(reader, store, echoes, end)
            heart = Heart(self._instance, ingest, store, echoes, self._writer, self._audit_key)
            checkpoints = Checkpoints(store, key, lambda: ingest.stored.tree, checkpoint)
            term = self._term = _Term(ingest, heart, checkpoints, desks)
            _log.info("auditor.resumed", entries=end.head.entries, head=end.head.chain.hex())
            await term.run(store, self._stopping)
            _log.info("auditor.paused", entries=ingest.stored.head.entries)


class _Term:
    """One time of writing: from the lock to its loss."""

    def __init__(
        self,
        ingest: Ingest,
        heart: Heart,
        checkpoints: Checkpoints,
        desks: Sequence[WitnessDesk],
    ) -> None:
        self._ingest = ingest
        self._heart = heart
        self.checkpoints = checkpoints
        self._desks = desks

    def problem(self) -> str | None:
        """What is wrong, if something is."""
        found = [self._heart.problem(), *(desk.problem() for desk in self._desks)]
        return "; ".join(problem for problem in found if problem is not None) or None

    async def run(self, store: AuditStore, stopping: asyncio.Event) -> None:
        """Until `stopping`; raises the first failure as a group."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ingest.run(stopping))
            tasks.create_task(keep_in_touch(store, stopping))
            watching = tasks.create_task(self._ingest.watch_lag(stopping))
            tasks.create_task(self._heart.run(stopping))
            tasks.create_task(self.checkpoints.run(stopping))
            for desk in self._desks:
                showing = keep_up(desk, self._latest, self.checkpoints.add_cosignature, stopping)
                tasks.create_task(showing)
            await stopping.wait()
            watching.cancel()

    def _latest(self) -> SignedCheckpoint:
        return self.checkpoints.latest


def _one_at_a_time(proof: Proof) -> Proof:
    """The same, for several witnesses through one session."""
    reading = asyncio.Lock()

    async def prove(old: int, new: int) -> Sequence[bytes]:
        async with reading:
            return await proof(old, new)

    return prove


def _database_fault(error: BaseException) -> str:
    """What the database did, if nothing else happened beside it; raises the error again otherwise."""
    leaves = list(_leaves(error))
    others = [leaf for leaf in leaves if not isinstance(leaf, (*DATABASE_FAULTS, NotWriter))]
    if others:
        raise error
    return "; ".join(dict.fromkeys(f"{type(leaf).__name__}: {leaf}" for leaf in leaves))


def _leaves(error: BaseException) -> Sequence[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
