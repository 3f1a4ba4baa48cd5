"""Records nobody could read: topic dead-letters."""

from dataclasses import dataclass
from typing import ClassVar

from xorj_core.facts.common import Position


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A record that could not be read, kept as it was."""

    CAUSE: ClassVar[tuple[str, ...]] = ("position", "reader")

    position: Position
    reader: str
    reason: str
    key: bytes
    value: bytes
    timestamp_ms: int
