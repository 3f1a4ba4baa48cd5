"""`xorj bench trade`: how long a trade takes from its delta to its confirmation, and how many fit into a second.

Two worlds, one after the other, each with `vaults` vaults that exist from genesis and hold USDC:

- `with_slot_waits`: slots of 300 ms, confirmed after two, as on the real cluster.
- `without_slot_waits`: a slot every 50 ms that counts as confirmed at once. What remains of the chain is its work, not
  its pace: at most one such slot lies between sending and confirming.

In each world first the bare hops are measured, then `rate` trades a second for `seconds` seconds: the ranking names a
JUP trader that moderate vaults may follow and a USDC trader for conservative ones, and one owner after another changes
the profile, so that this vault trades. In the first world finally all vaults trade at once: the ranking changes to
the JUP trader alone and then to the USDC trader alone; the second change is the measured burst.

1. The world is the bench's own (XORJ_HOME/bench) and is stopped however the measurement ends.
2. A vault is asked only when its last trade is final; otherwise it could not trade yet and nobody would know why.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from xorj_core.facts.common import RiskProfile
from xorj_localnet.genesis.placed import place_vaults
from xorj_localnet.genesis.vaults import VaultPlan
from xorj_localnet.market.scenario import Trader, load_scenario
from xorj_localnet.market.tokens import JUP, USDC
from xorj_localnet.paths import Home
from xorj_localnet.trading import TradingOptions, TradingWorld
from xorj_localnet.world import World, WorldOptions
from xorj_log.connection import KafkaConnection

from xorj_cli.bench.figures import Burst, Paced, burst_figures, paced_figures
from xorj_cli.bench.hops import HopFigures, measure_hops
from xorj_cli.bench.report import Figure, machine, report
from xorj_cli.follow import follow
from xorj_cli.output import Failure
from xorj_cli.running import open_world
from xorj_cli.stories import Stories, Story

SLOT_MS: Final = 300
FAST_SLOT_MS: Final = 50
FINAL_S_MAX: Final = 60.0
HOPS_PACED_MAX: Final = 50
PLAN: Final = VaultPlan("bench", RiskProfile.CONSERVATIVE, {"USDC": 20})
"""Small vaults: a thousand of them at once move a pool's price by less than the strictest slippage."""
FAST_RULES: Final = {"XORJ_EXECUTOR_INTENT_SLOTS": "300", "XORJ_EXECUTOR_ATTEMPT_SLOTS": "150"}
"""Twice as many slots as usual to execute in: fast slots leave little time, and expiry is not what is measured."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TradeWish:
    """How much to measure."""

    vaults: int = 120
    seconds: int = 10
    rate: int = 10


async def run_trade_bench(wish: TradeWish, say: Say) -> dict[str, Any]:
    """The report. Raises Failure, what a failing part raises, KafkaError, PostgreSQL's errors."""
    host = machine()
    figures: list[Figure] = []
    for kind in ("with_slot_waits", "without_slot_waits"):
        async with bench_world(kind, wish, say) as bench:
            hops = await bench.measure_hops(wish)
            figures += paced_figures(Paced(kind, *await bench.pace(wish), hops))
            if kind == "with_slot_waits":
                figures += burst_figures(Burst(*await bench.burst(), hops))
    return report("trade", figures, host)


