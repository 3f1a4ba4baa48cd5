"""What owners allow: topic user-settings."""

from dataclasses import dataclass
from typing import ClassVar

from xorj_core.facts.common import RiskProfile


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """What an owner allows for one vault. The highest version counts."""

    CAUSE: ClassVar[tuple[str, ...]] = ("vault", "version")

    vault: bytes  # 32 bytes
    owner: bytes  # 32 bytes
    version: int
    profile: RiskProfile
    enabled: bool
    slippage_bps_max: int
    allowed_mints: tuple[bytes, ...]
    dead_band_bps: int  # of the vault's value; smaller differences are left alone
    trade_value_micro_usd_min: int
    trade_value_micro_usd_max: int
    day_value_micro_usd_max: int
    owner_signature: bytes  # 64 bytes: Ed25519 over `owner_settings.settings_statement`
