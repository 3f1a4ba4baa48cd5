"""`python -m xorj_localnet.engine`: the stand-in engine as a process.

Settings: XORJ_ENGINE_PORT (0: free), XORJ_READY_FILE (JSON `{"url"}`), XORJ_ENGINE_TOKEN_FILE, XORJ_SCENARIO
(`default`, `recorded`, or a JSON file), XORJ_RECORDED_DATA, XORJ_ENGINE_EMPTY (set: begins without traders).
"""

import asyncio
import os
import sys

from xorj_localnet.engine.app import Engine
from xorj_localnet.market.scenario import ScenarioError, scenario_from_environment
from xorj_localnet.standin.serve import SettingsError, path_or_none, secret, serve_until_told, whole


def main() -> int:
    """Runs until told to stop; 2 for wrong settings."""
    environment = os.environ
    try:
        scenario = scenario_from_environment(environment)
        first = () if environment.get("XORJ_ENGINE_EMPTY") else scenario.traders
        engine = Engine(secret(environment, "XORJ_ENGINE_TOKEN_FILE"), first)
        port = whole(environment, "XORJ_ENGINE_PORT", 0)
    except (SettingsError, ScenarioError) as error:
        sys.stderr.write(f"engine: {error}\n")
        return 2
    asyncio.run(serve_until_told(engine.app(), port, path_or_none(environment, "XORJ_READY_FILE")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
