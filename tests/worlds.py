"""Fixtures of real parts that several tests share: a broker and a database with the topic table's rules."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from xorj_localnet.world import World, WorldOptions
from xorj_log.connection import KafkaConnection


def reachable(directory: Path) -> None:
    """Lets other users pass: PostgreSQL runs as another one when the tests run as root."""
    for folder in (directory, *directory.parents):
        if folder.stat().st_uid == os.getuid() and folder.stat().st_mode & 0o011 != 0o011 and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o011)


@asynccontextmanager
async def small_world(directory: Path) -> AsyncIterator[World]:
    """A world of a broker and a database alone, in `directory`."""
    reachable(directory)
    async with World(WorldOptions(directory=directory)) as world:
        yield world


def connection_of(world: World, principal: str) -> KafkaConnection:
    """The Kafka connection of a principal of this world."""
    identity = world.certificates.of(principal)
    return KafkaConnection(
        world.broker.address, identity.ca_file, identity.certificate_file, identity.key_file, principal
    )
