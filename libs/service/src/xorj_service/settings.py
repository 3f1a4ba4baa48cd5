"""Settings that every service has, read from the environment; docs/interfaces.md lists the names.

1. A secret never comes as an argument; it is named by a file (`XORJ_…_FILE`).
2. A missing or malformed setting ends the process with a message that names the variable.
"""

import hashlib
import secrets
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from xorj_core.facts.observations import Mode, ServiceStarted
from xorj_log.connection import KafkaConnection

BUILD = "0.1.0"
"""Version of this build, named in every envelope."""

EXIT_USAGE = 2


class ServiceSettings(BaseSettings):
    """What every service is told; each service extends it."""

    model_config = SettingsConfigDict(env_prefix="XORJ_", frozen=True, extra="ignore")

    instance: str = Field(default_factory=lambda: secrets.token_hex(4), max_length=64)
    mode: str = Field(default="observe", pattern="^(observe|live)$")
    kafka_bootstrap: str
    kafka_ca_file: Path
    kafka_cert_file: Path
    kafka_key_file: Path
    keys_file: Path
    heartbeat_key_file: Path
    health_port: int = Field(default=0, ge=0, le=65535)
    ready_file: Path | None = None
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    def kafka(self, service: str) -> KafkaConnection:
        """The connection of this service's principal."""
        return KafkaConnection(
            self.kafka_bootstrap, self.kafka_ca_file, self.kafka_cert_file, self.kafka_key_file, service
        )

    def service_mode(self) -> Mode:
        """Whether the service may move money."""
        return Mode.LIVE if self.mode == "live" else Mode.OBSERVE

    def started(self, service: str, started_at_us: int) -> ServiceStarted:
        """The fact that this instance of `service` began to run, at a Unix time in microseconds."""
        instance = f"{service}/{self.instance}"
        return ServiceStarted(instance, service, self.service_mode(), self.sha256(), started_at_us)

    def sha256(self) -> bytes:
        """Hash of the settings in effect, without the instance's name."""
        return hashlib.sha256(self.model_dump_json(exclude={"instance"}).encode()).digest()


S = TypeVar("S", bound=BaseSettings)


def load_settings(cls: type[S]) -> S:
    """The settings of a service; on a mistake prints what to set and exits with 2."""
    try:
        return cls()
    except ValidationError as error:
        for problem in error.errors():
            name = "XORJ_" + "_".join(str(part) for part in problem["loc"]).upper()
            hint = "is not set" if problem["type"] == "missing" else problem["msg"]
            sys.stderr.write(f"{name}: {hint} (docs/interfaces.md lists the settings)\n")
        raise SystemExit(EXIT_USAGE) from None


def read_secret(path: Path) -> str:
    """The secret in a file, without surrounding white space; raises SystemExit(2) naming the file."""
    try:
        return path.read_text().strip()
    except OSError as error:
        sys.stderr.write(f"{path}: {error.strerror} (a file with a secret is missing or unreadable)\n")
        raise SystemExit(EXIT_USAGE) from None
