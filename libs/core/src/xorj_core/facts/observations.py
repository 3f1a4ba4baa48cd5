"""What services notice about themselves and the world: topic observations."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class Mode(IntEnum):
    """Whether a service may move money."""

    UNSPECIFIED = 0
    OBSERVE = 1
    LIVE = 2


@dataclass(frozen=True, slots=True)
class ServiceStarted:
    """One instance of a service began to run."""

    CAUSE: ClassVar[tuple[str, ...]] = ("instance", "started_at_us")

    instance: str
    service: str
    mode: Mode
    configuration_sha256: bytes
    started_at_us: int
