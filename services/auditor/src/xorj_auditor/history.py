"""Refuses to append to a history that forks from the one the auditor has already signed.

A database restored from an old backup, or emptied, is consistent in itself; only a head held elsewhere shows it. The
last signed heartbeats on the log are such a head for as long as the topic keeps them.

1. The newest verified heartbeat of this cluster must be contained in the stored chain: same link at its entry count.
2. Where no heartbeat is left on the log, nothing is proven and nothing is refused.
"""

from xorj_contracts.codec import Undecodable, decode, fact_type
from xorj_core.facts import AuditHeartbeat
from xorj_core.keys import KeyRegistry
from xorj_halt.signatures import signer_of_audit_heartbeat
from xorj_log.connection import KafkaConnection
from xorj_log.reader import LogReader, LogRecord

from xorj_auditor.store import AuditStore, StoreRefused

HEARTBEATS = "heartbeats"
LOOK_BACK_RECORDS = 2_000
"""How far back to look at first; eight times as far each time that no audit heartbeat is found."""


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


async def check_against_last_heartbeat(connection: KafkaConnection, registry: KeyRegistry, store: AuditStore) -> None:
    """Raises StoreRefused if the store does not contain the head of the last signed heartbeat."""
    heartbeat = await last_heartbeat(connection, registry)
    if heartbeat is None:
        return
    if await store.chain_at(heartbeat.entries) != heartbeat.head:
        raise StoreRefused(
            f"the audit log has {store.head.entries} entries and does not contain the head that was signed after "
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
