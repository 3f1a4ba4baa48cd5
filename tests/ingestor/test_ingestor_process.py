"""The ingestor as a process: real broker, database, engine and venue; what it publishes is read back from the log."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from xorj_core.base58 import address_text
from xorj_core.facts import (
    Fact,
    RankingObserved,
    RankingRefused,
    ReferencePriceObserved,
    ServiceStarted,
    SettingsChanged,
)
from xorj_ingestor.ranking import NO_ALLOCATION
from xorj_localnet.genesis.bootstrap import OpenedVault
from xorj_localnet.genesis.settings_rows import write_settings
from xorj_localnet.genesis.vaults import DEMO_VAULTS
from xorj_localnet.market.scenario import Scenario, load_scenario
from xorj_localnet.market.tokens import BONK, USDC
from xorj_localnet.world import ServiceSpec, World
from xorj_log.inbox import FactRecord, read_record
from xorj_log.reader import LogReader
from xorj_solana.programs import LOCAL_VAULT_PROGRAM
from xorj_solana.vault import vault_address

from tests.worlds import connection_of, small_world

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLUSTER = bytes([8]) * 32
FACT_S_MAX = 20.0
TOPICS = ("strategies", "user-settings", "prices", "observations")


@dataclass(slots=True)
class Ingesting:
    """A running ingestor and everything it has published so far."""

    world: World
    scenario: Scenario
    engine: httpx.AsyncClient
    venue: httpx.AsyncClient
    reader: LogReader
    facts: list[Fact]

    async def until(self, wanted: Callable[[list[Fact]], bool]) -> list[Fact]:
        """All facts so far, as soon as they are what is wanted."""
        deadline = time.monotonic() + FACT_S_MAX
        while not wanted(self.facts):
            assert time.monotonic() < deadline, f"{self.facts[-10:]}\n{self.world.logs('ingestor')[-3000:]}"
            for record in await self.reader.read(timeout_ms=100):
                read = read_record(record)
                assert isinstance(read, FactRecord)
                self.facts.append(read.fact)
        return self.facts

    def settings_dsn(self) -> str:
        return self.world.database.dsn("settings_writer")


def opened(scenario: Scenario) -> list[OpenedVault]:
    owners = [(plan, Keypair()) for plan in DEMO_VAULTS]
    return [OpenedVault(plan, vault_address(LOCAL_VAULT_PROGRAM, key.pubkey()), key) for plan, key in owners]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ingesting(tmp_path_factory: "object") -> AsyncIterator[Ingesting]:
    directory: Path = tmp_path_factory.mktemp("ingestor")  # type: ignore[attr-defined]
    scenario = load_scenario()
    async with small_world(directory) as world:
        parts = directory / "secrets"
        parts.mkdir()
        for name in ("engine", "venue"):
            (parts / name).write_text(os.urandom(16).hex())
        await write_settings(world.database.dsn("settings_writer"), opened(scenario), scenario, CLUSTER)
        urls = {}
        for name, env in (
            ("engine", {"XORJ_ENGINE_TOKEN_FILE": str(parts / "engine")}),
            # Prices need no chain: the pools are not asked for, and the market stands still.
            ("venue", {"XORJ_VENUE_KEY_FILE": str(parts / "venue"), "XORJ_RPC_URL": "http://127.0.0.1:9"}),
        ):
            env = {**env, "XORJ_READY_FILE": str(world.ready_file(name)), "XORJ_MARKET_TICK_MS": "0"}
            await world.start_process(world.module_process(name, f"xorj_localnet.{name}", env))
            urls[name] = httpx.Response(200, content=world.ready_file(name).read_bytes()).json()["url"]
        env = {
            "XORJ_GENESIS_HASH": address_text(CLUSTER),
            "XORJ_VAULT_PROGRAM": str(LOCAL_VAULT_PROGRAM),
            "XORJ_ENGINE_URL": urls["engine"],
            "XORJ_ENGINE_TOKEN_FILE": str(parts / "engine"),
            "XORJ_VENUE_URL": urls["venue"],
            "XORJ_VENUE_KEY_FILE": str(parts / "venue"),
            "XORJ_ENGINE_POLL_MS": "100",
            "XORJ_PRICE_POLL_MS": "100",
            "XORJ_SETTINGS_POLL_MS": "100",
        }
        await world.start_service(ServiceSpec("ingestor", "xorj_ingestor", env))
        token, key = (parts / "engine").read_text(), (parts / "venue").read_text()
        async with (
            LogReader(connection_of(world, "auditor"), TOPICS) as reader,
            httpx.AsyncClient(base_url=urls["engine"], headers={"authorization": f"Bearer {token}"}) as engine,
            httpx.AsyncClient(base_url=urls["venue"], headers={"x-api-key": key}) as venue,
        ):
            yield Ingesting(world, scenario, engine, venue, reader, [])


async def test_ranking_prices_and_settings_are_published(ingesting: Ingesting) -> None:
    mints = {bytes(Pubkey.from_string(token.mint)) for token in ingesting.scenario.tokens}

    def all_there(facts: list[Fact]) -> bool:
        priced = {fact.mint for fact in facts if isinstance(fact, ReferencePriceObserved)}
        settings = [fact for fact in facts if isinstance(fact, SettingsChanged)]
        ranked = any(isinstance(fact, RankingObserved) for fact in facts)
        return ranked and priced == mints and len(settings) == len(DEMO_VAULTS)

    facts = await ingesting.until(all_there)
    (started,) = (fact for fact in facts if isinstance(fact, ServiceStarted))
    assert started.service == "ingestor"
    (ranking,) = (fact for fact in facts if isinstance(fact, RankingObserved))
    assert [one.rank for one in ranking.traders] == [1, 2, 3, 5, 6]
    assert [one.trust_score_hundredths for one in ranking.traders] == [7105, 8740, 9275, 9610, 9725]
    assert [one.reason for one in ranking.skipped] == [NO_ALLOCATION]
    prices = {fact.mint: fact for fact in facts if isinstance(fact, ReferencePriceObserved)}
    assert prices[bytes(Pubkey.from_string(BONK.mint))].price_pico_usd == 22_410_000
    assert prices[bytes(Pubkey.from_string(BONK.mint))].decimals == 5


async def test_a_bad_engine_is_refused_once_while_prices_go_on(ingesting: Ingesting) -> None:
    await ingesting.engine.post("/local/fault", json={"path": "/internal/ranked-traders", "kind": "garbage"})
    await ingesting.until(lambda facts: any(isinstance(fact, RankingRefused) for fact in facts))
    seen = len(ingesting.facts)
    await ingesting.until(lambda facts: sum(isinstance(fact, ReferencePriceObserved) for fact in facts[seen:]) >= 15)
    assert sum(isinstance(fact, RankingRefused) for fact in ingesting.facts) == 1
    await ingesting.engine.post("/local/fault", json={"path": "/internal/ranked-traders", "kind": None})
    allocation = [{"mint": USDC.mint, "weight_bps": 10_000}]
    data = [{"rank": 1, "wallet_address": USDC.mint, "trust_score": 99, "allocation": allocation}]
    await ingesting.engine.post("/local/ranking", json={"data": data})
    facts = await ingesting.until(lambda facts: sum(isinstance(fact, RankingObserved) for fact in facts) == 2)
    newest = [fact for fact in facts if isinstance(fact, RankingObserved)][-1]
    assert [one.trust_score_hundredths for one in newest.traders] == [9900]


async def test_a_bad_venue_stops_prices_but_not_settings(ingesting: Ingesting) -> None:
    await ingesting.venue.post("/local/fault", json={"path": "/price/v3", "kind": "garbage"})
    vaults = opened(ingesting.scenario)[:1]
    await write_settings(ingesting.settings_dsn(), vaults, ingesting.scenario, CLUSTER, version=7)
    await ingesting.until(lambda facts: any(isinstance(fact, SettingsChanged) and fact.version == 7 for fact in facts))
    await ingesting.venue.post("/local/fault", json={"path": "/price/v3", "kind": None})
    seen = len(ingesting.facts)
    await ingesting.until(lambda facts: any(isinstance(fact, ReferencePriceObserved) for fact in facts[seen:]))


async def test_the_settings_database_keeps_its_rules(ingesting: Ingesting) -> None:
    vaults = opened(ingesting.scenario)[:1]
    await write_settings(ingesting.settings_dsn(), vaults, ingesting.scenario, CLUSTER, version=5)
    for version in (5, 4):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await write_settings(ingesting.settings_dsn(), vaults, ingesting.scenario, CLUSTER, version=version)
    connection = await asyncpg.connect(ingesting.world.database.dsn("ingestor"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM vault_settings")
    finally:
        await asyncio.wait_for(connection.close(), 5)


async def test_a_database_that_is_killed_stops_no_prices_and_is_read_again_when_it_is_back(
    ingesting: Ingesting,
) -> None:
    # 1. Kill the database. 2. Prices go on. 3. Start it again. 4. A newer version is published. Whether the settings
    # already published come once more does not matter: readers take the highest version.
    ingesting.world.kill("database")
    seen = len(ingesting.facts)
    await ingesting.until(lambda facts: sum(isinstance(fact, ReferencePriceObserved) for fact in facts[seen:]) >= 15)
    await ingesting.world.restart("database")
    vaults = opened(ingesting.scenario)[:1]
    await write_settings(ingesting.settings_dsn(), vaults, ingesting.scenario, CLUSTER, version=11)
    await ingesting.until(lambda facts: any(isinstance(fact, SettingsChanged) and fact.version == 11 for fact in facts))
