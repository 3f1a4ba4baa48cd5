"""``python -m xorj_localnet.chain``: a local cluster until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import sys

import uvloop

from xorj_localnet.chain.genesis import Genesis, GenesisError, read_genesis
from xorj_localnet.chain.node import Node
from xorj_localnet.chain.server import running
from xorj_localnet.chain.settings import ChainSettings, ChainSettingsError, read_settings

EXIT_USAGE = 2
EXIT_UNREACHABLE = 3


async def run(settings: ChainSettings, node: Node) -> None:
    """Serve until a signal asks to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(node, settings) as port:
        logging.getLogger(__name__).info("local cluster listens on 127.0.0.1:%d", port)
        await stop.wait()


def main() -> int:
    """Read settings, build the node, serve; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    try:
        settings = read_settings(os.environ)
        genesis = Genesis() if settings.genesis_file is None else read_genesis(settings.genesis_file)
    except (ChainSettingsError, GenesisError) as error:
        sys.stderr.write(f"chain: {error}\n")
        return EXIT_USAGE
    node = Node(genesis, secrets.token_bytes(32), settings.depths)
    try:
        uvloop.run(run(settings, node))
    except OSError as error:
        sys.stderr.write(f"chain: cannot listen on port {settings.port}: {error}\n")
        return EXIT_UNREACHABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
