"""Attacks on the audit log by whoever owns its database but not the auditor's key: each is found, and where.

A real PostgreSQL, a superuser's session, the log's own store and checkpoints. `resealed` is the best a thief can do:
every leaf, link and stored hash computed anew.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from xorj_auditor.checkpoints import checkpoint_key
from xorj_auditor.rows import COLUMNS, SELECT, entry_of
from xorj_auditor.verify_range import What
from xorj_core.audit_chain import GENESIS, AuditEntry, leaf_of, link
from xorj_core.merkle import Frontier, ProofRefused, check_consistency
from xorj_halt.keys import signing_key

from tests.auditor.real_log import ORIGIN, RealLog, real_database

pytestmark = pytest.mark.asyncio(loop_scope="module")
SIZE = 1_500
EVERY = 400


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealLog]:
    async with real_database(Path(tmp_path_factory.mktemp("log"))) as real:
        await real.write(SIZE, checkpoint_every=EVERY)
        result = await real.verified()
        assert result.verified, result.fault
        assert result.covered == result.entries == SIZE
        await real.keep()
        yield real


@pytest_asyncio.fixture(loop_scope="module")
async def log(database: RealLog) -> RealLog:
    """A whole log of 1,500 entries with checkpoints about every 400."""
    await database.restore()
    return database


async def entries(log: RealLog) -> list[AuditEntry]:
    return [entry_of(row) for row in await log.superuser.fetch(f"{SELECT} ORDER BY entry_index")]


async def store(log: RealLog, changed: list[AuditEntry]) -> None:
    await log.superuser.execute("TRUNCATE audit_entries")
    await log.superuser.copy_records_to_table("audit_entries", records=changed, columns=COLUMNS)


async def resealed(log: RealLog, changed: list[AuditEntry]) -> None:
    """Stores these entries with new numbers, leaves, links and tree."""
    chain, sealed = GENESIS, []
    for index, bare in enumerate(changed):
        entry = bare._replace(index=index)
        leaf = leaf_of(entry)
        chain = link(chain, index, entry.appended_at_us, leaf)
        sealed.append(entry._replace(leaf=leaf, chain=chain))
    await store(log, sealed)
    nodes = Frontier().extend([entry.leaf for entry in sealed])
    await log.superuser.execute("TRUNCATE audit_nodes")
    rows = [(node.level, node.index, found) for node, found in nodes]
    await log.superuser.copy_records_to_table("audit_nodes", records=rows)


def span_of(log: RealLog, index: int) -> tuple[int, int]:
    """The sizes of the signed checkpoints before and after an entry."""
    sizes = [0, *[c.checkpoint.size for c in log.checkpoints]]
    return max(s for s in sizes if s <= index), min(s for s in sizes if s > index)


EDITS = {
    "value": "value = '\\x1234'",
    "value to null": "value = NULL",
    "key": "key = '\\x00'",
    "headers": "headers = '\\x00000000'",
    "topic": "topic = 'control'",
    "cluster": "cluster_id = 'another'",
    "offset": "first_offset = first_offset + 1, next_offset = next_offset + 1",
    "broker's time": "timestamp_ms = timestamp_ms + 1",
    "append time": "appended_at_us = appended_at_us + 1",
    "leaf": "leaf = set_byte(leaf, 0, get_byte(leaf, 0) # 1)",
    "link": "chain = set_byte(chain, 31, get_byte(chain, 31) # 1)",
    "kind": "kind = 2",
}


@pytest.mark.parametrize(("edit", "jobs"), [*((edit, 1) for edit in EDITS), ("value", 3)])
async def test_an_edited_row_is_named(log: RealLog, edit: str, jobs: int) -> None:
    where = "kind = 1 AND value IS NOT NULL AND entry_index >= 700"
    index = await log.superuser.fetchval(f"SELECT min(entry_index) FROM audit_entries WHERE {where}")
    await log.superuser.execute(f"UPDATE audit_entries SET {EDITS[edit]} WHERE entry_index = {index}")
    result = await log.verified(jobs=jobs)
    assert result.fault is not None
    assert (result.fault.what, result.fault.where) == (What.ENTRY, index), result.fault
    assert result.entries == index


async def test_rows_that_no_constraint_would_allow_are_named(log: RealLog) -> None:
    for column, value in (("leaf", "'\\x00'"), ("chain", "NULL"), ("topic", "NULL"), ("kind", "7")):
        await log.superuser.execute(
            "ALTER TABLE audit_entries DROP CONSTRAINT IF EXISTS audit_entries_kind_check,"
            " DROP CONSTRAINT IF EXISTS audit_entries_leaf_check, DROP CONSTRAINT IF EXISTS audit_entries_chain_check,"
            " ALTER COLUMN topic DROP NOT NULL, ALTER COLUMN chain DROP NOT NULL"
        )
        good = await entries(log)
        await log.superuser.execute(f"UPDATE audit_entries SET {column} = {value} WHERE entry_index = 901")
        result = await log.verified()
        assert result.fault is not None, column
        assert result.fault.where == 901, (column, result.fault)
        await store(log, good)


async def test_a_deleted_row_is_named(log: RealLog) -> None:
    await log.superuser.execute("DELETE FROM audit_entries WHERE entry_index = 1001")
    result = await log.verified()
    assert result.fault is not None
    assert (result.fault.where, "missing" in result.fault.reason) == (1001, True)


async def test_a_row_stored_twice_is_named(log: RealLog) -> None:
    twice = (await entries(log))[800]
    await log.superuser.copy_records_to_table(
        "audit_entries", records=[twice._replace(appended_at_us=twice.appended_at_us + 1)], columns=COLUMNS
    )
    result = await log.verified()
    assert result.fault is not None
    assert result.fault.where in (800, 801)


async def test_two_swapped_entries_are_named_at_the_first(log: RealLog) -> None:
    found = await entries(log)
    one, other = found[600], found[900]
    found[600], found[900] = other._replace(index=600), one._replace(index=900)
    await store(log, found)
    result = await log.verified()
    assert result.fault is not None
    assert result.fault.where == 600


async def test_a_cut_tail_is_found_by_its_own_checkpoints_or_by_one_held_elsewhere(log: RealLog) -> None:
    held = log.checkpoints[-1]
    await log.superuser.execute("DELETE FROM audit_entries WHERE entry_index >= 1200")
    result = await log.verified()
    assert result.fault is not None, "the checkpoints beside it speak of more"
    await log.superuser.execute("DELETE FROM audit_checkpoints WHERE size > 1200")
    result = await log.verified()
    assert result.fault is not None, "the offsets beside it go on"
    first = "SELECT max(first_entry) FROM audit_batches WHERE next_entry <= 1200"
    whole = await log.superuser.fetchval(f"SELECT next_entry FROM audit_batches WHERE first_entry = ({first})")
    for table, column in (
        ("audit_entries", "entry_index"),
        ("audit_batches", "first_entry"),
        ("audit_offsets", "first_entry"),
    ):
        await log.superuser.execute(f"DELETE FROM {table} WHERE {column} >= {whole}")
    await log.superuser.execute(f"DELETE FROM audit_nodes WHERE (node_index + 1) * 256 > {whole}")
    assert (await log.verified()).verified, "what is left is a whole log of an earlier time"
    result = await log.verified(held)
    assert result.fault is not None
    assert (result.fault.where, "cut" in result.fault.reason) == (whole, True)


async def test_everything_deleted_and_sealed_anew_is_found_by_what_somebody_holds(log: RealLog) -> None:
    held = log.checkpoints[-1]
    await log.empty()
    result = await log.verified(held)
    assert result.fault is not None
    assert "cut" in result.fault.reason
    await log.write(SIZE + 500, seed=2)
    await log.superuser.execute("TRUNCATE audit_checkpoints CASCADE")  # the thief has no key to sign any
    own = await log.verified()
    assert (own.verified, own.statements) == (True, 0), "nothing speaks for it: `xorj audit verify` cannot tell"
    result = await log.verified(held)
    assert result.fault is not None
    assert "rewritten" in result.fault.reason


async def test_relinking_around_a_deleted_range_is_found(log: RealLog) -> None:
    found = await entries(log)
    await resealed(log, found[:500] + found[560:])
    result = await log.verified()
    assert result.fault is not None
    assert 500 <= result.fault.where <= 600, result.fault
    filled = [entry for entry in found if entry.topic != "heartbeats"]
    await log.superuser.execute("DELETE FROM audit_offsets WHERE topic = 'heartbeats'")
    await resealed(log, filled)  # every offset of every other partition is there
    result = await log.verified()
    assert result.fault is not None
    assert "rewritten" in result.fault.reason


@pytest.mark.parametrize("index", [3, 650, 1499])
async def test_an_edit_with_everything_computed_anew_is_found_between_two_checkpoints(log: RealLog, index: int) -> None:
    found = await entries(log)
    found[index] = found[index]._replace(timestamp_ms=5, value=b"forged", kind=found[index].kind)
    if found[index].kind != 1:
        found[index] = (await entries(log))[index]._replace(next_offset=found[index].next_offset + 1)
    await resealed(log, found)
    result = await log.verified()
    assert result.fault is not None
    first, size = span_of(log, index)
    assert (result.fault.what, result.fault.where) == (What.ENTRY, first) or result.fault.where >= index
    assert first <= index < size


async def test_checkpoints_signed_by_a_thiefs_own_key_are_named(log: RealLog) -> None:
    found = await entries(log)
    found[700] = found[700]._replace(appended_at_us=found[700].appended_at_us)
    thief = checkpoint_key(ORIGIN, signing_key(bytes(32)))
    tree = Frontier()
    for entry in found[:EVERY]:
        tree.append(entry.leaf)
    note = thief.sign(EVERY, tree.root()).note().decode()
    await log.superuser.execute("UPDATE audit_checkpoints SET note = $1 WHERE size = $2", note, EVERY)
    result = await log.verified()
    assert result.fault is not None
    assert (result.fault.what, result.fault.where) == (What.CHECKPOINT, EVERY)


async def test_forged_append_times_are_found_even_with_every_link_computed_anew(log: RealLog) -> None:
    found = await entries(log)
    await resealed(log, [entry._replace(appended_at_us=entry.appended_at_us - 3_600_000_000) for entry in found])
    result = await log.verified()
    assert result.fault is not None
    assert "rewritten" in result.fault.reason
    back = [e._replace(appended_at_us=e.appended_at_us - 10_000_000 * (e.index == 900)) for e in found]
    await resealed(log, back)
    result = await log.verified()
    assert result.fault is not None


async def test_an_old_backup_with_new_entries_is_found_by_what_somebody_holds(log: RealLog) -> None:
    held = log.checkpoints[-1]
    await log.empty()
    await log.write(800, checkpoint_every=EVERY)  # the same log as it was, byte for byte but for its times
    log.checkpoints.clear()
    await log.superuser.execute("TRUNCATE audit_nodes, audit_batches, audit_offsets, audit_entries CASCADE")
    await log.superuser.execute("TRUNCATE audit_checkpoints CASCADE")
    await log.write(SIZE + 300, checkpoint_every=EVERY, seed=3)
    result = await log.verified(held)
    assert result.fault is not None
    assert result.fault.where < held.checkpoint.size


async def test_two_heads_of_a_fork_cannot_both_be_shown_to_one_who_remembers(log: RealLog) -> None:
    shown = log.checkpoints[-2].checkpoint
    found = await entries(log)
    forked = Frontier()
    for entry in found[:-1]:
        forked.append(entry.leaf)
    forked.append(bytes(32))
    other = log.key.sign(SIZE, forked.root())
    last = log.checkpoints[-1].checkpoint
    with pytest.raises(ProofRefused):
        check_consistency(SIZE, SIZE, last.root, other.checkpoint.root, ())
    assert shown.size < SIZE
    result = await log.verified(other)
    assert result.fault is not None
    assert "rewritten" in result.fault.reason


@pytest.mark.parametrize(
    ("tamper", "what"),
    [
        ("UPDATE audit_nodes SET hash = decode(repeat('00', 32), 'hex') WHERE node_index = 2", What.TREE),
        ("DELETE FROM audit_nodes WHERE node_index = 1", What.TREE),
        ("UPDATE audit_offsets SET next_offset = next_offset + 7 WHERE first_entry = 0", What.OFFSETS),
        (
            "UPDATE audit_checkpoints SET note = replace(note, 'test/', 'other/') WHERE size = 400",
            What.CHECKPOINT,
        ),
        ("UPDATE audit_checkpoints SET note = '' WHERE size = 400", What.CHECKPOINT),
        ("UPDATE audit_checkpoints SET size = 401 WHERE size = 400", What.CHECKPOINT),
    ],
)
async def test_what_stands_beside_the_entries_is_verified_too(log: RealLog, tamper: str, what: What) -> None:
    assert not (await log.superuser.execute(tamper)).endswith(" 0")
    result = await log.verified()
    assert result.fault is not None
    assert result.fault.what is what, result.fault


async def test_the_services_roles_can_do_none_of_this(log: RealLog) -> None:
    import asyncpg

    for role in ("auditor", "audit_reader"):
        session = await asyncpg.connect(log.database.dsn(role))
        try:
            for table in ("audit_entries", "audit_checkpoints", "audit_nodes", "audit_offsets", "audit_batches"):
                lifted = f"ALTER TABLE {table} DISABLE TRIGGER ALL"
                for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", lifted):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await session.execute(statement)
        finally:
            await session.close()
