"""Owns that a new broker has the topics and access rules of the topic table, and no other.

1. Topics and rules come from the table in `xorj_log.topics` alone.
2. Applying the table twice changes nothing; a topic with another partition count is refused, never altered.
"""

import time
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, for_code
from xorj_log.acl import (
    Grant,
    Operation,
    Pattern,
    ResourceKind,
    create_acls,
    group_grants,
    reader_grants,
    writer_grants,
)
from xorj_log.topics import GROUPS, RECONCILER_PREFIX, TOPICS, Topic, readers_of

from xorj_localnet.certificates import Identity

TOPIC_EXISTS = 36
CONNECT_S_MAX = 30.0


class TopicsFailed(Exception):
    """The broker did not take the topic table."""


def configuration_of(topic: Topic) -> dict[str, str]:
    """The broker's settings for a topic, by the rules of its row."""
    times = {"message.timestamp.type": "LogAppendTime"}
    if topic.compacted_after_ms is not None:
        return {**times, "cleanup.policy": "compact", "min.compaction.lag.ms": str(topic.compacted_after_ms)}
    retention = -1 if topic.retention_ms is None else topic.retention_ms
    return {**times, "cleanup.policy": "delete", "retention.ms": str(retention), "retention.bytes": "-1"}


def grants(topics: tuple[Topic, ...] = TOPICS) -> tuple[Grant, ...]:
    """Every permission that follows from the topic table."""
    rules: list[Grant] = []
    for topic in topics:
        for writer in topic.writers:
            rules.extend(writer_grants(writer, [topic.name]))
        for reader in readers_of(topic):
            rules.extend(reader_grants(reader, [topic.name]))
    rules.extend(group_grants({principal: [group] for group, principal in GROUPS.items()}))
    # The reconciler's read models keep their changelogs in topics of its own, under its own prefix.
    own_operations = (
        Operation.CREATE,
        Operation.READ,
        Operation.WRITE,
        Operation.DESCRIBE,
        Operation.DESCRIBE_CONFIGS,
    )
    rules.extend(
        Grant("reconciler", ResourceKind.TOPIC, RECONCILER_PREFIX, operation, Pattern.PREFIXED)
        for operation in own_operations
    )
    return tuple(rules)


async def _connect(address: str, identity: Identity) -> AIOKafkaAdminClient:
    """A connected admin client. The broker listens shortly before it answers, so this tries until a deadline."""
    deadline = time.monotonic() + CONNECT_S_MAX
    while True:
        admin = AIOKafkaAdminClient(
            bootstrap_servers=address,
            security_protocol="SSL",
            ssl_context=identity.client_context(),
            request_timeout_ms=20_000,
        )
        try:
            await admin.start()
        except KafkaConnectionError as error:
            await admin.close()
            if time.monotonic() > deadline:
                raise TopicsFailed(f"no answer from the broker at {address}: {error}") from error
        else:
            return admin


async def _create(admin: AIOKafkaAdminClient) -> None:
    wanted = [NewTopic(topic.name, topic.partitions, 1, topic_configs=configuration_of(topic)) for topic in TOPICS]
    response: Any = await admin.create_topics(wanted)
    refused = [
        f"{name}: {message or for_code(code).__name__}"
        for name, code, message in response.topic_errors
        if code not in (0, TOPIC_EXISTS)
    ]
    if refused:
        raise TopicsFailed("topics were not created: " + "; ".join(refused))
    if any(code == TOPIC_EXISTS for _, code, _ in response.topic_errors):
        await _check_partitions(admin)


async def _check_partitions(admin: AIOKafkaAdminClient) -> None:
    described = await admin.describe_topics([topic.name for topic in TOPICS])
    counts = {entry["topic"]: len(entry["partitions"]) for entry in described}
    wrong = [
        f"{topic.name} has {counts.get(topic.name)}, the table says {topic.partitions}"
        for topic in TOPICS
        if counts.get(topic.name) != topic.partitions
    ]
    if wrong:
        raise TopicsFailed("partition counts are fixed for ever: " + "; ".join(wrong))


async def create_topics(address: str, identity: Identity) -> None:
    """Makes every topic and rule of the table on the broker. Raises TopicsFailed, AclRefused."""
    admin = await _connect(address, identity)
    try:
        await _create(admin)
        await create_acls(admin, grants())
    finally:
        await admin.close()
