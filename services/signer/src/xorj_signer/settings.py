"""What the signer is told, by environment; docs/interfaces.md lists the names.

1. No secret is a setting: secrets are in files that settings name.
2. What the chosen provider is told has its own models (`providers/settings.py`).
"""

import hashlib
import secrets
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from xorj_core.base58 import address_bytes
from xorj_core.facts import Mode
from xorj_core.owner_settings import Deployment
from xorj_core.policy.file import PolicyInvalid, parse_policy
from xorj_core.policy.limits import PolicyLimits
from xorj_log.connection import KafkaConnection

from xorj_signer.providers.settings import ProviderSettings

SERVICE = "signer"
EXIT_USAGE = 2


class SettingsUnusable(ValueError):
    """A setting names something that cannot be used; the text says which and why."""


def _hash_text(text: str) -> str:
    address_bytes(text)
    return text


class SignerSettings(BaseSettings):
    """Each field is the variable XORJ_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="XORJ_", frozen=True, extra="ignore")

    instance: str = Field(default_factory=lambda: secrets.token_hex(4), min_length=1, max_length=64)
    mode: Literal["observe", "live"] = "observe"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    kafka_bootstrap: str
    kafka_ca_file: Path
    kafka_cert_file: Path
    kafka_key_file: Path
    keys_file: Path
    heartbeat_key_file: Path
    database_dsn_file: Path
    ready_file: Path | None = None
    health_port: int = Field(default=0, ge=0, le=65_535)
    genesis_hash: Annotated[str, AfterValidator(_hash_text)]
    signer_host: str = "127.0.0.1"
    signer_port: int = Field(default=0, ge=0, le=65_535)
    signer_callers: str = "executor"
    signer_policy_file: Path

    def kafka(self) -> KafkaConnection:
        """The connection of the signer's principal."""
        return KafkaConnection(
            self.kafka_bootstrap, self.kafka_ca_file, self.kafka_cert_file, self.kafka_key_file, SERVICE
        )

    def service_mode(self) -> Mode:
        """Whether signatures are given at all."""
        return Mode.LIVE if self.mode == "live" else Mode.OBSERVE

    def callers(self) -> frozenset[str]:
        """Principals that may ask for signatures."""
        return frozenset(name.strip() for name in self.signer_callers.split(",") if name.strip())

    def policy_text(self) -> str:
        """The policy file as it stands; raises `SettingsUnusable` naming the file."""
        try:
            return self.signer_policy_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsUnusable(f"XORJ_SIGNER_POLICY_FILE {self.signer_policy_file}: {error}") from error

    def limits(self) -> PolicyLimits:
        """The policy; raises `SettingsUnusable` naming the file and its key."""
        try:
            return parse_policy(self.policy_text())
        except PolicyInvalid as error:
            raise SettingsUnusable(f"XORJ_SIGNER_POLICY_FILE {self.signer_policy_file}: {error}") from error

    def deployment(self, limits: PolicyLimits) -> Deployment:
        """Whose owners' signatures count: the cluster's and the policy's vault program."""
        return Deployment(address_bytes(self.genesis_hash), limits.vault_program)

    def sha256(self, provider: ProviderSettings) -> bytes:
        """Hash of the settings in effect, the provider's with them, without the instance's name."""
        texts = (self.model_dump_json(exclude={"instance"}), provider.NAME, provider.model_dump_json())
        return hashlib.sha256("\n".join(texts).encode()).digest()


def load_settings() -> SignerSettings:
    """The settings; on a mistake says which variable, and exits with 2."""
    try:
        return SignerSettings()  # type: ignore[call-arg]
    except ValidationError as error:
        for problem in error.errors():
            name = "XORJ_" + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"{name}: {'is not set' if problem['type'] == 'missing' else problem['msg']}\n")
        raise SystemExit(EXIT_USAGE) from None


def own_variables() -> frozenset[str]:
    """The variables of the service that are no provider's."""
    return frozenset(f"XORJ_{name.upper()}" for name in SignerSettings.model_fields)
