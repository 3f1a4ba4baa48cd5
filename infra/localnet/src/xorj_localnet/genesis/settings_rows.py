"""Writes the owners' settings into the settings database, as the owners' application would: signed by each."""

import dataclasses
from collections.abc import Sequence

import asyncpg
from solders.pubkey import Pubkey
from xorj_core.facts import SettingsChanged
from xorj_core.owner_settings import settings_statement

from xorj_localnet.genesis.bootstrap import OpenedVault
from xorj_localnet.market.scenario import Scenario

_UPSERT = """\
INSERT INTO vault_settings (vault, owner, version, profile, enabled, slippage_bps_max, allowed_mints, dead_band_bps,
    trade_value_micro_usd_min, trade_value_micro_usd_max, day_value_micro_usd_max, owner_signature)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (vault) DO UPDATE SET owner = excluded.owner, version = excluded.version, profile = excluded.profile,
    enabled = excluded.enabled, slippage_bps_max = excluded.slippage_bps_max, allowed_mints = excluded.allowed_mints,
    dead_band_bps = excluded.dead_band_bps, trade_value_micro_usd_min = excluded.trade_value_micro_usd_min,
    trade_value_micro_usd_max = excluded.trade_value_micro_usd_max,
    day_value_micro_usd_max = excluded.day_value_micro_usd_max, owner_signature = excluded.owner_signature
"""


def signed_settings(
    opened: OpenedVault, mints: Sequence[bytes], genesis_hash: bytes, *, version: int = 1, enabled: bool = True
) -> SettingsChanged:
    """What a vault's plan says, signed by its owner for the cluster."""
    plan = opened.plan
    settings = SettingsChanged(
        vault=bytes(opened.vault),
        owner=bytes(opened.owner),
        version=version,
        profile=plan.profile,
        enabled=enabled,
        slippage_bps_max=plan.slippage_bps_max,
        allowed_mints=tuple(mints),
        dead_band_bps=plan.dead_band_bps,
        trade_value_micro_usd_min=plan.trade_value_micro_usd_min,
        trade_value_micro_usd_max=plan.trade_value_micro_usd_max,
        day_value_micro_usd_max=plan.day_value_micro_usd_max,
        owner_signature=b"",
    )
    signature = opened.owner_key.sign_message(settings_statement(settings, genesis_hash))
    return dataclasses.replace(settings, owner_signature=bytes(signature))


async def write_settings(
    dsn: str,
    vaults: Sequence[OpenedVault],
    scenario: Scenario,
    genesis_hash: bytes,
    *,
    version: int = 1,
    enabled: bool = True,
) -> None:
    """One row per vault, every token of the scenario allowed; `dsn` is that of the role settings_writer.

    Raises PostgreSQL's errors, also when a vault has a row of this version or a later one.
    """
    mints = [bytes(Pubkey.from_string(token.mint)) for token in scenario.tokens]
    rows = []
    for opened in vaults:
        settings = signed_settings(opened, mints, genesis_hash, version=version, enabled=enabled)
        values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
        rows.append(tuple({**values, "profile": settings.profile.name.lower(), "allowed_mints": mints}.values()))
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.executemany(_UPSERT, rows)
    finally:
        await connection.close()
