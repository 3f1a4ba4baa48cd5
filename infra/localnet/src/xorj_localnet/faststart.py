"""Owns what set-up prepares once so that brokers start fast: a class archive for the Java runtime and a boot snapshot.

1. Both are caches: without them the broker starts too, a few seconds later.
2. The boot snapshot holds feature levels only. Every world writes its own cluster id beside it.
3. The training broker listens on loopback with throw-away certificates and is ended before this returns.
"""

import asyncio
import subprocess
import tempfile
from pathlib import Path

from xorj_localnet.broker import BrokerFiles, archive_for, snapshot_for
from xorj_localnet.certificates import issue_certificates
from xorj_localnet.files import write_atomically
from xorj_localnet.java import find_java
from xorj_localnet.paths import Home
from xorj_localnet.ports import choose_port
from xorj_localnet.supervisor import Supervisor
from xorj_localnet.topics import create_topics

DUMP_S_MAX = 120.0


def is_prepared(home: Home) -> bool:
    """Whether archive and snapshot exist for the Java runtime that would be used now."""
    return archive_for(home, find_java()).exists() and snapshot_for(home).exists()


async def _train(home: Home, directory: Path, class_list: Path) -> BrokerFiles:
    """Runs a broker through its start, one connection, and its stop, while the runtime lists what it loads."""
    supervisor = Supervisor(directory)
    supervisor.open()
    try:
        certificates = await asyncio.to_thread(issue_certificates, directory / "certificates", ("broker", "admin"))
        files = BrokerFiles(home, directory / "broker", certificates.of("broker"))
        port = choose_port()
        files.write_properties(port, choose_port())
        await asyncio.to_thread(files.format)
        await supervisor.start(files.spec(port, options=(f"-XX:DumpLoadedClassList={class_list}",)))
        await create_topics(f"127.0.0.1:{port}", certificates.of("admin"))
    finally:
        await supervisor.stop()
    return files


def prepare_fast_start(home: Home) -> None:
    """Makes archive and snapshot. Raises BrokerFailed or ChildFailed when a broker cannot be run at all."""
    home.broker_start.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="training-", dir=home.broker_start) as temporary:
        directory = Path(temporary)
        class_list = directory / "classes.list"
        files = asyncio.run(_train(home, directory, class_list))
        snapshot = (files.data / "bootstrap.checkpoint").read_bytes()
        archive = directory / "classes.jsa"
        program, *arguments = files.java
        dump = (f"-XX:SharedClassListFile={class_list}", f"-XX:SharedArchiveFile={archive}", "-Xshare:dump")
        done = subprocess.run(
            (program, *dump, *(part for part in arguments if not part.startswith(("-XX:SharedArchive", "-Xshare")))),
            capture_output=True,
            text=True,
            timeout=DUMP_S_MAX,
            check=False,
        )
        if done.returncode == 0 and archive.exists():
            archive.replace(archive_for(home, files.runtime))
        write_atomically(snapshot_for(home), snapshot)
