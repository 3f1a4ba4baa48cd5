"""`python -m xorj_localnet.venue`: the stand-in venue as a process; it also moves the market, prices and pools.

Settings: XORJ_VENUE_PORT (0: free), XORJ_READY_FILE (JSON `{"url"}`), XORJ_VENUE_KEY_FILE, XORJ_RPC_URL, XORJ_SCENARIO
(`default`, `recorded`, or a JSON file), XORJ_RECORDED_DATA, XORJ_MARKET_TICK_MS (0: prices stand still),
XORJ_MARKET_ROWS_PER_TICK (speed of the recorded scenario).
"""

import asyncio
import logging
import os
import sys

from xorj_solana.programs import LOCAL_CPMM_PROGRAM

from xorj_localnet.market.chain_access import ChainAccess
from xorj_localnet.market.maker import Market
from xorj_localnet.market.pools import pools_of
from xorj_localnet.market.scenario import Scenario, ScenarioError, scenario_from_environment
from xorj_localnet.standin.serve import SettingsError, path_or_none, required, secret, serve_until_told, whole
from xorj_localnet.venue.app import Venue

TICK_MS_DEFAULT = 1000


async def run(scenario: Scenario, api_key: str, rpc_url: str, port: int, tick_ms: int) -> None:
    """Serves and moves the market until told to stop."""
    async with ChainAccess(rpc_url) as chain:
        market = Market(scenario, pools_of(scenario.tokens, LOCAL_CPMM_PROGRAM), chain)
        venue = Venue(api_key, market, chain)
        moving = asyncio.create_task(market.keep_moving(tick_ms)) if tick_ms else None
        try:
            await serve_until_told(venue.app(), port, path_or_none(os.environ, "XORJ_READY_FILE"))
        finally:
            if moving is not None:
                moving.cancel()


def main() -> int:
    """Runs until told to stop; 2 for wrong settings."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    environment = os.environ
    try:
        scenario = scenario_from_environment(environment)
        api_key = secret(environment, "XORJ_VENUE_KEY_FILE")
        port = whole(environment, "XORJ_VENUE_PORT", 0)
        tick_ms = whole(environment, "XORJ_MARKET_TICK_MS", TICK_MS_DEFAULT)
        rpc_url = required(environment, "XORJ_RPC_URL")
    except (SettingsError, ScenarioError) as error:
        sys.stderr.write(f"venue: {error}\n")
        return 2
    asyncio.run(run(scenario, api_key, rpc_url, port, tick_ms))
    return 0


if __name__ == "__main__":
    sys.exit(main())
