"""`python -m xorj_witness`: runs a witness until SIGTERM."""

import asyncio
import json
import os
import sqlite3
import sys

import structlog
import uvicorn
from xorj_core.checkpoint import KeyType, NoteKey
from xorj_halt.keys import KeysUnusable, load_seed
from xorj_service.logs import configure_logs
from xorj_service.settings import load_settings

from xorj_witness.app import Witness
from xorj_witness.settings import LogsUnusable, WitnessSettings, load_logs
from xorj_witness.storage import Storage


async def serve(settings: WitnessSettings) -> None:
    """Serve until told to stop. Raises KeysUnusable, LogsUnusable, sqlite3.Error."""
    key = load_seed(settings.witness_key_file)
    note_key = NoteKey(settings.witness_name, KeyType.COSIGNATURE_V1, key.public_key)
    with Storage(settings.witness_store_file) as storage:
        witness = Witness(note_key, key, load_logs(settings.witness_logs_file), storage)
        server = uvicorn.Server(
            uvicorn.Config(
                witness.app(),
                host=settings.witness_host,
                port=settings.witness_port,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=2,
            )
        )
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            _announce(settings, int(server.servers[0].sockets[0].getsockname()[1]), note_key)
        await serving


def _announce(settings: WitnessSettings, port: int, note_key: NoteKey) -> None:
    url = f"http://{settings.witness_host}:{port}"
    structlog.get_logger().info("witness.ready", url=url, key=str(note_key))
    if settings.ready_file is not None:
        partial = settings.ready_file.with_suffix(".partial")
        partial.write_text(json.dumps({"pid": os.getpid(), "url": url, "key": str(note_key)}))
        partial.replace(settings.ready_file)


def main() -> int:
    """The process's exit code: 0 when it was told to stop, 2 for what it was told wrongly."""
    settings = load_settings(WitnessSettings)
    configure_logs("witness", settings.witness_name, settings.log_level)
    try:
        asyncio.run(serve(settings))
    except (KeysUnusable, LogsUnusable, sqlite3.Error) as error:
        structlog.get_logger().error("witness.unusable", error=str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
