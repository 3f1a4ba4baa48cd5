"""Writes the owners' settings into the settings database, as the owners' own application would."""

from collections.abc import Sequence

import asyncpg
from solders.pubkey import Pubkey

from xorj_localnet.genesis.bootstrap import OpenedVault
from xorj_localnet.market.scenario import Scenario

_UPSERT = """\
INSERT INTO vault_settings (vault, owner, version, profile, enabled, slippage_bps_max, allowed_mints, dead_band_bps,
    trade_value_micro_usd_min, trade_value_micro_usd_max, day_value_micro_usd_max)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (vault) DO UPDATE SET owner = excluded.owner, version = excluded.version, profile = excluded.profile,
    enabled = excluded.enabled, slippage_bps_max = excluded.slippage_bps_max, allowed_mints = excluded.allowed_mints,
    dead_band_bps = excluded.dead_band_bps, trade_value_micro_usd_min = excluded.trade_value_micro_usd_min,
    trade_value_micro_usd_max = excluded.trade_value_micro_usd_max,
    day_value_micro_usd_max = excluded.day_value_micro_usd_max
"""


async def write_settings(
    dsn: str, vaults: Sequence[OpenedVault], scenario: Scenario, *, version: int = 1, enabled: bool = True
) -> None:
    """One row per vault, every token of the scenario allowed; `dsn` is that of the role settings_writer.

    Raises PostgreSQL's errors, also when a vault has a row of this version or a later one.
    """
    mints = [bytes(Pubkey.from_string(token.mint)) for token in scenario.tokens]
    rows = [
        (
            bytes(opened.vault),
            bytes(opened.owner),
            version,
            opened.plan.profile.name.lower(),
            enabled,
            opened.plan.slippage_bps_max,
            mints,
            opened.plan.dead_band_bps,
            opened.plan.trade_value_micro_usd_min,
            opened.plan.trade_value_micro_usd_max,
            opened.plan.day_value_micro_usd_max,
        )
        for opened in vaults
    ]
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.executemany(_UPSERT, rows)
    finally:
        await connection.close()
