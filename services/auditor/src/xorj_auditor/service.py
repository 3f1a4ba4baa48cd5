"""The auditor at work: store, reader, heart and guard, put together for one process.

1. The store's lock and the end of its log are checked before anything is read or said.
2. A kill is obeyed by acknowledging it; recording goes on, because recording is not acting.
"""

import asyncio
import time

import structlog
from xorj_halt.guard import Guard
from xorj_halt.keys import load_registry, load_seed
from xorj_log.reader import LogReader
from xorj_log.writer import LogWriter
from xorj_service.run import Context
from xorj_service.settings import BUILD, read_secret

from xorj_auditor.echoes import Echoes
from xorj_auditor.heart import Heart
from xorj_auditor.history import check_against_last_heartbeat
from xorj_auditor.ingest import Ingest, topic_names
from xorj_auditor.settings import AuditorSettings
from xorj_auditor.store import AuditStore

NAME = "auditor"


async def audit(context: Context, settings: AuditorSettings) -> None:
    """Record until told to stop. Raises StoreRefused, KeysUnusable, LogRewound and faults of broker and database."""
    log = structlog.get_logger()
    registry = load_registry(settings.keys_file)
    audit_key = load_seed(settings.audit_key_file)
    connection = settings.kafka(NAME)
    instance = f"{NAME}/{settings.instance}"
    store = AuditStore(read_secret(settings.database_dsn_file))
    guard = Guard(connection, settings.keys_file, settings.heartbeat_key_file, NAME, settings.instance, build=BUILD)
    reader = LogReader(connection, topic_names())
    async with store, reader, LogWriter(connection, instance, BUILD) as writer:
        await check_against_last_heartbeat(connection, registry, store)
        echoes = Echoes(registry, reader.cluster_id)
        ingest = Ingest(reader, store, echoes)
        await ingest.resume()
        heart = Heart(instance, ingest, echoes, writer, audit_key)
        context.health.check("heartbeat", heart.problem)
        context.health.check("guard", guard.problem)
        log.info("auditor.resumed", entries=store.head.entries, head=store.head.chain.hex())
        guard.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ingest.run(context.stopping))
                tasks.create_task(ingest.watch_lag(context.stopping))
                tasks.create_task(heart.run(context.stopping))
                announcing = tasks.create_task(context.announce_when_ready())
                await writer.publish(settings.started(NAME, time.time_ns() // 1000))
                await context.stopping.wait()
                announcing.cancel()
        finally:
            await asyncio.to_thread(guard.stop)
    log.info("auditor.stopped", entries=store.head.entries)
