"""Builds the signer from its settings and runs it until SIGTERM or until one of its tasks fails."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import structlog
import uvloop
from grpc_health.v1 import health
from prometheus_client import start_http_server
from xorj_core.facts import PolicyAdopted, ServiceStarted
from xorj_core.policy.limits import PolicyLimits, policy_sha256
from xorj_halt.guard import Guard
from xorj_halt.keys import KeysUnusable
from xorj_log.fetcher import RecordFetcher
from xorj_log.reader import LogReader
from xorj_log.writer import LogWriter

from xorj_signer.key_health import watch_key
from xorj_signer.knowledge import TOPICS, Knowledge, follow
from xorj_signer.ledger import LEDGER_FAULTS, Ledger
from xorj_signer.logs import configure_logs
from xorj_signer.outbox import Publisher
from xorj_signer.providers import KeyProvider, ProviderFailed, ProviderFault
from xorj_signer.providers.addresses import public_key_text
from xorj_signer.providers.checked import require_solana_key
from xorj_signer.providers.settings import (
    ProviderSettings,
    load_provider_settings,
    open_checked,
    read_secret,
)
from xorj_signer.refusals import Refusals
from xorj_signer.request import INTENTS_TOPIC, Signing
from xorj_signer.server import SignerServicer, build_server, set_serving
from xorj_signer.settings import EXIT_USAGE, SERVICE, SettingsUnusable, SignerSettings, load_settings, own_variables

BUILD = "0.1.0"
GRACE_S = 5.0
"""How long calls in flight may take after SIGTERM."""

PACE_MS = 5
"""Facts go to the broker at most this often, together; it costs each trade nothing and a busy signer a tenth less."""
OBJECTS_BETWEEN_COLLECTIONS = 20_000
"""Little here is cyclic garbage; looking for it every 700 objects took a twentieth of a busy signer's time."""

log = structlog.get_logger()


async def run(settings: SignerSettings, provider: ProviderSettings, dsn: str, guard: Guard) -> None:
    """Open the key and serve with it. Raises `ProviderFailed` for a key that cannot be had, or not be used."""
    key = await open_checked(provider)
    try:
        require_solana_key(key)
        log.info("key", provider=key.name, public_key=public_key_text(key.public_key()))
        guard.start()
        try:
            await serve(settings, provider, key, dsn, guard)
        finally:
            guard.stop()
    finally:
        await key.close()


async def serve(settings: SignerSettings, provider: ProviderSettings, key: KeyProvider, dsn: str, guard: Guard) -> None:
    """Run until told to stop; raises what ended one of the tasks."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    connection = settings.kafka()
    limits = settings.limits()
    knowledge, caught_up = Knowledge(settings.deployment(limits)), asyncio.Event()
    async with (
        LogWriter(connection, f"{SERVICE}/{settings.instance}", BUILD, pace_ms=PACE_MS) as writer,
        LogReader(connection, TOPICS) as reader,
        RecordFetcher(connection, (INTENTS_TOPIC,)) as fetcher,
        Ledger(dsn) as ledger,
    ):
        publisher, refusals = Publisher(ledger, writer), Refusals(writer)
        signing = Signing(
            callers=settings.callers(),
            mode=settings.service_mode(),
            limits=limits,
            fetcher=fetcher,
            guard=guard,
            knowledge=knowledge,
            ledger=ledger,
            key=key,
            publisher=publisher,
            refusals=refusals,
        )
        server, port, state = build_server(settings, SignerServicer(signing.sign_trade, key, refusals.tell))
        await set_serving(state, serving=False)
        tasks = [
            asyncio.create_task(follow(knowledge, reader, writer, caught_up), name="follow"),
            asyncio.create_task(fetcher.ended(), name="fetcher"),
            asyncio.create_task(ledger.ended(), name="ledger"),
            asyncio.create_task(publisher.run(), name="outbox"),
            asyncio.create_task(refusals.run(), name="refusals"),
            asyncio.create_task(stopping.wait(), name="stopping"),
        ]
        try:
            await _either(caught_up, tasks)
            if caught_up.is_set():
                await writer.publish(_started(settings, provider))
                await writer.publish(_adopted(settings, limits, key.public_key()))
                _collect_rarely()
                await server.start()
                await set_serving(state, serving=True)
                tasks.append(asyncio.create_task(_watch(key, provider, state), name="key"))
                _write_ready(settings, port)
                log.info("serving", port=port, mode=settings.mode, provider=key.name)
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await state.enter_graceful_shutdown()
            await server.stop(GRACE_S)
            try:
                await _end(tasks)
            finally:
                await refusals.flush()
                with contextlib.suppress(*LEDGER_FAULTS):  # what is not noted is published again at the next start
                    await publisher.note()


async def _either(happened: asyncio.Event, tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Until it has happened, or one of the tasks has ended."""
    waiting = asyncio.create_task(happened.wait())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _collect_rarely() -> None:
    """What was built for good is never looked through again, and what a request leaves behind not at every turn."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


async def _watch(key: KeyProvider, provider: ProviderSettings, state: health.aio.HealthServicer) -> None:
    async def tell(serving: bool) -> None:
        await set_serving(state, serving=serving)

    await watch_key(key, provider.expected_public_key(), provider.signer_key_check_ms / 1000, tell)


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what still runs; a task that had failed by itself fails the process."""
    failed = [task for task in tasks if task.done() and not task.cancelled() and task.exception() is not None]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in failed:
        log.error("task_failed", task=task.get_name())
        await task


def _started(settings: SignerSettings, provider: ProviderSettings) -> ServiceStarted:
    return ServiceStarted(
        instance=f"{SERVICE}/{settings.instance}",
        service=SERVICE,
        mode=settings.service_mode(),
        configuration_sha256=settings.sha256(provider),
        started_at_us=time.time_ns() // 1000,
    )


def _adopted(settings: SignerSettings, limits: PolicyLimits, bot_authority: bytes) -> PolicyAdopted:
    return PolicyAdopted(
        instance=f"{SERVICE}/{settings.instance}",
        policy_sha256=policy_sha256(limits),
        policy=settings.policy_text(),
        bot_authority=bot_authority,
        adopted_at_us=time.time_ns() // 1000,
    )


def _write_ready(settings: SignerSettings, port: int) -> None:
    """Serve /metrics on loopback, then say where everything is."""
    metrics, _ = start_http_server(settings.health_port, "127.0.0.1")
    path = settings.ready_file
    if path is None:
        return
    address = f"{settings.signer_host}:{port}"
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps({"pid": os.getpid(), "address": address, "metrics_port": metrics.server_port}))
    aside.replace(path)


def main() -> int:
    """Exit code 0 after SIGTERM, 1 after a failure, 2 for settings that cannot work."""
    settings = load_settings()
    configure_logs(settings.instance, settings.log_level)
    try:
        settings.limits()
        provider = load_provider_settings(os.environ, own_variables())
        dsn = read_secret(settings.database_dsn_file)
        guard = Guard(
            settings.kafka(), settings.keys_file, settings.heartbeat_key_file, SERVICE, settings.instance, build=BUILD
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings, provider, dsn, guard))
    except ProviderFailed as error:
        sys.stderr.write(f"the signer cannot start: {error}\n")
        return EXIT_USAGE if error.fault in (ProviderFault.MISCONFIGURED, ProviderFault.WRONG_KEY) else 1
    except (KeysUnusable, SettingsUnusable) as error:
        sys.stderr.write(f"the signer cannot start: {error}\n")
        return EXIT_USAGE
    except Exception:
        log.exception("the signer failed")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
