"""The local market's clock and its maker: ticks move the prices, and the pools follow.

1. Reference prices come from the scenario alone, never from a pool.
2. When a tick moves a price, both reserves of each pool concerned are set anew between two transactions: a swap sees
   the pool before the tick or after it. What traders moved in between is undone, as arbitrage would.
"""

import asyncio
import logging
from collections.abc import Sequence

from xorj_localnet.market.accounts import PlacedAccount
from xorj_localnet.market.chain_access import ChainAccess, ChainRefused
from xorj_localnet.market.pools import MarketPool, reserves_at, vault_accounts
from xorj_localnet.market.scenario import Scenario

_log = logging.getLogger(__name__)


class Market:
    """The scenario at its current tick, and the pools that must show it."""

    def __init__(self, scenario: Scenario, pools: Sequence[MarketPool], chain: ChainAccess) -> None:
        self.scenario = scenario
        self.pools = tuple(pools)
        self.tick = 0
        self._chain = chain

    def price_pico_usd(self, mint: str) -> int:
        """Pico-USD for one whole token now; KeyError for a mint that is not in the market."""
        return self.scenario.price_pico_usd(mint, self.tick)

    async def move_to(self, tick: int) -> None:
        """Prices and pools as they are at `tick`. Raises ChainRefused, and then nothing has moved."""
        changed: list[PlacedAccount] = []
        for pool in self.pools:
            wanted = reserves_at(pool, self.scenario, tick)
            if wanted != reserves_at(pool, self.scenario, self.tick):
                changed.extend(vault_accounts(pool, wanted))
        if changed:
            await self._chain.place(changed)
        self.tick = tick

    async def keep_moving(self, tick_ms: int) -> None:
        """One tick every `tick_ms` until cancelled; a chain that does not answer is tried again at the next tick."""
        while True:
            await asyncio.sleep(tick_ms / 1000)
            try:
                await self.move_to(self.tick + 1)
            except ChainRefused as refused:
                _log.warning("the pools were not moved: %s", refused)
