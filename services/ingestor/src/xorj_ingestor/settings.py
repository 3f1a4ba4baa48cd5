"""Settings of the ingestor; docs/interfaces.md lists the names."""

from pathlib import Path

from pydantic import Field
from xorj_service.settings import ServiceSettings


class IngestorSettings(ServiceSettings):
    """Where the engine, the venue and the settings database are, and how often each is asked."""

    engine_url: str
    engine_token_file: Path
    engine_poll_ms: int = Field(default=1000, ge=50, le=600_000)
    venue_url: str
    venue_key_file: Path
    price_poll_ms: int = Field(default=1000, ge=50, le=600_000)
    database_dsn_file: Path
    settings_poll_ms: int = Field(default=1000, ge=50, le=600_000)
