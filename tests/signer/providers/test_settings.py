"""What a provider is told: what is missing, malformed, unknown or another provider's is named; nothing falls back."""

import os
from pathlib import Path

import pytest
from xorj_signer.providers import ProviderFailed, ProviderFault
from xorj_signer.providers.settings import (
    PROVIDERS,
    AwsKmsSettings,
    AzureKeyVaultSettings,
    GoogleKmsSettings,
    Pkcs11Settings,
    load_provider_settings,
    open_checked,
)

from tests.signer.providers.conftest import Told

ARN = "arn:aws:kms:eu-west-1:123456789012:key/6f9619ff-8b86-d011-b42d-00cf4fc964ff"
VERSION = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
COMPLETE: dict[str, dict[str, str]] = {
    "file": {"XORJ_GENESIS_HASH": "local", "XORJ_SIGNER_KEY_FILE": "/nowhere/key"},
    "pkcs11": {
        "XORJ_SIGNER_PKCS11_MODULE": "/nowhere/module.so",
        "XORJ_SIGNER_PKCS11_TOKEN": "token",
        "XORJ_SIGNER_PKCS11_KEY": "key",
        "XORJ_SIGNER_PKCS11_PIN_FILE": "/nowhere/pin",
    },
    "aws-kms": {"XORJ_SIGNER_AWS_KEY_ARN": ARN},
    "google-kms": {"XORJ_SIGNER_GCP_KEY_VERSION": VERSION},
    "azure-keyvault": {
        "XORJ_SIGNER_AZURE_VAULT_URL": "https://v.vault.azure.net",
        "XORJ_SIGNER_AZURE_KEY": "bot",
        "XORJ_SIGNER_AZURE_KEY_VERSION": "0" * 32,
        "XORJ_SIGNER_AZURE_CREDENTIAL": "client-secret",
    },
}
MISSING = [(provider, name) for provider, settings in COMPLETE.items() for name in settings]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("XORJ_")]:
        monkeypatch.delenv(name)


def told_for(provider: str) -> dict[str, str]:
    return {"XORJ_SIGNER_PROVIDER": provider, **COMPLETE[provider]}


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(ProviderFailed) as failed:
        load_provider_settings(environment)
    assert failed.value.fault is ProviderFault.MISCONFIGURED
    return str(failed.value)


@pytest.mark.parametrize("model", PROVIDERS, ids=lambda model: model.NAME)
def test_each_provider_is_chosen_by_its_name(model: type, told: Told) -> None:
    assert type(load_provider_settings(told(told_for(model.NAME)))) is model  # type: ignore[attr-defined]


@pytest.mark.parametrize(("provider", "name"), MISSING)
def test_what_is_missing_is_named(provider: str, name: str, told: Told) -> None:
    given = {key: value for key, value in told_for(provider).items() if key != name}
    assert f"{name} is not set" in refusal(told(given))


@pytest.mark.parametrize("named", [None, "", "none", "FILE", "aws"])
def test_no_provider_is_guessed(named: str | None, told: Told) -> None:
    given = {"XORJ_SIGNER_PROVIDER": named} if named is not None else {}
    assert "XORJ_SIGNER_PROVIDER" in refusal(told({**COMPLETE["file"], **given}))


@pytest.mark.parametrize("provider", COMPLETE)
def test_an_unknown_name_and_another_providers_are_mistakes(provider: str, told: Told) -> None:
    for stray in ("XORJ_SIGNER_" + "KEY_FIEL", "XORJ_SIGNER_" + "AZURE_KEYS"):
        assert stray in refusal({**told(told_for(provider)), stray: "x"})
    other = "XORJ_SIGNER_PKCS11_TOKEN" if provider != "pkcs11" else "XORJ_SIGNER_AWS_KEY_ARN"
    assert other in refusal({**told(told_for(provider)), other: "x"})


def test_the_services_own_names_are_no_mistake(told: Told) -> None:
    environment = {**told(told_for("file")), "XORJ_SIGNER_PORT": "1"}
    assert load_provider_settings(environment, {"XORJ_SIGNER_PORT"})
    assert "XORJ_SIGNER_PORT" in refusal(environment)


