"""Liveness, audit cover and acknowledgements: topic heartbeats."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class HaltState(IntEnum):
    """State of the kill switch as one instance sees it."""

    UNSPECIFIED = 0
    BLOCKED = 1  # has not read control to its end
    ARMED = 2
    TRIGGERED = 3
    RECOVERY_PENDING = 4


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A kill that the instance obeys."""

    command_id: bytes
    control_offset: int
    obeyed_at_us: int


@dataclass(frozen=True, slots=True)
class ServiceHeartbeat:
    """One instance is alive, has read control this far, and obeys these commands."""

    CAUSE: ClassVar[tuple[str, ...]] = ("instance", "counter")

    instance: str
    service: str
    counter: int  # grows by one with each heartbeat of the instance
    cluster_id: str
    control_next_offset: int  # control has been read up to, not including, this offset
    state: HaltState
    acknowledgements: tuple[Acknowledgement, ...]
    sent_at_us: int
    key_id: bytes
    signature: bytes  # Ed25519 over the canonical bytes of fields 1 to 9


@dataclass(frozen=True, slots=True)
class Covered:
    """How far the audit log holds one partition."""

    topic: str
    partition: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Echo:
    """The last counter seen from an instance."""

    instance: str
    counter: int


@dataclass(frozen=True, slots=True)
class AuditHeartbeat:
    """The auditor has durably stored every record below these offsets, and echoes the counters it has seen."""

    CAUSE: ClassVar[tuple[str, ...]] = ("instance", "sent_at_us")

    instance: str
    cluster_id: str
    covered: tuple[Covered, ...]  # ordered by topic and partition
    control_next_offset: int
    echoes: tuple[Echo, ...]  # ordered by instance
    entries: int
    head: bytes  # 32 bytes, the chain's last hash
    sent_at_us: int
    key_id: bytes
    signature: bytes  # Ed25519 over the canonical bytes of fields 1 to 9
