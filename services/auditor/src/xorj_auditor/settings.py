"""What the auditor is told beside the settings that every service has."""

from pathlib import Path

from pydantic import Field
from xorj_service.settings import ServiceSettings


class AuditorSettings(ServiceSettings):
    """The auditor's settings (docs/interfaces.md)."""

    database_dsn_file: Path
    audit_key_file: Path
    audit_origin: str = Field(default="xorj/audit", pattern=r"^[^\s+]{1,200}$")
    audit_witnesses_file: Path | None = None
