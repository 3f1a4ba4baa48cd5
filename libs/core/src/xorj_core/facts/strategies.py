"""What the Quantitative Engine says: topic strategies."""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from xorj_core.facts.common import TargetWeight


@dataclass(frozen=True, slots=True)
class RankedTrader:
    """One trader whose allocation could be resolved."""

    rank: int
    wallet: bytes  # 32 bytes
    trust_score_hundredths: int  # 9550 is a score of 95.50
    allocation: tuple[TargetWeight, ...]  # weights sum to 10000


@dataclass(frozen=True, slots=True)
class SkippedTrader:
    """One trader that cannot be mirrored, and why."""

    wallet: str  # as the engine wrote it
    reason: str


@dataclass(frozen=True, slots=True)
class RankingObserved:
    """The engine published a ranking that differs from the last one."""

    CAUSE: ClassVar[tuple[str, ...]] = ("engine", "body_sha256", "observed_at_us")

    engine: str
    observed_at_us: int
    body_sha256: bytes  # of the body as received
    traders: tuple[RankedTrader, ...]  # best rank first
    skipped: tuple[SkippedTrader, ...]


class RankingRefusedReason(IntEnum):
    """Why a RankingRefused was published."""

    UNSPECIFIED = 0
    UNREACHABLE = 1
    HTTP_STATUS = 2
    MALFORMED = 3
    TOO_LARGE = 4


@dataclass(frozen=True, slots=True)
class RankingRefused:
    """The engine answered something that cannot be used. The last good ranking stays in force."""

    CAUSE: ClassVar[tuple[str, ...]] = ("engine", "reason", "observed_at_us")

    engine: str
    observed_at_us: int
    reason: RankingRefusedReason
    detail: str
    body_sha256: bytes
    http_status: int  # 0 where no answer came
