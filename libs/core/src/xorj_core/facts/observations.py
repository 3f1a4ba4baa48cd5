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


@dataclass(frozen=True, slots=True)
class PolicyAdopted:
    """A signer serves under this policy from now on."""

    CAUSE: ClassVar[tuple[str, ...]] = ("instance", "policy_sha256", "adopted_at_us")

    instance: str
    policy_sha256: bytes
    policy: str  # the file's text
    bot_authority: bytes  # 32 bytes: the key that signs
    adopted_at_us: int
