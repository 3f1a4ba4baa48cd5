"""Owns a local world in which trades happen: the small world, a chain with vaults, venue, engine and the services.

1. Nothing in services/ knows whether it talks to a stand-in: each gets addresses and files by its environment.
2. The engine begins with an empty ranking; whoever runs the world publishes the first one (`publish_ranking`).
3. `start` returns when every process is ready; `world.json` is there exactly while it is so.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from solders.pubkey import Pubkey
from xorj_core.base58 import address_bytes
from xorj_log.topics import SERVICES
from xorj_solana.programs import LOCAL_CPMM_PROGRAM, LOCAL_VAULT_PROGRAM

from xorj_localnet.engine.app import ranking_entry
from xorj_localnet.files import write_json, write_secret
from xorj_localnet.genesis.bootstrap import OpenedVault, bootstrap
from xorj_localnet.genesis.document import genesis_document
from xorj_localnet.genesis.placed import PlacedVault, accounts_of
from xorj_localnet.genesis.settings_rows import write_settings
from xorj_localnet.genesis.vaults import DEMO_VAULTS, VaultPlan
from xorj_localnet.genesis.wallets import generate_wallets
from xorj_localnet.hsm import SignerKey, provision
from xorj_localnet.market.chain_access import ChainAccess
from xorj_localnet.market.exact_json import dumps
from xorj_localnet.market.scenario import Scenario, Trader, load_scenario
from xorj_localnet.ports import choose_port
from xorj_localnet.signing import choose_signer_provider
from xorj_localnet.witness import ORIGIN, start_witness
from xorj_localnet.world import Progress, ServiceSpec, World, WorldOptions, silent


@dataclass(frozen=True, slots=True)
class TradingOptions:
    """What kind of world; the defaults are the demo's."""

    world: WorldOptions = field(default_factory=WorldOptions)
    scenario: str = "default"
    recorded: Path | None = None
    rows_per_tick: int = 1
    market_tick_ms: int = 1_000
    slot_ms: int = 300
    confirmed_depth_slots: int = 2
    finalized_depth_slots: int = 32
    plans: Sequence[VaultPlan] = DEMO_VAULTS
    placed: Sequence[PlacedVault] = ()  # vaults that exist from the beginning, beside those of `plans`
    service_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class TradingWorld:
    """The world with everything in it; use it from the main thread of one event loop."""

    def __init__(self, options: TradingOptions | None = None, progress: Progress = silent) -> None:
        self.options = options or TradingOptions()
        self.small = World(self.options.world, progress)
        self.scenario: Scenario = load_scenario(
            self.options.scenario, recorded=self.options.recorded, rows_per_tick=self.options.rows_per_tick
        )
        self.vaults: tuple[OpenedVault, ...] = ()
        self.rpc_url = ""
        self.engine_url = ""
        self.venue_url = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start everything; undoes everything when a part fails. Raises what the failing part raises."""
        self._signer_port = choose_port()  # known before, so that the executor need not wait for the signer
        self.signer_address = f"127.0.0.1:{self._signer_port}"
        await self.small.start(beside=self._start_parts)
        try:
            dsn = self.small.database.dsn_files["settings_writer"].read_text().strip()
            await write_settings(dsn, self.vaults, self.scenario, address_bytes(self.genesis_hash))
            await self._start_services()
        except BaseException:
            await self.small.stop()
            raise
        self.small.publish(**self._description())

    async def stop(self) -> None:
        """End everything, the services before what they use."""
        await self.small.stop()

    async def publish_ranking(self, traders: Sequence[Trader] | None = None) -> None:
        """Let the engine publish a ranking, by default the scenario's. Raises httpx.HTTPError."""
        entries = [ranking_entry(rank, t) for rank, t in enumerate(traders or self.scenario.traders, start=1)]
        await self._post(self.engine_url, "/local/ranking", dumps({"data": entries}))

    async def engine_fault(self, fault: Mapping[str, object]) -> None:
        """Make the engine misbehave (body of POST /local/fault)."""
        await self._post(self.engine_url, "/local/fault", json.dumps(fault))

    async def venue_fault(self, fault: Mapping[str, object]) -> None:
        """Make the venue misbehave (body of POST /local/fault)."""
        headers = {"x-api-key": self._venue_key_file.read_text().strip()}
        await self._post(self.venue_url, "/local/fault", json.dumps(fault), headers)

    async def venue_tick(self, tick: int) -> None:
        """Move prices and pools to a tick of the scenario."""
        headers = {"x-api-key": self._venue_key_file.read_text().strip()}
        await self._post(self.venue_url, "/local/tick", json.dumps({"tick": tick}), headers)

    async def _post(self, url: str, path: str, body: str | bytes, headers: Mapping[str, str] | None = None) -> None:
        token = self._engine_token_file.read_text().strip()
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            answer = await client.post(
                path, content=body, headers={"authorization": f"Bearer {token}", **(headers or {})}
            )
            answer.raise_for_status()

    @property
    def _engine_token_file(self) -> Path:
        return self.small.directory / "keys" / "engine.token"

    @property
    def _venue_key_file(self) -> Path:
        return self.small.directory / "keys" / "venue.key"

    async def _start_parts(self) -> None:
        for path in (self._engine_token_file, self._venue_key_file):
            write_secret(path, secrets.token_hex(32).encode())
        softhsm = choose_signer_provider().softhsm
        self.key: SignerKey = await asyncio.to_thread(provision, self.small.directory / "hsm", softhsm)
        self.bot_authority = Pubkey(self.key.public_key)
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._start_chain_and_venue())
            parts.create_task(self._start_engine())
            parts.create_task(self._start_witness())

    async def _start_witness(self) -> None:
        self.witness = await start_witness(self.small)

    async def _start_chain_and_venue(self) -> None:
        options, small = self.options, self.small
        wallets = generate_wallets(small.directory / "keys", [plan.name for plan in options.plans])
        genesis_file = small.directory / "parts" / "genesis.json"
        genesis_file.parent.mkdir(parents=True, exist_ok=True)
        document = genesis_document(
            self.scenario, wallets, self.bot_authority, options.plans, more_accounts=accounts_of(options.placed)
        )
        write_json(genesis_file, document)
        chain_ready = small.ready_file("chain")
        told = {
            "XORJ_CHAIN_READY_FILE": str(chain_ready),
            "XORJ_CHAIN_SLOT_MS": str(options.slot_ms),
            "XORJ_CHAIN_CONFIRMED_DEPTH_SLOTS": str(options.confirmed_depth_slots),
            "XORJ_CHAIN_FINALIZED_DEPTH_SLOTS": str(options.finalized_depth_slots),
            "XORJ_CHAIN_GENESIS_FILE": str(genesis_file),
        }
        await small.start_process(small.module_process("chain", "xorj_localnet.chain", told, ready_file=chain_ready))
        said = small.supervisor.said_when_ready("chain")
        self.rpc_url, self.ws_url = str(said["rpc_url"]), str(said["ws_url"])
        self.genesis_hash = str(said["genesis_hash"])
        async with asyncio.TaskGroup() as rest:
            rest.create_task(self._start_venue())
            async with ChainAccess(self.rpc_url) as chain:
                opened = await bootstrap(chain, self.scenario, wallets, self.bot_authority, options.plans)
            self.vaults = (*opened, *(placed.opened for placed in options.placed))

    async def _start_venue(self) -> None:
        told = {
            **self._scenario_env(),
            "XORJ_RPC_URL": self.rpc_url,
            "XORJ_VENUE_KEY_FILE": str(self._venue_key_file),
            "XORJ_MARKET_TICK_MS": str(self.options.market_tick_ms),
        }
        self.venue_url = await self._start_stand_in("venue", told)

    async def _start_engine(self) -> None:
        told = {
            **self._scenario_env(),
            "XORJ_ENGINE_TOKEN_FILE": str(self._engine_token_file),
            "XORJ_ENGINE_EMPTY": "1",
        }
        self.engine_url = await self._start_stand_in("engine", told)

    async def _start_stand_in(self, name: str, told: Mapping[str, str]) -> str:
        ready = self.small.ready_file(name)
        env = {**told, "XORJ_READY_FILE": str(ready)}
        await self.small.start_process(self.small.module_process(name, f"xorj_localnet.{name}", env, ready_file=ready))
        return str(self.small.supervisor.said_when_ready(name)["url"])

    def _scenario_env(self) -> dict[str, str]:
        recorded = {} if self.options.recorded is None else {"XORJ_RECORDED_DATA": str(self.options.recorded)}
        rows = str(self.options.rows_per_tick)
        return {"XORJ_SCENARIO": self.options.scenario, "XORJ_MARKET_ROWS_PER_TICK": rows, **recorded}

    async def _start_services(self) -> None:
        async with asyncio.TaskGroup() as services:
            for name in ("reconciler", "executor", "signer", "auditor", "ingestor"):  # those that take longest first
                services.create_task(self.small.start_service(self._service(name)))

    def _service(self, name: str) -> ServiceSpec:
        env = {**self._service_env(name), **self.options.service_env.get(name, {})}
        return ServiceSpec(name, f"xorj_{name}", {"XORJ_INSTANCE": f"{name}-1", **env})

    def _service_env(self, name: str) -> dict[str, str]:
        chain = {
            "XORJ_RPC_URL": self.rpc_url,
            "XORJ_WS_URL": self.ws_url,
            "XORJ_GENESIS_HASH": self.genesis_hash,
            "XORJ_VAULT_PROGRAM": str(LOCAL_VAULT_PROGRAM),
        }
        venue = {"XORJ_VENUE_URL": self.venue_url, "XORJ_VENUE_KEY_FILE": str(self._venue_key_file)}
        match name:
            case "auditor":
                audit_key = self.small.keys.named("auditor-heartbeat").seed_file
                return {"XORJ_AUDIT_KEY_FILE": str(audit_key), **self.witness.settings()}
            case "ingestor":
                engine = {"XORJ_ENGINE_URL": self.engine_url, "XORJ_ENGINE_TOKEN_FILE": str(self._engine_token_file)}
                deployment = {name: chain[name] for name in ("XORJ_GENESIS_HASH", "XORJ_VAULT_PROGRAM")}
                return {**deployment, **venue, **engine, "XORJ_ENGINE_POLL_MS": "250"}
            case "reconciler":
                return chain
            case "executor":
                return {**chain, **venue, "XORJ_SIGNER_ADDRESS": self.signer_address}
            case _:
                local = {"XORJ_LOCAL_GENESIS_HASH": self.genesis_hash}
                return {**chain, **local, "XORJ_SIGNER_PORT": str(self._signer_port), **self.key.settings}

    def _description(self) -> dict[str, Any]:
        pids = self.small.supervisor.pids()
        ready = {name: self.small.supervisor.said_when_ready(name) for name in SERVICES}
        return {
            "genesis_hash": self.genesis_hash,
            "chain": {"rpc_url": self.rpc_url, "ws_url": self.ws_url},
            "engine_url": self.engine_url,
            "venue_url": self.venue_url,
            "programs": {"vault": str(LOCAL_VAULT_PROGRAM), "cpmm": str(LOCAL_CPMM_PROGRAM)},
            "mints": [{"mint": t.mint, "symbol": t.symbol, "decimals": t.decimals} for t in self.scenario.tokens],
            "vaults": [
                {"vault": str(v.vault), "owner": str(v.owner), "profile": v.plan.profile.name.lower()}
                for v in self.vaults
            ],
            "audit": {"origin": ORIGIN, "witness": {"url": self.witness.url, "key": self.witness.key}},
            "signer": {"address": self.signer_address, "provider": self.key.provider},
            "services": [
                {"name": name, "pid": pids[name], "health_port": ready[name].get("health_port")} for name in SERVICES
            ],
        }
