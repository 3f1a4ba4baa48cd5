"""The bounds that the signer's operator sets, and their hash.

1. Every bound has a value: there is no "unlimited", and no default that a policy file could forget.
2. Two policies have one hash only if every bound is equal.
"""

import functools
from dataclasses import dataclass

from xorj_core.canonical import canonical_bytes

POLICY_DOMAIN = "xorj.policy.v1"
EXPIRY_SLOTS_MAX = 300
"""The vault program refuses trades that expire later than this."""
ATTEMPTS_MAX = 4


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that one window may hold."""

    trades_max: int
    value_micro_usd_max: int


@dataclass(frozen=True, slots=True)
class WindowCaps:
    """Caps of one scope in each window (`windows.Span`)."""

    minute: Cap
    day: Cap


@dataclass(frozen=True, slots=True)
class MintCaps:
    """Caps of one mint, instead of those that hold for any mint."""

    mint: bytes  # 32 bytes
    caps: WindowCaps


@dataclass(frozen=True, slots=True)
class OutflowCaps:
    """The most lamports that all attempts signed in a window may cost the fee payer."""

    lamports_minute_max: int
    lamports_day_max: int


@dataclass(frozen=True, slots=True)
class PolicyLimits:
    """What no trade may exceed, whatever its owner allows."""

    vault_program: bytes  # 32 bytes
    swap_programs: tuple[bytes, ...]  # 32 bytes each: what `bot_trade` may call
    fee_lamports_max: int  # of one attempt; nothing else leaves the fee payer, by the shape of what is signed
    trade_value_micro_usd_max: int
    price_age_ms_max: int
    attempts_max: int
    expiry_slots_max: int
    all_vaults: WindowCaps
    each_vault: WindowCaps
    each_mint: WindowCaps
    named_mints: tuple[MintCaps, ...]
    outflow: OutflowCaps


@functools.lru_cache(maxsize=8)
def policy_sha256(limits: PolicyLimits) -> bytes:
    """32 bytes that commit to every bound; stands in each TradeSigned."""
    return canonical_bytes(POLICY_DOMAIN, limits)
