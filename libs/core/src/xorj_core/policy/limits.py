"""The bounds that the signer's operator sets, and their hash.

1. Every bound has a value: there is no "unlimited".
2. Two policies have one hash only if every bound is equal.
"""

from dataclasses import dataclass

from xorj_core.canonical import canonical_bytes

POLICY_DOMAIN = "xorj.policy.v1"
EXPIRY_SLOTS_MAX = 300
ATTEMPTS_MAX = 4
"""The vault program refuses trades that expire later than this."""


@dataclass(frozen=True, slots=True)
class PolicyLimits:
    """What no trade may exceed, whatever its owner allows."""

    vault_program: bytes  # 32 bytes
    fee_lamports_max: int = 2_000_000
    trade_value_micro_usd_max: int = 100_000_000_000
    price_age_ms_max: int = 120_000
    attempts_max: int = ATTEMPTS_MAX
    expiry_slots_max: int = EXPIRY_SLOTS_MAX


def policy_sha256(limits: PolicyLimits) -> bytes:
    """32 bytes that commit to every bound; stands in each TradeSigned."""
    return canonical_bytes(POLICY_DOMAIN, limits)
