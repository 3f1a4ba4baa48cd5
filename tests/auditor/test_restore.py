"""A recorded history in a real database: restored, verified, replayed, proven from, and never restored over."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from xorj_auditor.checkpoints import log_keys, stored_checkpoint
from xorj_auditor.evidence_source import NoEvidence, collect_evidence
from xorj_auditor.export import open_export, read_export
from xorj_auditor.replay_source import replay_database
from xorj_auditor.restoring import RestoreRefused, restore
from xorj_auditor.store import AuditStore
from xorj_auditor.tree import TreeReader
from xorj_auditor.verify import verify
from xorj_contracts.codec import decode, fact_type
from xorj_core.audit_chain import AuditEntry
from xorj_core.evidence_check import Trust, judge_evidence
from xorj_core.facts import TradeFinalized
from xorj_core.merkle import check_inclusion
from xorj_evidence.main import decode_fact, verifies

from tests.auditor.real_log import RealLog, real_database
from tests.auditor.test_histories import HISTORIES, read

pytestmark = pytest.mark.asyncio(loop_scope="module")
NAME = "signatures.jsonl.gz"
HEADER, ITEMS = read(NAME)
KEYS = log_keys(HEADER.origin, HEADER.registry)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def log(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealLog]:
    async with real_database(Path(tmp_path_factory.mktemp("log"))) as real:
        with open_export(HISTORIES / NAME) as file:
            assert await restore(owner(real), read_export(file)[1]) == HEADER.entries
        yield real


def owner(log: RealLog) -> str:
    return log.database.dsn("xorj_owner", "xorj_audit")


async def test_what_was_restored_verifies_with_everything_beside_the_entries(log: RealLog) -> None:
    result = await verify(log.database.dsn("audit_reader"), log_keys=KEYS)
    assert result.verified, result.fault
    assert result.covered == result.entries == HEADER.entries


async def test_the_auditors_store_goes_on_where_it_ends(log: RealLog) -> None:
    last = next(item for item in reversed(ITEMS) if isinstance(item, AuditEntry))
    async with AuditStore(log.database.dsn("auditor"), "test") as store:
        head = await store.head()
        assert (head.entries, head.chain) == (HEADER.entries, last.chain)
        following = await store.next_offsets(last.cluster_id, [(last.topic, last.partition)])
        assert following == {(last.topic, last.partition): last.next_offset}


async def test_nothing_is_restored_over_a_log(log: RealLog) -> None:
    with pytest.raises(RestoreRefused, match="empty"):
        await restore(owner(log), ITEMS)


async def test_replay_reads_inputs_that_stand_outside_the_range(log: RealLog) -> None:
    connection = await asyncpg.connect(log.database.dsn("audit_reader"))
    try:
        whole = await replay_database(connection, HEADER.registry, 0, HEADER.entries)
        first = next(i.index for i in ITEMS if isinstance(i, AuditEntry) and fact_type(i.value) == "TradeIntended")
        half = await replay_database(connection, HEADER.registry, first, HEADER.entries)
    finally:
        await connection.close()
    assert whole.agrees
    assert whole.decisions > half.decisions > 0
    assert half.agrees, half.open_questions


async def test_every_entry_is_proven_under_the_checkpoint(log: RealLog) -> None:
    connection = await asyncpg.connect(log.database.dsn("audit_reader"))
    try:
        signed = await stored_checkpoint(connection)
        assert signed is not None
        tree, size = TreeReader(connection), signed.checkpoint.size
        for entry in [item for item in ITEMS if isinstance(item, AuditEntry)][:: max(1, size // 20)]:
            proof = await tree.inclusion(entry.index, size)
            check_inclusion(entry.index, size, entry.leaf, proof, signed.checkpoint.root)
    finally:
        await connection.close()


async def test_the_evidence_of_every_trade_that_ended_holds(log: RealLog) -> None:
    finalized = [
        fact.trade_id
        for item in ITEMS
        if isinstance(item, AuditEntry) and fact_type(item.value) == "TradeFinalized"
        if isinstance(fact := decode(item.value).fact, TradeFinalized)
    ]
    assert finalized
    connection = await asyncpg.connect(log.database.dsn("audit_reader"))
    try:
        for trade_id in set(finalized):
            found = await collect_evidence(connection, trade_id, KEYS, ())
            results = judge_evidence(found, Trust(KEYS[0]), decode_fact, verifies)
            assert all(result.passed is not False for result in results), results[-1]
        with pytest.raises(NoEvidence):
            await collect_evidence(connection, bytes(32), KEYS, ())
    finally:
        await connection.close()
