"""`python -m xorj_reconciler`: builds the adapters and runs the reconciler until SIGTERM."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import structlog
from solders.pubkey import Pubkey
from xorj_halt.guard import Guard
from xorj_log.inbox import Inbox, UndecodableRecord, dead_letter
from xorj_log.reader import LogReader
from xorj_log.writer import LogWriter, PublishUnknown
from xorj_service.run import Context, run_service
from xorj_service.settings import BUILD, load_settings
from xorj_solana.rpc import RpcClient

from xorj_reconciler.desk import Desk
from xorj_reconciler.market import Market
from xorj_reconciler.settings import ReconcilerSettings
from xorj_reconciler.tables import ReadModels
from xorj_reconciler.vaults import ChainVaultReader

NAME = "reconciler"
MARKET_TOPICS = ("strategies", "prices")
DEAD_LETTER_RETRY_S = 0.5


async def reconcile(context: Context, settings: ReconcilerSettings) -> None:
    """Run until told to stop. Observing goes on while trading is killed: the guard only obeys and acknowledges."""
    connection = settings.kafka(NAME)
    guard = Guard(connection, settings.keys_file, settings.heartbeat_key_file, NAME, settings.instance, build=BUILD)
    guard.start()
    context.health.check("guard", guard.problem)
    try:
        async with (
            LogWriter(connection, f"{NAME}/{settings.instance}", BUILD) as writer,
            LogReader(connection, MARKET_TOPICS) as reader,
            RpcClient(settings.rpc_url) as rpc,
        ):
            market = Market()
            models = ReadModels(connection, writer.cluster_id, _dead_letters(writer))
            desk = Desk(
                models,
                market,
                ChainVaultReader(rpc, Pubkey.from_string(settings.vault_program)),
                writer,
                period_ms=settings.reconcile_period_ms,
                retry_ms=settings.reconcile_retry_ms,
                price_age_ms_max=settings.reconcile_price_age_ms_max,
            )
            context.health.check("read models", lambda: None if models.caught_up else "catching up")
            context.health.check("market", lambda: None if market.caught_up else "catching up")
            work = [
                context.spawn("tables", models.run(on_change=desk.touch)),
                context.spawn("market", market.follow(reader, Inbox(reader, writer, NAME), on_ranking=desk.touch_all)),
                context.spawn("desk", desk.run()),
                context.spawn("announce", context.announce_when_ready()),
            ]
            await writer.publish(settings.started(NAME, time.time_ns() // 1000))
            await context.stopping.wait()
            for task in work:
                task.cancel()
            await asyncio.wait(work)  # before the reader and the writer that they use are closed
    finally:
        guard.stop()


def _dead_letters(writer: LogWriter) -> Callable[[UndecodableRecord], Awaitable[None]]:
    async def publish(item: UndecodableRecord) -> None:
        """Until it is on the log: the record's partition waits, because skipping it would lose it."""
        while True:
            try:
                await writer.publish(dead_letter(item, NAME))
            except PublishUnknown as error:
                structlog.get_logger().warning("dead_letter.unknown", at=str(item.record.position), detail=str(error))
                await asyncio.sleep(DEAD_LETTER_RETRY_S)
            else:
                return

    return publish


def main() -> int:
    """The process's exit code."""
    settings = load_settings(ReconcilerSettings)

    async def work(context: Context) -> None:
        await reconcile(context, settings)

    return run_service(NAME, settings, work)


if __name__ == "__main__":
    sys.exit(main())
