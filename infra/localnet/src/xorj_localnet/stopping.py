"""Owns how a part of the local world learns that it must stop.

1. Ctrl-C and SIGTERM mean the same: an ordered stop.
"""

import asyncio
import signal

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def until_told_to_stop() -> signal.Signals:
    """Waits for SIGINT or SIGTERM; returns which. Must run in the main thread's loop."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[signal.Signals] = loop.create_future()

    def tell(number: signal.Signals) -> None:
        if not told.done():
            told.set_result(number)

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, tell, number)
    try:
        return await told
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
