"""Settings of the ingestor; docs/interfaces.md lists the names."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from xorj_core.base58 import address_bytes
from xorj_core.owner_settings import Deployment
from xorj_service.settings import ServiceSettings


def _address(text: str) -> str:
    address_bytes(text)
    return text


Address = Annotated[str, AfterValidator(_address)]
"""32 bytes in base58."""


class IngestorSettings(ServiceSettings):
    """Where the engine, the venue and the settings database are, and how often each is asked."""

    genesis_hash: Address
    vault_program: Address
    engine_url: str
    engine_token_file: Path
    engine_poll_ms: int = Field(default=1000, ge=50, le=600_000)
    venue_url: str
    venue_key_file: Path
    price_poll_ms: int = Field(default=1000, ge=50, le=600_000)
    database_dsn_file: Path
    settings_poll_ms: int = Field(default=1000, ge=50, le=600_000)

    def deployment(self) -> Deployment:
        """Whose vaults' settings are read."""
        return Deployment(address_bytes(self.genesis_hash), address_bytes(self.vault_program))
