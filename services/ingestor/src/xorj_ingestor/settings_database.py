"""Owns the connection to the settings database; reads only. A lost connection is made anew at the next call."""

import asyncio
from collections.abc import Sequence

import asyncpg

from xorj_ingestor.owner_settings import SettingsRow
from xorj_ingestor.polling import SourceFailed

CALL_S_MAX = 10.0
_COLUMNS = """\
SELECT vault, owner, version, profile, enabled, slippage_bps_max, allowed_mints, dead_band_bps,
    trade_value_micro_usd_min, trade_value_micro_usd_max, day_value_micro_usd_max, owner_signature
FROM vault_settings WHERE vault = ANY($1::bytea[])"""


class SettingsDatabase:
    """The table vault_settings. Every call raises SourceFailed when the database does not answer."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def versions(self) -> dict[bytes, int]:
        """The version of every vault."""
        rows = await self._fetch("SELECT vault, version FROM vault_settings")
        return {bytes(row["vault"]): row["version"] for row in rows}

    async def rows(self, vaults: Sequence[bytes]) -> list[SettingsRow]:
        """The rows of these vaults."""
        return [_row(record) for record in await self._fetch(_COLUMNS, list(vaults))]

    async def close(self) -> None:
        """Ends the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _fetch(self, query: str, *arguments: object) -> "list[asyncpg.Record]":
        try:
            async with asyncio.timeout(CALL_S_MAX):
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(self._dsn, timeout=CALL_S_MAX)
                return await self._connection.fetch(query, *arguments)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, OSError) as error:
            await self.close()
            # The text of a connection error may hold the address, never the password; still, only its kind is kept.
            raise SourceFailed(f"settings database: {type(error).__name__}") from error


def _row(record: asyncpg.Record) -> SettingsRow:
    return SettingsRow(
        vault=bytes(record["vault"]),
        owner=bytes(record["owner"]),
        version=record["version"],
        profile=record["profile"],
        enabled=record["enabled"],
        slippage_bps_max=record["slippage_bps_max"],
        allowed_mints=tuple(bytes(mint) for mint in record["allowed_mints"]),
        dead_band_bps=record["dead_band_bps"],
        trade_value_micro_usd_min=record["trade_value_micro_usd_min"],
        trade_value_micro_usd_max=record["trade_value_micro_usd_max"],
        day_value_micro_usd_max=record["day_value_micro_usd_max"],
        owner_signature=bytes(record["owner_signature"]),
    )
