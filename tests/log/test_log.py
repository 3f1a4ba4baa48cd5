"""Reader, writer, inbox and fetcher against a real broker with real access rules."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from xorj_contracts.codec import decode
from xorj_core.facts import DeadLettered, Fact, Position, RankingObserved, ReferencePriceObserved, SettingsChanged
from xorj_localnet.world import World
from xorj_log import reader as reader_module
from xorj_log.connection import KafkaConnection
from xorj_log.fetcher import RecordFetcher, RecordNotFound, WrongCluster
from xorj_log.inbox import FactRecord, Inbox, Incoming, UndecodableRecord
from xorj_log.reader import LogReader, LogRecord, ReadRefused
from xorj_log.topics import EXECUTOR_GROUP, VAULT_PARTITIONS
from xorj_log.writer import LogWriter, PublishUnknown, RecordTooLarge

from tests.contracts.fact_examples import example
from tests.worlds import connection_of, small_world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with small_world(Path(tmp_path_factory.mktemp("world"))) as started:
        yield started


def price(observed_at_us: int) -> ReferencePriceObserved:
    observed: ReferencePriceObserved = example(ReferencePriceObserved)
    return dataclasses.replace(observed, observed_at_us=observed_at_us)


def settings(vault: int, version: int) -> SettingsChanged:
    changed: SettingsChanged = example(SettingsChanged)
    return dataclasses.replace(changed, vault=bytes([vault]) * 32, version=version)


def writer_of(connection: KafkaConnection) -> LogWriter:
    return LogWriter(connection, connection.client_id, "test")


async def publish(world: World, principal: str, *facts: Fact) -> list[Position]:
    async with writer_of(connection_of(world, principal)) as writer:
        return [await writer.publish(fact) for fact in facts]


async def read_until(reader: LogReader, count: int) -> list[LogRecord]:
    records: list[LogRecord] = []
    async with asyncio.timeout(20):
        while len(records) < count:
            records += await reader.read()
    return records


async def test_what_is_published_is_read_where_it_was_said_to_stand(world: World) -> None:
    facts = [price(n) for n in range(1, 4)]
    positions = await publish(world, "ingestor", *facts)
    async with LogReader(connection_of(world, "executor"), ["prices"]) as reader:
        records = [r for r in await read_until(reader, 3) if r.position in positions]
        assert [r.position for r in records] == positions
        assert records[0].key == facts[0].mint
        assert await reader.has_reached(await reader.end_offsets())


async def test_a_foreign_principal_cannot_write_or_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PublishUnknown, match="TopicAuthorizationFailed"):
        await publish(world, "executor", price(9))
    monkeypatch.setattr(reader_module, "START_DEADLINE_S", 1.0)
    with pytest.raises(ReadRefused, match="signer cannot read strategies"):
        async with LogReader(connection_of(world, "signer"), ["strategies"]):
            pass


async def test_a_writer_goes_on_after_a_refused_record(world: World) -> None:
    async with writer_of(connection_of(world, "ingestor")) as writer:
        with pytest.raises(RecordTooLarge):
            await writer.append("prices", b"k", b"x" * (300 * 1024))
        with pytest.raises(PublishUnknown):
            await writer.append("confirmations", b"k", b"not ours")
        assert (await writer.publish(price(10))).topic == "prices"


async def test_garbage_becomes_a_dead_letter_and_the_partition_moves(world: World) -> None:
    connection = connection_of(world, "ingestor")
    async with writer_of(connection) as writer:
        bad = await writer.append("strategies", b"\xff" * 32, b"garbage")
        misplaced = await writer.append("strategies", None, await _value_of(world, price(11)))
        good = (await publish(world, "ingestor", example_ranking()))[0]
    async with (
        LogReader(connection_of(world, "reconciler"), ["strategies"]) as reader,
        writer_of(connection_of(world, "reconciler")) as writer,
    ):
        inbox, items = Inbox(reader, writer, "reconciler"), list[Incoming]()
        async with asyncio.timeout(20):
            while len(items) < 3:
                items += await inbox.read()
    assert [(type(i), i.record.position) for i in items] == [
        (UndecodableRecord, bad),
        (UndecodableRecord, misplaced),
        (FactRecord, good),
    ]
    async with LogReader(connection_of(world, "auditor"), ["dead-letters"]) as reader:
        letters = [decode(r.value).fact for r in await read_until(reader, 2)]
    assert [letter.position for letter in letters if isinstance(letter, DeadLettered)] == [bad, misplaced]


def example_ranking() -> Fact:
    ranking: RankingObserved = example(RankingObserved)
    return ranking


async def _value_of(world: World, fact: Fact) -> bytes:
    position = (await publish(world, "ingestor", fact))[0]
    async with RecordFetcher(connection_of(world, "signer"), ["prices"]) as fetcher:
        value = (await fetcher.fetch(position, 5)).value
    assert value is not None
    return value


async def test_a_group_shares_vaults_and_reads_each_share_from_its_beginning(world: World) -> None:
    positions = await publish(world, "ingestor", *(settings(v, 1) for v in range(1, 33)))
    assert len({p.partition for p in positions}) == VAULT_PARTITIONS
    connection = connection_of(world, "executor")
    async with LogReader(connection, ["user-settings"], group=EXECUTOR_GROUP) as first:
        assert len(await read_until(first, 32)) == 32
        async with LogReader(connection, ["user-settings"], group=EXECUTOR_GROUP) as second:
            seen: dict[str, set[Position]] = {"first": set(), "second": set()}
            async with asyncio.timeout(30):
                while len(seen["first"] | seen["second"]) < 32 or not seen["second"]:
                    seen["first"] |= {r.position for r in await first.read()}
                    seen["second"] |= {r.position for r in await second.read()}
            assert not {p.partition for p in seen["first"]} & {p.partition for p in seen["second"]}


async def test_a_record_is_fetched_by_its_position_and_by_nothing_else(world: World) -> None:
    old = (await publish(world, "ingestor", price(20)))[0]
    async with RecordFetcher(connection_of(world, "signer"), ["prices"]) as fetcher:
        waiting = asyncio.create_task(fetcher.fetch(dataclasses.replace(old, offset=old.offset + 1), 20))
        new = (await publish(world, "ingestor", price(21)))[0]
        assert (await waiting).position == new
        assert (await fetcher.fetch(old, 10)).position == old
        with pytest.raises(WrongCluster):
            await fetcher.fetch(dataclasses.replace(old, cluster_id="another"), 1)
        for nowhere in (
            dataclasses.replace(old, topic="strategies"),
            dataclasses.replace(old, partition=5),
            dataclasses.replace(old, offset=old.offset + 1000),
        ):
            with pytest.raises(RecordNotFound):
                await fetcher.fetch(nowhere, 0.3)
