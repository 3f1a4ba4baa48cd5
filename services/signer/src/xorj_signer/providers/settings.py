"""Which key signs: one settings model for each provider, chosen by XORJ_SIGNER_PROVIDER and by nothing else.

1. A missing, malformed or unknown name of the environment ends the start and is named; so is another provider's: what
   is set and not used is a mistake about which key signs.
2. No secret is a setting: PIN, seed and credentials are in files that settings name.
3. A provider's SDK is imported only when the provider is named.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from xorj_signer.providers import KeyProvider, ProviderFailed, ProviderFault
from xorj_signer.providers.addresses import parse_public_key
from xorj_signer.providers.challenge import challenge
from xorj_signer.providers.checked import answer_of, check_key, sign_checked
from xorj_signer.providers.file import FileKey

PREFIX = "XORJ_SIGNER_"
OPEN_S_MAX = 30.0
"""Seconds for an SDK to load, to find its credentials and to be asked for the first time."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _public_key_text(text: str) -> str:
    parse_public_key(text)
    return text


def _https_or_loopback(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("https is needed anywhere but on this machine")
    return url.rstrip("/")


def _https(url: str) -> str:
    if urlsplit(url).scheme != "https":
        raise ValueError("https is needed")
    return url.rstrip("/")


def _loopback_address(address: str) -> str:
    if address.rpartition(":")[0].strip("[]") not in LOOPBACK:
        raise ValueError("only an address of this machine is asked without TLS")
    return address


class ProviderSettings(BaseSettings):
    """What every provider is told."""

    model_config = SettingsConfigDict(env_prefix="XORJ_", frozen=True, extra="ignore")
    NAME: ClassVar[str]

    signer_public_key: Annotated[str, AfterValidator(_public_key_text)] | None = None
    signer_key_check_ms: int = Field(default=10_000, ge=100, le=600_000)

    @abstractmethod
    async def open(self) -> KeyProvider:
        """The key, read from its provider. Raises `ProviderFailed`."""

    def expected_public_key(self) -> bytes:
        """The key that the operator expects; raises `ProviderFailed` where none is named."""
        if self.signer_public_key is None:
            told = "XORJ_SIGNER_PUBLIC_KEY is not set; `xorj signer selftest` tells the key that the provider has"
            raise ProviderFailed(told, ProviderFault.MISCONFIGURED)
        return parse_public_key(self.signer_public_key)


class FileSettings(ProviderSettings):
    """A seed in a file, for a local cluster."""

    NAME = "file"
    genesis_hash: str
    local_genesis_hash: str = ""
    signer_key_file: Path

    async def open(self) -> KeyProvider:
        return FileKey(self.signer_key_file, genesis_hash=self.genesis_hash, local_genesis_hash=self.local_genesis_hash)


class Pkcs11Settings(ProviderSettings):
    """A token behind a PKCS#11 module."""

    NAME = "pkcs11"
    signer_pkcs11_module: Path
    signer_pkcs11_token: str = Field(min_length=1)
    signer_pkcs11_key: str = Field(min_length=1)
    signer_pkcs11_pin_file: Path

    async def open(self) -> KeyProvider:
        try:
            from xorj_signer.providers.pkcs11 import Pkcs11Key
        except ImportError as error:
            raise _not_installed("pkcs11", error) from error
        pin = read_secret(self.signer_pkcs11_pin_file)
        return Pkcs11Key(self.signer_pkcs11_module, self.signer_pkcs11_token, self.signer_pkcs11_key, pin)


class AwsKmsSettings(ProviderSettings):
    """A key in AWS KMS."""

    NAME = "aws-kms"
    signer_aws_key_arn: str = Field(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$")
    signer_aws_credentials_file: Path | None = None
    signer_aws_endpoint_url: Annotated[str, AfterValidator(_https_or_loopback)] | None = None

    async def open(self) -> KeyProvider:
        try:
            from xorj_signer.providers.aws_kms import AwsKmsKey
        except ImportError as error:
            raise _not_installed("aws", error) from error
        return await AwsKmsKey.open(
            self.signer_aws_key_arn,
            credentials_file=self.signer_aws_credentials_file,
            endpoint_url=self.signer_aws_endpoint_url,
        )


class GoogleKmsSettings(ProviderSettings):
    """A key version in Google Cloud KMS."""

    NAME = "google-kms"
    signer_gcp_key_version: str = Field(
        pattern=r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/[0-9]+$"
    )
    signer_gcp_credentials_file: Path | None = None
    signer_gcp_local_address: Annotated[str, AfterValidator(_loopback_address)] | None = None

    async def open(self) -> KeyProvider:
        try:
            from xorj_signer.providers.google_kms import GoogleKmsKey
        except ImportError as error:
            raise _not_installed("gcp", error) from error
        return await GoogleKmsKey.open(
            self.signer_gcp_key_version,
            credentials_file=self.signer_gcp_credentials_file,
            local_address=self.signer_gcp_local_address,
        )


class AzureKeyVaultSettings(ProviderSettings):
    """A key version in Azure Key Vault or Managed HSM."""

    NAME = "azure-keyvault"
    signer_azure_vault_url: Annotated[str, AfterValidator(_https)]
    signer_azure_key: str = Field(pattern=r"^[0-9A-Za-z-]{1,127}$")
    signer_azure_key_version: str = Field(pattern=r"^[0-9a-f]{32}$")
    signer_azure_credential: Literal["client-secret", "workload-identity", "managed-identity"]
    signer_azure_tenant_id: str | None = None
    signer_azure_client_id: str | None = None
    signer_azure_client_secret_file: Path | None = None
    signer_azure_token_file: Path | None = None
    signer_azure_authority: Annotated[str, AfterValidator(_https)] = "https://login.microsoftonline.com"
    signer_azure_ca_file: Path | None = None

    async def open(self) -> KeyProvider:
        try:
            from xorj_signer.providers.azure_credential import azure_credential
            from xorj_signer.providers.azure_keyvault import AzureKeyVaultKey
        except ImportError as error:
            raise _not_installed("azure", error) from error
        return await AzureKeyVaultKey.open(
            self.signer_azure_vault_url,
            self.signer_azure_key,
            self.signer_azure_key_version,
            credential=azure_credential(self),
            ca=None if self.signer_azure_ca_file is None else str(self.signer_azure_ca_file),
        )


PROVIDERS: tuple[type[ProviderSettings], ...] = (
    FileSettings, Pkcs11Settings, AwsKmsSettings, GoogleKmsSettings, AzureKeyVaultSettings,
)  # fmt: skip


def load_provider_settings(environment: Mapping[str, str], others: Iterable[str] = ()) -> ProviderSettings:
    """The settings of the provider that XORJ_SIGNER_PROVIDER names.

    `others` are names of the service that are no provider's. Raises `ProviderFailed` naming every name that is missing,
    malformed or unknown; never a value, which could be a secret in the wrong place.
    """
    variable = PREFIX + "PROVIDER"
    named = environment.get(variable)
    models = {model.NAME: model for model in PROVIDERS}
    if named not in models:
        told = f"{variable} {'is not set' if named is None else 'names no provider'}; one of: {', '.join(models)}"
        raise ProviderFailed(told, ProviderFault.MISCONFIGURED)
    model = models[named]
    known = {variable, *others, *(f"XORJ_{field.upper()}" for field in model.model_fields)}
    unknown = [name for name in sorted(environment) if name.startswith(PREFIX) and name not in known]
    mistakes = [f"no setting of the signer with the provider {named}: {', '.join(unknown)}"] if unknown else []
    try:
        settings = model()
    except ValidationError as error:
        mistakes += _mistakes(error)
    else:
        if not mistakes:
            return settings
    raise ProviderFailed("; ".join(mistakes), ProviderFault.MISCONFIGURED)


async def open_key(settings: ProviderSettings) -> KeyProvider:
    """The key that the settings name, whichever key that is. Raises `ProviderFailed` and nothing else."""
    return await answer_of(settings.NAME, settings.open(), OPEN_S_MAX)


async def open_checked(settings: ProviderSettings) -> KeyProvider:
    """The key that the settings name, which is the expected one and has just signed. Raises `ProviderFailed`.

    A key may be visible and yet not usable, or belong to another than the public key beside it: a challenge tells.
    """
    expected = settings.expected_public_key()
    key = await open_key(settings)
    try:
        await check_key(key, expected)
        await sign_checked(key, challenge())
    except BaseException:
        await key.close()
        raise
    return key


def read_secret(path: Path) -> str:
    """The secret in a file; raises `ProviderFailed` naming the file."""
    try:
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        told = f"{path}: {getattr(error, 'strerror', None) or 'not text'} (a file with a secret is expected here)"
        raise ProviderFailed(told, ProviderFault.MISCONFIGURED) from None


def _mistakes(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_input=False):
        name = "XORJ_" + str(problem["loc"][0]).upper()
        told = problem["msg"].removeprefix("Value error, ")
        yield f"{name} is not set" if problem["type"] == "missing" else f"{name}: {told}"


def _not_installed(extra: str, error: ImportError) -> ProviderFailed:
    told = f"{error.name} is not installed: the signer's extra `{extra}` (requirements/signer-{extra}.txt) brings it"
    return ProviderFailed(told, ProviderFault.MISCONFIGURED)
