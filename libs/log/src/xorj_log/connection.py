"""How a principal reaches the broker: mutual TLS, and the id of the cluster that answers."""

import asyncio
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Address and PEM files of one principal; the certificate's CN is the principal."""

    bootstrap: str
    ca_file: Path
    cert_file: Path
    key_file: Path
    client_id: str

    def ssl_context(self) -> ssl.SSLContext:
        """A context that verifies the broker and presents the principal's certificate; raises OSError, SSLError."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self.ca_file))
        context.load_cert_chain(str(self.cert_file), str(self.key_file))
        return context

    def client_options(self) -> dict[str, Any]:
        """What every aiokafka client of this principal is built with."""
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "security_protocol": "SSL",
            "ssl_context": self.ssl_context(),
            "metadata_max_age_ms": 60_000,
        }


async def fetch_cluster_id(connection: KafkaConnection) -> str:
    """The cluster's id as the broker states it; raises KafkaError when it cannot be reached."""
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        return str((await admin.describe_cluster())["cluster_id"])
    finally:
        await admin.close()


CLOSE_DEADLINE_S = 0.1
"""uvloop ends a TLS connection only when the broker has answered its farewell, and a broker that holds a fetch does not
answer (30 s by default): nobody waits for that."""

_closing: set[asyncio.Task[None]] = set()


async def close_client(closing: Coroutine[Any, Any, None]) -> None:
    """Awaits a client's `stop()` for `CLOSE_DEADLINE_S`, then leaves it to finish by itself. Raises what it raises."""
    task = asyncio.ensure_future(closing)
    _closing.add(task)
    task.add_done_callback(_closing.discard)
    done, _ = await asyncio.wait([task], timeout=CLOSE_DEADLINE_S)
    for finished in done:
        finished.result()
