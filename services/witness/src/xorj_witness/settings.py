"""What a witness is told: its name and key, the logs that it knows, where it keeps what it has seen."""

import json
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from xorj_core.checkpoint import CheckpointRefused, KeyType, NoteKey, parse_key


class LogsUnusable(Exception):
    """The file that names the logs is not as it must be."""


class WitnessSettings(BaseSettings):
    """A witness's settings (docs/interfaces.md). It has no Kafka, no database and none of the services' keys."""

    model_config = SettingsConfigDict(env_prefix="XORJ_", frozen=True, extra="ignore")

    witness_name: str = Field(pattern=r"^[^\s+]{1,200}$")
    witness_key_file: Path
    witness_logs_file: Path
    witness_store_file: Path
    witness_host: str = "127.0.0.1"
    witness_port: int = Field(default=0, ge=0, le=65535)
    ready_file: Path | None = None
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")


def load_logs(path: Path) -> tuple[NoteKey, ...]:
    """The keys of the logs in a JSON file, `{"logs": [key]}`; a key's name is its log's origin. Raises LogsUnusable."""
    try:
        keys = tuple(parse_key(text) for text in json.loads(path.read_bytes())["logs"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CheckpointRefused) as error:
        raise LogsUnusable(f"{path}: {type(error).__name__}: {error}") from error
    if any(key.type is not KeyType.ED25519 for key in keys):
        raise LogsUnusable(f"{path}: a log's key is of type {int(KeyType.ED25519)}")
    return keys
