"""A local chain with the default market's genesis, its vaults opened, and a venue over it, all on real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest_asyncio
from solders.keypair import Keypair
from xorj_localnet.chain.genesis import read_genesis
from xorj_localnet.chain.node import Node
from xorj_localnet.chain.server import running
from xorj_localnet.chain.settings import ChainSettings
from xorj_localnet.chain.slots import Depths
from xorj_localnet.genesis.bootstrap import OpenedVault, bootstrap
from xorj_localnet.genesis.document import genesis_document
from xorj_localnet.genesis.vaults import DEMO_VAULTS
from xorj_localnet.genesis.wallets import Wallets, generate_wallets
from xorj_localnet.market.chain_access import ChainAccess
from xorj_localnet.market.maker import Market
from xorj_localnet.market.pools import pools_of
from xorj_localnet.market.scenario import Scenario, load_scenario
from xorj_localnet.standin.serve import listen
from xorj_localnet.venue.app import Venue
from xorj_solana.programs import LOCAL_CPMM_PROGRAM

API_KEY = "a key for tests"


@dataclass(frozen=True, slots=True)
class VenueWorld:
    """Everything a test of the venue needs."""

    scenario: Scenario
    wallets: Wallets
    bot: Keypair
    vaults: tuple[OpenedVault, ...]
    chain: ChainAccess
    rpc_url: str
    market: Market
    venue: httpx.AsyncClient


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: "object") -> AsyncIterator[VenueWorld]:
    """One world per module; tests that move it put it back."""
    directory: Path = tmp_path_factory.mktemp("venue")  # type: ignore[attr-defined]
    scenario = load_scenario()
    wallets = generate_wallets(directory, [plan.name for plan in DEMO_VAULTS])
    bot = Keypair()
    file = directory / "genesis.json"
    file.write_text(json.dumps(genesis_document(scenario, wallets, bot.pubkey(), DEMO_VAULTS)))
    node = Node(await asyncio.to_thread(read_genesis, file), bytes(range(32)), Depths(2, 32))
    settings = ChainSettings(port=0, ready_file=None, slot_ms=0, depths=Depths(2, 32), genesis_file=None)
    async with running(node, settings) as port:
        rpc_url = f"http://127.0.0.1:{port}"
        async with ChainAccess(rpc_url) as chain:
            vaults = await bootstrap(chain, scenario, wallets, bot.pubkey(), DEMO_VAULTS)
            market = Market(scenario, pools_of(scenario.tokens, LOCAL_CPMM_PROGRAM), chain)
            listening = await listen(Venue(API_KEY, market, chain).app(), 0)
            async with httpx.AsyncClient(
                base_url=listening.url, headers={"x-api-key": API_KEY}, trust_env=False
            ) as client:
                yield VenueWorld(scenario, wallets, bot, vaults, chain, rpc_url, market, client)
            await listening.stop()
