"""Polls the owners' settings; publishes SettingsChanged for every vault whose version grew.

1. After a restart every vault's current version is published once more: readers take the highest, so nothing is lost
   and nothing is done twice.
2. `mints` is what the published settings allow, all vaults together.
"""

from collections.abc import Sequence
from typing import Protocol

import structlog
from xorj_core.facts import SettingsChanged
from xorj_core.owner_settings import Deployment

from xorj_ingestor.owner_settings import RowRefused, SettingsRow, grown, mints_of, settings_of
from xorj_ingestor.publisher import Publisher

ROWS_PER_READ = 500


class SettingsTable(Protocol):
    """The settings database, as the poller sees it. Both calls raise SourceFailed."""

    async def versions(self) -> dict[bytes, int]:
        """The version of every vault."""
        ...

    async def rows(self, vaults: Sequence[bytes]) -> list[SettingsRow]:
        """The rows of these vaults."""
        ...


class SettingsPoller:
    """One settings table."""

    source = "settings"

    def __init__(self, table: SettingsTable, publisher: Publisher, deployment: Deployment) -> None:
        self._table = table
        self._deployment = deployment
        self._publisher = publisher
        self._published: dict[bytes, SettingsChanged] = {}
        self._refused: dict[bytes, int] = {}
        self.mints: frozenset[bytes] = frozenset()

    async def poll(self) -> None:
        """Reads once and publishes what grew. Raises SourceFailed, PublishUnknown."""
        known = {vault: settings.version for vault, settings in self._published.items()} | self._refused
        vaults = grown(await self._table.versions(), known)
        for at in range(0, len(vaults), ROWS_PER_READ):
            for row in await self._table.rows(vaults[at : at + ROWS_PER_READ]):
                await self._publish(row)
        if vaults:
            self.mints = mints_of(self._published.values())

    async def _publish(self, row: SettingsRow) -> None:
        try:
            settings = settings_of(row, self._deployment)
        except RowRefused as refused:
            self._refused[row.vault] = row.version
            structlog.get_logger().error(
                "settings.refused", vault=row.vault.hex(), version=row.version, detail=str(refused)
            )
            return
        await self._publisher.publish(settings)
        self._published[row.vault] = settings
        self._refused.pop(row.vault, None)
