"""What the signer is told, by environment; docs/interfaces.md lists the names.

1. No secret is a setting: secrets are in files that settings name.
2. The provider is named, never guessed; what it needs must be there.
"""

import hashlib
import secrets
import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from xorj_core.facts import Mode
from xorj_core.policy.file import PolicyInvalid, parse_policy
from xorj_core.policy.limits import PolicyLimits
from xorj_log.connection import KafkaConnection

from xorj_signer.providers import KeyProvider, ProviderFailed
from xorj_signer.providers.file import FileKey
from xorj_signer.providers.pkcs11 import Pkcs11Key

SERVICE = "signer"
EXIT_USAGE = 2
T = TypeVar("T")


class SettingsUnusable(ValueError):
    """A setting names something that cannot be used; the text says which and why."""


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
    genesis_hash: str
    local_genesis_hash: str = ""
    signer_host: str = "127.0.0.1"
    signer_port: int = Field(default=0, ge=0, le=65_535)
    signer_callers: str = "executor"
    signer_policy_file: Path
    signer_provider: Literal["file", "pkcs11"]
    signer_key_file: Path | None = None
    signer_pkcs11_module: Path | None = None
    signer_pkcs11_token: str = ""
    signer_pkcs11_key: str = ""
    signer_pkcs11_pin_file: Path | None = None

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

    def open_key(self) -> KeyProvider:
        """The key that the settings name; raises `ProviderFailed`."""
        if self.signer_provider == "file":
            path = _named("XORJ_SIGNER_KEY_FILE", self.signer_key_file)
            return FileKey(path, genesis_hash=self.genesis_hash, local_genesis_hash=self.local_genesis_hash)
        pin_file = _named("XORJ_SIGNER_PKCS11_PIN_FILE", self.signer_pkcs11_pin_file)
        return Pkcs11Key(
            _named("XORJ_SIGNER_PKCS11_MODULE", self.signer_pkcs11_module),
            _named("XORJ_SIGNER_PKCS11_TOKEN", self.signer_pkcs11_token or None),
            _named("XORJ_SIGNER_PKCS11_KEY", self.signer_pkcs11_key or None),
            read_secret(pin_file),
        )

    def sha256(self) -> bytes:
        """Hash of the settings in effect, without the instance's name."""
        return hashlib.sha256(self.model_dump_json(exclude={"instance"}).encode()).digest()


def load_settings() -> SignerSettings:
    """The settings; on a mistake says which variable, and exits with 2."""
    try:
        return SignerSettings()  # type: ignore[call-arg]
    except ValidationError as error:
        for problem in error.errors():
            name = "XORJ_" + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"{name}: {'is not set' if problem['type'] == 'missing' else problem['msg']}\n")
        raise SystemExit(EXIT_USAGE) from None


def read_secret(path: Path) -> str:
    """The secret in a file; raises `ProviderFailed` naming the file."""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ProviderFailed(f"{path}: {error.strerror} (a file with a secret is expected here)") from error


def _named(name: str, value: T | None) -> T:
    if value is None:
        raise ProviderFailed(f"{name} is not set, and this provider needs it")
    return value
