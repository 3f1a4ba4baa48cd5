"""What each risk profile allows, and how sure a trade of a given value must be before it counts as confirmed.

1. Every profile has limits; UNSPECIFIED has none and is refused.
2. A higher value never needs less confirmation.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from xorj_core.facts.common import RiskProfile

USD_MICRO: Final = 10**6


@dataclass(frozen=True, slots=True)
class ProfileLimits:
    """Limits of one profile."""

    trust_score_hundredths_min: int
    slippage_bps_max: int


LIMITS: Final = {
    RiskProfile.CONSERVATIVE: ProfileLimits(9_500, 50),
    RiskProfile.MODERATE: ProfileLimits(9_000, 100),
    RiskProfile.AGGRESSIVE: ProfileLimits(8_500, 200),
}


def limits_of(profile: RiskProfile) -> ProfileLimits:
    """The limits of a profile; raises ValueError for UNSPECIFIED."""
    limits = LIMITS.get(profile)
    if limits is None:
        raise ValueError(f"no limits for profile {profile.name}")
    return limits


class Commitment(IntEnum):
    """How settled a block is."""

    CONFIRMED = 1
    FINALIZED = 2


@dataclass(frozen=True, slots=True)
class ConfirmationTier:
    """What TradeConfirmed waits for, from a trade value upwards."""

    value_micro_usd_min: int
    commitment: Commitment
    further_slots: int  # that must be confirmed on top of the trade's own


TIERS: Final = (
    ConfirmationTier(10_000 * USD_MICRO, Commitment.FINALIZED, 0),
    ConfirmationTier(1_000 * USD_MICRO, Commitment.CONFIRMED, 2),
    ConfirmationTier(0, Commitment.CONFIRMED, 0),
)


def tier_of(value_micro_usd: int) -> ConfirmationTier:
    """The tier that a trade of this value belongs to."""
    return next(tier for tier in TIERS if value_micro_usd >= tier.value_micro_usd_min)
