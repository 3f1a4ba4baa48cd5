"""One real world: a broker and a database that refuse whoever is not meant to come in and keep what they took."""

import asyncio
import json
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, TopicAuthorizationFailedError
from xorj_localnet.certificates import PRINCIPALS, Identity, issue_certificates
from xorj_localnet.database import DATABASES, OWNER
from xorj_localnet.migrations import Migration, MigrationRefused, migrate
from xorj_localnet.supervisor import WorldBusy
from xorj_localnet.topics import create_topics
from xorj_localnet.world import World, WorldOptions
from xorj_log.topics import EXECUTOR_GROUP, RECONCILER_PREFIX, TOPICS

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEADLINE_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Broker and database of one world, shared by the tests of this file; its directory is closed to other users."""
    options = WorldOptions(directory=tmp_path_factory.mktemp("localnet") / "world")
    async with World(options) as one:
        one.publish()
        yield one


def _producer(address: str, identity: Identity) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=address,
        security_protocol="SSL",
        ssl_context=identity.client_context(),
        acks="all",
        enable_idempotence=True,
    )


async def _write(world: World, principal: str, topic: str) -> None:
    producer = _producer(world.broker.address, world.certificates.of(principal))
    await producer.start()
    try:
        await asyncio.wait_for(producer.send_and_wait(topic, b"one record"), DEADLINE_S)
    finally:
        await producer.stop()


async def _read_one(world: World, principal: str, topic: str, group: str | None) -> bytes | None:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=world.broker.address,
        security_protocol="SSL",
        ssl_context=world.certificates.of(principal).client_context(),
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        record = await asyncio.wait_for(consumer.getone(), DEADLINE_S)
        value: bytes | None = record.value
        return value
    finally:
        await consumer.stop()


async def test_the_topics_of_the_table_are_there_and_no_other(world: World) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    identity = world.certificates.of("admin")
    admin = AIOKafkaAdminClient(
        bootstrap_servers=world.broker.address, security_protocol="SSL", ssl_context=identity.client_context()
    )
    await admin.start()
    try:
        described = await admin.describe_topics()
    finally:
        await admin.close()
    partitions = {entry["topic"]: len(entry["partitions"]) for entry in described if not entry["topic"].startswith("_")}
    assert partitions == {topic.name: topic.partitions for topic in TOPICS}


async def test_the_table_can_be_applied_again(world: World) -> None:
    await create_topics(world.broker.address, world.certificates.of("admin"))


async def test_a_topic_takes_records_from_its_writer_only(world: World) -> None:
    await _write(world, "ingestor", "strategies")
    for foreign in ("executor", "signer", "auditor", "operator"):
        with pytest.raises(TopicAuthorizationFailedError):
            await _write(world, foreign, "strategies")
    assert await _read_one(world, "auditor", "strategies", None) == b"one record"


async def test_a_group_belongs_to_its_principal(world: World) -> None:
    await _write(world, "reconciler", "portfolio-deltas")
    assert await _read_one(world, "executor", "portfolio-deltas", EXECUTOR_GROUP) == b"one record"
    with pytest.raises(GroupAuthorizationFailedError):
        await _read_one(world, "auditor", "portfolio-deltas", EXECUTOR_GROUP)


async def test_only_the_reconciler_makes_topics_and_only_its_own(world: World) -> None:
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    async def create(principal: str, topic: str) -> int:
        admin = AIOKafkaAdminClient(
            bootstrap_servers=world.broker.address,
            security_protocol="SSL",
            ssl_context=world.certificates.of(principal).client_context(),
        )
        await admin.start()
        try:
            response = await admin.create_topics([NewTopic(topic, 1, 1)], validate_only=True)
        finally:
            await admin.close()
        code: int = response.topic_errors[0][1]
        return code

    refused = TopicAuthorizationFailedError.errno
    assert await create("reconciler", f"{RECONCILER_PREFIX}vaults-changelog") == 0
    assert await create("reconciler", "another-topic") == refused
    assert await create("executor", f"{RECONCILER_PREFIX}vaults-changelog") == refused


async def test_a_certificate_of_another_world_is_not_let_in(world: World, tmp_path: Path) -> None:
    foreign = issue_certificates(tmp_path, ("admin",)).of("admin")
    context = ssl.create_default_context(cafile=str(world.certificates.of("admin").ca_file))
    context.load_cert_chain(foreign.certificate_file, foreign.key_file)
    producer = AIOKafkaProducer(
        bootstrap_servers=world.broker.address, security_protocol="SSL", ssl_context=context, request_timeout_ms=3000
    )
    with pytest.raises(KafkaConnectionError):
        await producer.start()
    await producer.stop()


async def test_a_role_enters_its_own_database_only(world: World) -> None:
    for database, members in DATABASES.items():
        for role in members:
            connection = await asyncpg.connect(world.database.dsn(role))
            assert await connection.fetchval("SELECT current_database()") == database
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("CREATE TABLE mine (id integer)")
            await connection.close()
            for other in (*(name for name in DATABASES if name != database), "postgres"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await asyncpg.connect(world.database.dsn(role, other))


async def test_a_wrong_password_is_refused(world: World) -> None:
    wrong = world.database.dsn("signer").replace("postgresql://signer:", "postgresql://signer:x")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


async def test_a_migration_is_applied_once_and_never_changes(world: World) -> None:
    first = Migration("xorj_signer", "test", "0001_notes", "CREATE TABLE notes (id integer)")
    assert await migrate(world.database, [first]) == 1
    assert await migrate(world.database, [first]) == 0
    changed = Migration("xorj_signer", "test", "0001_notes", first.sql + "; SELECT 1")
    with pytest.raises(MigrationRefused, match="0001_notes"):
        await migrate(world.database, [changed])
    broken = Migration("xorj_signer", "test", "0002_broken", "CREATE TABLE half (); SELECT * FROM nowhere")
    with pytest.raises(asyncpg.UndefinedTableError):
        await migrate(world.database, [broken])
    owner = await asyncpg.connect(world.database.dsn(OWNER, "xorj_signer"))
    assert await owner.fetchval("SELECT to_regclass('half')") is None
    await owner.close()


async def test_every_secret_is_readable_by_its_owner_only(world: World) -> None:
    secrets = [world.certificates.of(principal).key_file for principal in PRINCIPALS]
    secrets += [world.certificates.of("broker").keystore_file, *world.database.dsn_files.values()]
    secrets += [key.seed_file for key in world.keys.keys]
    secrets += list((world.directory / "database").glob("*.password"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


async def test_no_secret_is_in_an_argument_or_a_log(world: World) -> None:
    passwords = [path.read_text() for path in (world.directory / "database").glob("*.password")]
    seeds = [key.seed_file.read_text() for key in world.keys.keys]
    said = [world.logs(name) for name in world.supervisor.pids()]
    said += [" ".join(psutil.Process(pid).cmdline()) for pid in world.supervisor.pids().values()]
    assert not [secret for secret in passwords + seeds for text in said if secret in text]


async def test_the_registry_holds_public_keys_with_their_roles(world: World) -> None:
    registry = json.loads(world.keys.registry_file.read_bytes())["keys"]
    roles = {(entry["principal"], tuple(entry["roles"])) for entry in registry}
    assert ("executor", ("kill", "heartbeat")) in roles
    assert ("auditor", ("audit-heartbeat",)) in roles
    assert [entry for entry in registry if "resume" in entry["roles"] and entry["principal"] != "operator"] == []
    assert len({entry["key_id"] for entry in registry}) == len(registry)


async def test_a_world_in_use_is_not_taken_over(world: World) -> None:
    with pytest.raises(WorldBusy):
        await World(WorldOptions(directory=world.directory)).start()
    assert set(world.supervisor.pids()) == {"broker", "database"}


async def test_broker_and_database_keep_what_they_acknowledged_when_killed(world: World) -> None:
    await _write(world, "executor", "trade-intents")
    owner = await asyncpg.connect(world.database.dsn(OWNER, "xorj_audit"))
    await owner.execute("CREATE TABLE kept (id integer); INSERT INTO kept VALUES (7)")
    world.kill("broker")
    world.kill("database")
    await owner.close(timeout=5)
    await world.restart("broker")
    await world.restart("database")
    assert await _read_one(world, "auditor", "trade-intents", None) == b"one record"
    again = await asyncpg.connect(world.database.dsn(OWNER, "xorj_audit"))
    assert await again.fetchval("SELECT id FROM kept") == 7
    await again.close()
