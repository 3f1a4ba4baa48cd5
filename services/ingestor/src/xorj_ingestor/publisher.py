"""The port through which pollers publish, so that tests can put a list in its place."""

from typing import Protocol

from xorj_core.facts import Fact, Position


class Publisher(Protocol):
    """The log, as a poller sees it."""

    async def publish(self, fact: Fact) -> Position:
        """Appends a fact. Raises PublishUnknown."""
        ...
