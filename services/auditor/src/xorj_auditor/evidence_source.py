"""Collects the evidence of one trade from the audit database: its records, what they rest on, and their proofs.

1. Every record of the trade is in it, and every record that its deltas and intents rest on.
2. All proofs are under one checkpoint that the log has signed; the smallest that covers them all and that a witness has
   cosigned, or else the newest.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from xorj_contracts.codec import Undecodable, decode
from xorj_core.audit_chain import AuditEntry, EntryKind
from xorj_core.checkpoint import NoteKey, SignedCheckpoint
from xorj_core.evidence import Evidence, EvidenceRecord
from xorj_core.facts import Fact, PortfolioReconciled, TradeIntended
from xorj_core.replay import needed

from xorj_auditor.checkpoints import stored_checkpoint
from xorj_auditor.rows import OF_TRADE, SELECT, WITH_FACT, entry_of
from xorj_auditor.tree import TreeReader
from xorj_auditor.verify_range import signed_by_log

_COSIGNED = "SELECT min(size) FROM audit_cosignatures WHERE size >= $1"


class NoEvidence(Exception):
    """There is nothing, or not enough yet, to make a file of."""


async def collect_evidence(
    connection: Any, trade_id: bytes, log_keys: Sequence[NoteKey], witness_keys: Sequence[NoteKey]
) -> Evidence:
    """The evidence of a trade. Raises NoEvidence, TreeDamaged, CheckpointRefused and asyncpg's errors."""
    found = {entry.index: entry for entry in await _entries(connection, OF_TRADE, trade_id)}
    if not found:
        raise NoEvidence(f"no record of trade {trade_id.hex()} is in the log")
    asked: set[bytes] = set()
    todo = _rested_on(found.values())
    while todo := todo - asked:
        asked |= todo
        more = [entry for fact_id in sorted(todo) for entry in await _entries(connection, WITH_FACT, fact_id)]
        found |= {entry.index: entry for entry in more}
        todo = _rested_on(more)
    checkpoint = await _covering(connection, max(found) + 1)
    tree, size = TreeReader(connection), checkpoint.checkpoint.size
    records = [_record(found[index], await tree.inclusion(index, size)) for index in sorted(found)]
    key = signed_by_log(checkpoint, log_keys)
    note = checkpoint.note().decode()
    return Evidence(trade_id, note, str(key), tuple(str(witness) for witness in witness_keys), tuple(records))


async def _entries(connection: Any, condition: str, argument: bytes) -> list[AuditEntry]:
    rows = await connection.fetch(f"{SELECT} WHERE {condition} ORDER BY entry_index", argument)
    entries = [entry_of(row) for row in rows]
    return [entry for entry in entries if entry.kind is EntryKind.RECORD]


async def _covering(connection: Any, size_min: int) -> SignedCheckpoint:
    cosigned = await connection.fetchval(_COSIGNED, size_min)
    newest = cosigned is None
    checkpoint = await stored_checkpoint(connection, size_min=cosigned or size_min, newest=newest)
    if checkpoint is None:
        raise NoEvidence("its latest records are under no checkpoint yet: ask again in a second")
    return checkpoint


def _rested_on(entries: Iterable[AuditEntry]) -> set[bytes]:
    """Ids of the facts that these records' intents and deltas name as their inputs."""
    facts = [fact for entry in entries if (fact := _fact(entry)) is not None]
    return {found for fact in facts for found in needed(fact)}


def _fact(entry: AuditEntry) -> Fact | None:
    try:
        fact = decode(entry.value).fact
    except Undecodable:
        return None
    return fact if isinstance(fact, TradeIntended | PortfolioReconciled) else None


def _record(entry: AuditEntry, proof: tuple[bytes, ...]) -> EvidenceRecord:
    return EvidenceRecord(
        index=entry.index,
        cluster_id=entry.cluster_id,
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        timestamp_ms=entry.timestamp_ms,
        appended_at_us=entry.appended_at_us,
        key=entry.key,
        headers=entry.headers,
        value=entry.value,
        proof=proof,
    )
