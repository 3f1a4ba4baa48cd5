"""Owners' settings as rows of the settings database, and what of them is new. Pure.

1. A version is published once; a lower or equal one never.
2. A row that cannot be a setting, or that the vault's owner has not signed, is refused with its reason and hides no
   other row. The signer looks at the signature again by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xorj_core.facts import RiskProfile, SettingsChanged
from xorj_core.owner_settings import Deployment, has_owner_signed
from xorj_halt.keys import verifies

KEY_BYTES = 32
PROFILES: Mapping[str, RiskProfile] = {
    profile.name.lower(): profile for profile in RiskProfile if profile is not RiskProfile.UNSPECIFIED
}


@dataclass(frozen=True, slots=True)
class SettingsRow:
    """One row of vault_settings, as it is in the database."""

    vault: bytes
    owner: bytes
    version: int
    profile: str
    enabled: bool
    slippage_bps_max: int
    allowed_mints: tuple[bytes, ...]
    dead_band_bps: int
    trade_value_micro_usd_min: int
    trade_value_micro_usd_max: int
    day_value_micro_usd_max: int
    owner_signature: bytes


class RowRefused(ValueError):
    """The row cannot be a setting; the text says why."""


def settings_of(row: SettingsRow, deployment: Deployment) -> SettingsChanged:
    """The fact that a row states. Raises RowRefused."""
    profile = PROFILES.get(row.profile)
    if profile is None:
        raise RowRefused(f"unknown profile {row.profile!r}")
    if any(len(mint) != KEY_BYTES for mint in row.allowed_mints):
        raise RowRefused("an allowed mint has not 32 bytes")
    if len(set(row.allowed_mints)) != len(row.allowed_mints):
        raise RowRefused("a mint is allowed twice")
    settings = SettingsChanged(
        vault=row.vault,
        owner=row.owner,
        version=row.version,
        profile=profile,
        enabled=row.enabled,
        slippage_bps_max=row.slippage_bps_max,
        allowed_mints=row.allowed_mints,
        dead_band_bps=row.dead_band_bps,
        trade_value_micro_usd_min=row.trade_value_micro_usd_min,
        trade_value_micro_usd_max=row.trade_value_micro_usd_max,
        day_value_micro_usd_max=row.day_value_micro_usd_max,
        owner_signature=row.owner_signature,
    )
    if not has_owner_signed(settings, deployment, verifies):
        raise RowRefused("not signed by the vault's owner, or for another cluster or vault program")
    return settings


def grown(versions: Mapping[bytes, int], published: Mapping[bytes, int]) -> list[bytes]:
    """Vaults whose version in the database is greater than the one published, in a fixed order."""
    return sorted(vault for vault, version in versions.items() if version > published.get(vault, 0))


def mints_of(settings: Iterable[SettingsChanged]) -> frozenset[bytes]:
    """Every mint that some vault may hold."""
    return frozenset(mint for one in settings for mint in one.allowed_mints)
