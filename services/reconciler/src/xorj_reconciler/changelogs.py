"""The topics that keep the read models' tables: they exist, and the broker says so, before Faust starts.

Faust makes them itself, but goes on before the broker's metadata shows them; it then finds a changelog "with 0
partitions" at the first record and fails.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code
from xorj_log.connection import KafkaConnection
from xorj_log.topics import VAULT_PARTITIONS

REPLICAS: Final = 1
"""As Faust makes them: what is in them can be rebuilt."""
VISIBLE_S_MAX: Final = 15.0
_POLL_S: Final = 0.03
_TOPIC_EXISTS: Final = 36


async def ensure_changelogs(connection: KafkaConnection, names: Sequence[str]) -> None:
    """Make the topics that are missing and wait until the broker shows all; raises KafkaError, TimeoutError."""
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        compact = {"cleanup.policy": "compact"}
        answer: Any = await admin.create_topics(
            [NewTopic(name, VAULT_PARTITIONS, REPLICAS, topic_configs=compact) for name in names]
        )
        for _, code, _ in answer.topic_errors:
            if code not in (0, _TOPIC_EXISTS):
                raise for_code(code)
        async with asyncio.timeout(VISIBLE_S_MAX):
            while not await _are_visible(admin, names):
                await asyncio.sleep(_POLL_S)
    finally:
        await admin.close()


async def _are_visible(admin: AIOKafkaAdminClient, names: Sequence[str]) -> bool:
    described: Any = await admin.describe_topics(list(names))
    found = {entry["topic"]: entry["partitions"] for entry in described}
    return all(
        len(partitions := found.get(name, ())) == VAULT_PARTITIONS
        and all(partition["leader"] >= 0 for partition in partitions)
        for name in names
    )
