"""`python -m xorj_ingestor`: builds the adapters and runs the pollers until SIGTERM.

Observing goes on while trading is killed: the guard here only obeys, acknowledges and sends heartbeats.
"""

import sys
import time

from xorj_halt.guard import Guard
from xorj_log.writer import LogWriter
from xorj_service.run import Context, run_service
from xorj_service.settings import BUILD, load_settings, read_secret

from xorj_ingestor.http_source import HttpSource
from xorj_ingestor.polling import Polling
from xorj_ingestor.price_poller import PricePoller
from xorj_ingestor.ranking_poller import RankingPoller
from xorj_ingestor.settings import IngestorSettings
from xorj_ingestor.settings_database import SettingsDatabase
from xorj_ingestor.settings_poller import SettingsPoller

NAME = "ingestor"


async def ingest(context: Context, settings: IngestorSettings) -> None:
    """Run until told to stop."""
    connection = settings.kafka(NAME)
    engine_headers = {"authorization": f"Bearer {read_secret(settings.engine_token_file)}"}
    venue_headers = {"x-api-key": read_secret(settings.venue_key_file)}
    database = SettingsDatabase(read_secret(settings.database_dsn_file))
    guard = Guard(connection, settings.keys_file, settings.heartbeat_key_file, NAME, settings.instance, build=BUILD)
    guard.start()
    context.health.check("guard", guard.problem)
    try:
        async with (
            LogWriter(connection, f"{NAME}/{settings.instance}", BUILD) as writer,
            HttpSource(settings.engine_url, engine_headers) as engine,
            HttpSource(settings.venue_url, venue_headers) as venue,
        ):
            await writer.publish(settings.started(NAME, time.time_ns() // 1000))
            owners = SettingsPoller(database, writer, settings.deployment())
            asking_owners = Polling(owners, settings.settings_poll_ms)
            pollings = {
                "settings": asking_owners,
                # Which mints need a price is known from the settings.
                "prices": Polling(PricePoller(venue, writer, owners), settings.price_poll_ms, after=asking_owners),
                "engine": Polling(RankingPoller(engine, writer), settings.engine_poll_ms),
            }
            tasks = []
            for name, polling in pollings.items():
                context.health.check(name, polling.problem)
                tasks.append(context.spawn(name, polling.run()))
            announcing = context.spawn("announce", context.announce_when_ready())
            await context.stopping.wait()
            for task in (announcing, *tasks):
                task.cancel()
    finally:
        await database.close()
        guard.stop()


def main() -> int:
    """The process's exit code."""
    settings = load_settings(IngestorSettings)

    async def work(context: Context) -> None:
        await ingest(context, settings)

    return run_service(NAME, settings, work)


if __name__ == "__main__":
    sys.exit(main())
