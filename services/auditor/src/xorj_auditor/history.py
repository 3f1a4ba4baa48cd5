"""Refuses to append to a history that is damaged, or behind or beside the one that was signed and witnessed.

A database restored from an old backup, emptied or rewritten is consistent in itself; only what is kept elsewhere shows
it: the auditor's key, the signed heartbeats on the log, and the witnesses.

1. The latest stored checkpoint is signed by the auditor's key, and the stored tree gives its root.
2. What was stored after it is recomputed, entry by entry, and the last `TAIL_MIN` entries in any case.
3. The newest verified heartbeat of this cluster must be contained in the stored chain: same link at its entry count.
4. Of the witnesses that are configured at least one must have cosigned that checkpoint, and none may contradict it.
5. The empty log is a history too: its checkpoint is signed, shown and kept before the first entry is.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog
from xorj_contracts.codec import Undecodable, decode, fact_type
from xorj_core.audit_chain import AuditEntry, Head, LogEnd
from xorj_core.checkpoint import CheckpointRefused, SignedCheckpoint
from xorj_core.facts import AuditHeartbeat
from xorj_core.keys import KeyRegistry
from xorj_core.merkle import EMPTY_ROOT
from xorj_halt.keys import verifies
from xorj_halt.signatures import signer_of_audit_heartbeat
from xorj_log.connection import KafkaConnection
from xorj_log.reader import LogReader, LogRecord

from xorj_auditor.checking import BadEntry, Checker
from xorj_auditor.checkpoints import CheckpointKey, stored_checkpoint
from xorj_auditor.ingest import partitions
from xorj_auditor.quiet import HEARTBEATS
from xorj_auditor.rows import BadRow
from xorj_auditor.store import AuditStore, StoreRefused
from xorj_auditor.succession import pause
from xorj_auditor.tree import TreeDamaged, TreeReader
from xorj_auditor.witnesses import Behind, Beside, Cosigned, WitnessDesk

LOOK_BACK_RECORDS = 2_000
"""How far back to look at first; eight times as far each time that no audit heartbeat is found."""

TAIL_MIN = 1_000
TAIL_CHUNK = 2_000
WITNESS_RETRY_S = 1.0

_log = structlog.get_logger()


async def checked_end(
    store: AuditStore, key: CheckpointKey, registry: KeyRegistry, connection: KafkaConnection, cluster_id: str
) -> tuple[LogEnd, SignedCheckpoint]:
    """Where the stored log ends and its latest checkpoint, proven as far as this process can. Raises StoreRefused."""
    try:
        head = await store.head()
        checkpoint = await _signed_checkpoint(store, key, head)
        await _check_tail(store, min(checkpoint.checkpoint.size, max(0, head.entries - TAIL_MIN)), head)
        tree = await TreeReader(store.session).frontier(head.entries)
        await _check_against_last_heartbeat(connection, registry, store, head)
    except (BadEntry, BadRow, TreeDamaged, CheckpointRefused) as bad:
        raise StoreRefused(f"the audit log is damaged, nothing is appended to it: {bad}") from bad
    return LogEnd(cluster_id, head, tree, await store.next_offsets(cluster_id, partitions())), checkpoint


async def until_witnessed(
    desks: Sequence[WitnessDesk], checkpoint: SignedCheckpoint, store: AuditStore, stopping: asyncio.Event
) -> bool:
    """Returns True when a witness has cosigned the checkpoint that the log goes on from; at once where there are none.

    False when told to stop before. Raises StoreRefused when one of them has seen more, or another log.
    """
    while not stopping.is_set():
        if not desks:
            return True
        answers = await asyncio.gather(*(desk.show(checkpoint) for desk in desks))
        for desk, answer in zip(desks, answers, strict=True):
            if isinstance(answer, Behind | Beside):
                raise StoreRefused(
                    f"witness {desk.witness.key.name} does not know this history ({desk.contradiction}): the database"
                    " was restored from an older copy or rewritten, nothing is appended to it"
                )
        if any(isinstance(answer, Cosigned) for answer in answers):
            return True
        _log.warning("auditor.waits_for_a_witness", entries=checkpoint.checkpoint.size)
        await store.ping()
        await pause(stopping, WITNESS_RETRY_S)
    return False


async def _signed_checkpoint(store: AuditStore, key: CheckpointKey, head: Head) -> SignedCheckpoint:
    checkpoint = await stored_checkpoint(store.session)
    if checkpoint is None:
        if head.entries:
            raise StoreRefused(f"the audit log has {head.entries} entries and no checkpoint: somebody removed them")
        empty = key.sign(0, EMPTY_ROOT)
        await store.add_checkpoint(0, empty.note().decode(), time.time_ns() // 1000)
        return empty
    checkpoint.signed_by(key.note_key, verifies)
    stated = checkpoint.checkpoint
    if stated.origin != key.note_key.name:
        raise StoreRefused(f"the checkpoint is of the log {stated.origin}, this is {key.note_key.name}")
    if stated.size > head.entries:
        raise StoreRefused(f"the audit log is cut: {head.entries} entries, a checkpoint states {stated.size}")
    if await TreeReader(store.session).root(stated.size) != stated.root:
        raise StoreRefused(f"the audit log is damaged: its tree of {stated.size} entries has not the signed root")
    return checkpoint


async def _check_tail(store: AuditStore, start: int, head: Head) -> None:
    """Recomputes the entries from `start` to the end."""
    before = await store.entries(start - 1, start) if start else []
    checker = Checker(_head_after(before[0]) if before else Head(), from_the_beginning=not start)
    while checker.head.entries < head.entries:
        at = checker.head.entries
        checker.check(await store.entries(at, min(at + TAIL_CHUNK, head.entries)))
        if checker.head.entries == at:
            raise BadEntry(at, "missing")


def _head_after(entry: AuditEntry) -> Head:
    return Head(entry.index + 1, entry.chain, entry.appended_at_us)


async def last_heartbeat(connection: KafkaConnection, registry: KeyRegistry) -> AuditHeartbeat | None:
    """The last verified audit heartbeat on the heartbeats topic, or None where none is left."""
    async with LogReader(connection, (HEARTBEATS,), only={(HEARTBEATS, 0): 0}) as reader:
        end = (await reader.end_offsets())[(HEARTBEATS, 0)]
        look_back = LOOK_BACK_RECORDS
        while True:
            start = max(0, end - look_back)
            found = await _last_between(reader, registry, start, end)
            if found is not None or start == 0:
                return found
            look_back *= 8


async def _last_between(reader: LogReader, registry: KeyRegistry, start: int, end: int) -> AuditHeartbeat | None:
    """The last one from `start` on. (Below the topic's beginning the reader begins at its beginning.)"""
    reader.seek(HEARTBEATS, 0, start)
    claims: list[LogRecord] = []
    while not await reader.has_reached({(HEARTBEATS, 0): end}):
        records = await reader.read(records_max=5_000)
        claims.extend(record for record in records if fact_type(record.value) == "AuditHeartbeat")
    verified = (_verified(record, registry, reader.cluster_id) for record in reversed(claims))
    return next((heartbeat for heartbeat in verified if heartbeat is not None), None)


async def _check_against_last_heartbeat(
    connection: KafkaConnection, registry: KeyRegistry, store: AuditStore, head: Head
) -> None:
    heartbeat = await last_heartbeat(connection, registry)
    if heartbeat is None or heartbeat.entries == 0:
        return
    if await store.chain_at(heartbeat.entries) != heartbeat.head:
        raise StoreRefused(
            f"the audit log has {head.entries} entries and does not contain the head that was signed after "
            f"{heartbeat.entries}: it was restored from an older copy or rewritten, nothing is appended to it"
        )


def _verified(record: LogRecord, registry: KeyRegistry, cluster_id: str) -> AuditHeartbeat | None:
    try:
        fact = decode(record.value).fact
    except Undecodable:
        return None
    if not isinstance(fact, AuditHeartbeat) or fact.cluster_id != cluster_id:
        return None
    return fact if signer_of_audit_heartbeat(registry, fact) is not None else None
