"""Shapes that several facts share; the messages are in proto/xorj/common/v1."""

from dataclasses import dataclass
from enum import IntEnum


class RiskProfile(IntEnum):
    """An owner's appetite; the limits of each are in `xorj_core.profiles`."""

    UNSPECIFIED = 0
    CONSERVATIVE = 1
    MODERATE = 2
    AGGRESSIVE = 3


class HaltScope(IntEnum):
    """What a kill or a resume covers."""

    UNSPECIFIED = 0
    EVERYTHING = 1
    VAULT = 2


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a record stands. An offset means nothing without its cluster id."""

    cluster_id: str = ""
    topic: str = ""
    partition: int = 0
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class SeenRecord:
    """A record that a decision took into account; the fact id is empty where there was none."""

    fact_id: bytes = b""
    appended_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class SigningBasis:
    """What a decision on an attempt rests on beside the records that the attempt names: enough to decide it again."""

    settings_fact_id: bytes = b""  # empty if there were no settings
    price_in: SeenRecord = SeenRecord()
    price_out: SeenRecord = SeenRecord()
    now_ms: int = 0  # newest append time of the broker that the signer had seen
    bot_authority: bytes = b""
    policy_sha256: bytes = b""
    genesis_hash: bytes = b""  # of the cluster for which owners sign their settings


@dataclass(frozen=True, slots=True)
class TargetWeight:
    """Share of a portfolio's value wanted in one mint."""

    mint: bytes
    weight_bps: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check that a decision made."""

    check: str
    passed: bool
    detail: str = ""
