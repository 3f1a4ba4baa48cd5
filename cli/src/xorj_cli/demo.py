"""`xorj demo`: the whole system on this machine: a ranking is published, vaults trade, the audit log is verified.

1. It ends with 0 only if the trades asked for were confirmed and the audit log was verified; with 4 after a kill.
2. However it ends, no process of the world stays behind.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from solders.pubkey import Pubkey
from solders.signature import Signature
from xorj_localnet.market.scenario import Trader
from xorj_localnet.trading import TradingOptions, TradingWorld

from xorj_cli.audit import verify_audit
from xorj_cli.audit_place import PlaceOptions, audit_place
from xorj_cli.follow import follow
from xorj_cli.output import Exit
from xorj_cli.running import RunningWorld, open_world, rss_mb
from xorj_cli.stories import Stories, Story

STALL_S_MAX = 90.0
"""How long no further trade may be confirmed before the demo gives up."""


@dataclass(frozen=True, slots=True)
class DemoWish:
    """What to show. `recorded`: directory of recorded data, otherwise the default market."""

    trades: int
    recorded: Path | None = None
    rows_per_tick: int = 1


class Screen(Protocol):
    """Where the demo shows what happens."""

    def starting(self) -> AbstractContextManager[Callable[[str, float], None]]:
        """Progress of the start: called with each step's name and milliseconds."""

    def trading(self, world: RunningWorld) -> AbstractContextManager[Callable[[Stories], None]]:
        """The live view of the trades: called when something changed."""

    def result(self, body: dict[str, Any]) -> None:
        """The end of the show."""


async def run_demo(wish: DemoWish, screen: Screen, linger: Callable[[TradingWorld], Awaitable[None]] | None) -> Exit:
    """Start, trade, verify, show; then `linger` with the running world if given. Raises what a failing part raises."""
    began = time.monotonic()
    with screen.starting() as progress:
        world = TradingWorld(_options(wish), progress)
        await world.start()
    try:
        setup_ms = _ms_since(began)
        running = open_world(world.small.world_file)
        stories = Stories()
        with screen.trading(running) as changed:
            await _unless_a_part_dies(world, _trade(wish, world, running, stories, changed))
        audit, _ = await verify_audit(audit_place(PlaceOptions()), show_progress=False)
        body = demo_body(wish, running, stories, audit)
        screen.result({**body, "setup_ms": setup_ms, "elapsed_ms": _ms_since(began)})
        if linger is not None:
            await linger(world)
        return Exit.OK if body["ok"] else Exit.HALTED if stories.killed else Exit.CHECK_FAILED
    finally:
        await asyncio.shield(world.stop())


async def _trade(
    wish: DemoWish, world: TradingWorld, running: RunningWorld, stories: Stories, changed: Callable[[Stories], None]
) -> None:
    """Publish rankings until the trades are confirmed, a kill is seen, or nothing is confirmed for `STALL_S_MAX`.

    Whenever every vault has reached its target and more trades are wanted, the traders change their allocations.
    """
    news = asyncio.Event()

    def look(told: Stories) -> None:
        changed(told)
        news.set()

    following = asyncio.create_task(follow(running, stories, look))
    try:
        rankings, confirmed, progress_at = 0, 0, time.monotonic()
        await world.publish_ranking()
        while len(stories.confirmed()) < wish.trades and not stories.killed:
            if following.done():
                await following
            if len(stories.confirmed()) > confirmed:
                confirmed, progress_at = len(stories.confirmed()), time.monotonic()
            if time.monotonic() - progress_at > STALL_S_MAX:
                return
            if stories.settled(len(running.profiles)):
                rankings += 1
                stories.unsettle()
                await world.publish_ranking(rotated(world.scenario.traders, rankings))
            news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), 1.0)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def rotated(traders: Sequence[Trader], by: int) -> list[Trader]:
    """The same traders, each with the allocation of the one `by` places further down."""
    allocations = [trader.allocation for trader in traders]
    return [replace(t, allocation=allocations[(i + by) % len(traders)]) for i, t in enumerate(traders)]


async def _unless_a_part_dies(world: TradingWorld, work: Coroutine[Any, Any, object]) -> None:
    """Do the work; raises ChildFailed as soon as a process of the world ends by itself."""
    tasks = asyncio.create_task(work), asyncio.create_task(world.small.supervisor.wait_for_death())
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def demo_body(wish: DemoWish, world: RunningWorld, stories: Stories, audit: dict[str, Any]) -> dict[str, Any]:
    """The demo's result as JSON, without its times."""
    confirmed = stories.confirmed()
    return {
        "ok": len(confirmed) >= wish.trades and bool(audit["verified"]),
        "trades": [story_json(story) for story in stories.trades.values()],
        "refused": [{"vault": address(r.vault), "reason": r.reason} for r in stories.refusals],
        "audit": {"entries": audit["entries"], "head": audit["head"], "verified": audit["verified"]},
        "services": [{"name": s.name, "pid": s.pid, "rss_mb": rss_mb(s.pid)} for s in world.services],
    }


def story_json(story: Story) -> dict[str, Any]:
    """One trade; amounts are strings of base units."""
    return {
        "trade_id": story.trade_id.hex(),
        "vault": address(story.vault),
        "trade_seq": story.trade_seq,
        "mint_in": address(story.mint_in),
        "mint_out": address(story.mint_out),
        "amount_in": str(story.amount_in),
        "amount_out": None if story.amount_out is None else str(story.amount_out),
        "amount_out_min": str(story.amount_out_min),
        "signature": str(Signature(story.signature)) if story.signature else None,
        "slot": story.slot,
        "status": story.status,
        "latency_ms": story.latency_ms(),
    }


def address(key: bytes) -> str:
    """A key as Solana writes it."""
    return str(Pubkey(key))


def _options(wish: DemoWish) -> TradingOptions:
    if wish.recorded is None:
        return TradingOptions()
    return TradingOptions(scenario="recorded", recorded=wish.recorded, rows_per_tick=wish.rows_per_tick)


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