@pytest.mark.parametrize(
    ("provider", "name", "value"),
    [
        ("aws-kms", "XORJ_SIGNER_AWS_KEY_ARN", "arn:aws:kms:eu-west-1:123456789012:alias/bot"),
        ("aws-kms", "XORJ_SIGNER_AWS_KEY_ARN", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
        ("aws-kms", "XORJ_SIGNER_AWS_ENDPOINT_URL", "http://kms.example.org"),
        ("google-kms", "XORJ_SIGNER_GCP_KEY_VERSION", VERSION.rpartition("/cryptoKeyVersions")[0]),
        ("google-kms", "XORJ_SIGNER_GCP_LOCAL_ADDRESS", "kms.example.org:443"),
        ("azure-keyvault", "XORJ_SIGNER_AZURE_KEY_VERSION", "latest"),
        ("azure-keyvault", "XORJ_SIGNER_AZURE_VAULT_URL", "http://localhost:1"),
        ("azure-keyvault", "XORJ_SIGNER_AZURE_CREDENTIAL", "any"),
        ("file", "XORJ_SIGNER_PUBLIC_KEY", "11111111111111111111111111111111"),
        ("file", "XORJ_SIGNER_PUBLIC_KEY", "not an address"),
        ("file", "XORJ_SIGNER_PUBLIC_KEY", "02" + "ff" * 32),
        ("file", "XORJ_SIGNER_KEY_CHECK_MS", "0"),
    ],
)
def test_what_could_mean_another_key_or_an_open_line_is_refused(
    provider: str, name: str, value: str, told: Told
) -> None:
    assert f"{name}:" in refusal(told({**told_for(provider), name: value}))


def test_a_value_that_may_be_a_secret_is_not_repeated(told: Told) -> None:
    for name in ("XORJ_SIGNER_AWS_KEY_ARN", "XORJ_SIGNER_PUBLIC_KEY"):
        assert "hunter2" not in refusal(told({**told_for("aws-kms"), name: "hunter2"}))


async def test_an_expected_key_must_be_named_to_serve(told: Told) -> None:
    with pytest.raises(ProviderFailed, match="XORJ_SIGNER_PUBLIC_KEY"):
        await open_checked(load_provider_settings(told(told_for("aws-kms"))))


async def test_a_secret_file_that_is_missing_is_named(told: Told, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    pkcs11 = load_provider_settings(told({**told_for("pkcs11"), "XORJ_SIGNER_PKCS11_PIN_FILE": missing}))
    assert isinstance(pkcs11, Pkcs11Settings)
    with pytest.raises(ProviderFailed, match=missing):
        await pkcs11.open()


async def test_credentials_that_are_none_are_named_and_not_quoted(told: Told, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    for content in ("", "hunter2", '{"type": "hunter2"}', "[default]\nhunter2"):
        file.write_text(content)
        aws = AwsKmsSettings(signer_aws_key_arn=ARN, signer_aws_credentials_file=file)
        google = GoogleKmsSettings(signer_gcp_key_version=VERSION, signer_gcp_credentials_file=file)
        for settings in (aws, google):
            with pytest.raises(ProviderFailed, match="credentials") as failed:
                await settings.open()
            assert failed.value.fault is ProviderFault.MISCONFIGURED
            assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize(
    ("credential", "name"),
    [("client-secret", "TENANT_ID"), ("client-secret", "CLIENT_SECRET_FILE"), ("workload-identity", "TOKEN_FILE")],
)
async def test_what_an_azure_credential_needs_is_named(credential: str, name: str, told: Told) -> None:
    own = "XORJ_SIGNER_AZURE_"
    given = {f"{own}{part}": "/nowhere/x" for part in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET_FILE", "TOKEN_FILE")}
    del given[own + name]
    environment = told({**told_for("azure-keyvault"), **given, own + "CREDENTIAL": credential})
    if name != "CLIENT_SECRET_FILE" and credential == "client-secret":
        del environment[own + "CLIENT_SECRET_FILE"]
    settings = load_provider_settings(environment)
    assert isinstance(settings, AzureKeyVaultSettings)
    with pytest.raises(ProviderFailed, match=own + name):
        await settings.open()