class TradeBench:
    """One running world and what is read of it."""

    def __init__(self, world: TradingWorld, database: "asyncpg.Connection[Any]", stories: Stories, say: Say) -> None:
        self._world = world
        self._database = database
        self._stories = stories
        self._say = say
        self._changed = asyncio.Event()
        self._vaults = [bytes(opened.vault) for opened in world.vaults]
        self._profile = dict.fromkeys(self._vaults, RiskProfile.CONSERVATIVE)

    @property
    def small(self) -> World:
        """Its broker, database, certificates and keys."""
        return self._world.small

    def changed(self, stories: Stories) -> None:
        """Something was read."""
        self._changed.set()

    async def measure_hops(self, wish: TradeWish) -> HopFigures:
        """The limit, at the pace of the trades."""
        self._say("bare hops")
        small = self._world.small
        admin = small.certificates.of("admin")
        connection = KafkaConnection(
            small.broker.address, admin.ca_file, admin.certificate_file, admin.key_file, "xorj-bench"
        )
        paced = min(HOPS_PACED_MAX, wish.seconds * wish.rate)
        return await measure_hops(connection, paced=paced, pace_s=1 / wish.rate, at_once=wish.vaults)

    async def pace(self, wish: TradeWish) -> tuple[int, list[Story]]:
        """Ask for `rate` trades a second; how many were asked for, and the trades."""
        jup, usdc = _trader("jup", JUP.mint, 9_000), _trader("usdc", USDC.mint, 9_700)
        await self._world.publish_ranking([jup, usdc])
        await self._ask_one(self._vaults[0])  # a first trade pays for connections; it is not counted
        await self._until(lambda: self._is_final(self._vaults[:1], 1), "the first trade", FINAL_S_MAX)
        before = set(self._stories.trades)
        self._say(f"{wish.seconds * wish.rate} trades, {wish.rate} a second")
        asked, due = 0, time.monotonic()
        for turn in range(wish.seconds * wish.rate):
            due += 1 / wish.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            vault = self._vaults[(turn + 1) % len(self._vaults)]
            if self._is_final([vault], 0):
                await self._ask_one(vault)
                asked += 1
        with contextlib.suppress(Failure):  # what was not confirmed shows in the figures
            await self._until(lambda: len(self._since(before)) >= asked, "the last trades", FINAL_S_MAX)
        return asked, self._since(before)

    async def burst(self) -> tuple[int, list[Story]]:
        """Let all vaults trade at once; how many were asked for, and the trades."""
        await self.move_all("jup", JUP.mint)
        return await self.move_all("usdc", USDC.mint)

    async def move_all(self, name: str, mint: str) -> tuple[int, list[Story]]:
        """Publish a ranking of one trader and wait for the trades of every vault that holds something else."""
        await self._until(lambda: self._is_final(self._vaults, 0), "finality", FINAL_S_MAX)
        before = set(self._stories.trades)
        wanted = sum(self._holds_jup(vault) != (name == "jup") for vault in self._vaults)
        self._say(f"{wanted} trades at once")
        await self._world.publish_ranking([_trader(name, mint, 9_700)])
        with contextlib.suppress(Failure):  # what was not confirmed shows in the figures
            await self._until(lambda: len(self._since(before)) >= wanted, "the burst", FINAL_S_MAX + wanted / 5)
        return wanted, self._since(before)

    async def _ask_one(self, vault: bytes) -> None:
        was = self._profile[vault]
        now = RiskProfile.MODERATE if was is RiskProfile.CONSERVATIVE else RiskProfile.CONSERVATIVE
        self._profile[vault] = now
        await self._database.execute(
            "UPDATE vault_settings SET profile = $2, version = version + 1 WHERE vault = $1", vault, now.name.lower()
        )

    def _since(self, before: Collection[bytes]) -> list[Story]:
        return [story for story in self._stories.confirmed() if story.trade_id not in before]

    def _is_final(self, vaults: Collection[bytes], trades_min: int) -> bool:
        wanted = set(vaults)
        mine = [story for story in self._stories.trades.values() if story.vault in wanted]
        return len(mine) >= trades_min and all(story.status in {"finalized", "expired"} for story in mine)

    def _holds_jup(self, vault: bytes) -> bool:
        return sum(story.vault == vault for story in self._stories.confirmed()) % 2 == 1

    async def _until(self, done: Callable[[], bool], what: str, seconds_max: float) -> None:
        try:
            async with asyncio.timeout(seconds_max):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            confirmed, refusals = len(self._stories.confirmed()), [r.reason for r in self._stories.refusals[-3:]]
            detail = f"{confirmed} trades confirmed, last refusals {refusals}"
            self._say(f"gave up waiting for {what}: {detail}")
            raise Failure("bench_stalled", f"waited {seconds_max:.0f} s for {what}: {detail}", "see the logs") from None


@asynccontextmanager
async def bench_world(kind: str, wish: TradeWish, say: Say) -> AsyncIterator[TradeBench]:
    """A running world that is being read."""
    say(f"starting the world: {kind}")
    world = TradingWorld(_options(kind, wish), lambda step, ms: say(f"{step}: {ms:.0f} ms"))
    await world.start()
    try:
        dsn = world.small.database.dsn_files["settings_writer"].read_text().strip()
        stories = Stories()
        database = await asyncpg.connect(dsn, timeout=10)
        bench = TradeBench(world, database, stories, say)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(follow(open_world(world.small.world_file), stories, bench.changed))
            try:
                yield bench
            finally:
                following.cancel()
                database.terminate()
    finally:
        say("stopping the world")
        await asyncio.shield(world.stop())


def _options(kind: str, wish: TradeWish) -> TradingOptions:
    home = Home.from_environment()
    is_fast = kind == "without_slot_waits"
    return TradingOptions(
        world=WorldOptions(home=home, directory=home.root / "bench"),
        slot_ms=FAST_SLOT_MS if is_fast else SLOT_MS,
        confirmed_depth_slots=0 if is_fast else 2,
        plans=(),
        placed=place_vaults(load_scenario(), PLAN, wish.vaults),
        service_env={
            "ingestor": {"XORJ_SETTINGS_POLL_MS": "50"},
            "executor": FAST_RULES if is_fast else {},
        },
    )


def _trader(name: str, mint: str, trust_score_hundredths: int) -> Trader:
    traders: Sequence[Trader] = load_scenario().traders
    wallet = traders[0 if name == "jup" else 1].wallet
    return Trader(wallet, trust_score_hundredths, {mint: 10_000}, traders[0].metrics)
