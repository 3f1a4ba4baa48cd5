"""What only one of the providers can get wrong."""

import os
import time
from pathlib import Path

import pytest
from google.cloud import kms_v1
from xorj_signer.providers import KeyProvider, ProviderFailed, ProviderFault
from xorj_signer.providers.aws_kms import MESSAGE_BYTES_MAX, client_of
from xorj_signer.providers.google_kms import MESSAGE_BYTES_MAX as GOOGLE_MESSAGE_BYTES_MAX
from xorj_signer.providers.settings import load_provider_settings, open_checked
from xorj_signer.verification import P256_N, verify_p256

from tests.signer.providers.aws import AwsStandIn
from tests.signer.providers.azure import AzureStandIn
from tests.signer.providers.conftest import OpenKeys, Told
from tests.signer.providers.google import GoogleStandIn
from tests.signer.providers.stand_ins import Wrong

pytestmark = pytest.mark.asyncio(loop_scope="module")
Algorithm = kms_v1.CryptoKeyVersion.CryptoKeyVersionAlgorithm


async def fault_at_opening(settings: dict[str, str]) -> ProviderFault:
    with pytest.raises(ProviderFailed) as failed:
        await load_provider_settings(settings).open()
    return failed.value.fault


async def fault_of_check(key: KeyProvider) -> ProviderFault:
    with pytest.raises(ProviderFailed) as failed:
        await key.check()
    return failed.value.fault


async def test_aws_is_not_asked_for_more_than_it_may_sign(aws: AwsStandIn, keys: OpenKeys) -> None:
    key = await keys.of(aws)
    assert len(await key.sign(os.urandom(MESSAGE_BYTES_MAX))) == 64
    asked = len(aws.asked)
    with pytest.raises(ProviderFailed) as failed:
        await key.sign(bytes(MESSAGE_BYTES_MAX + 1))
    assert failed.value.fault is ProviderFault.MESSAGE_TOO_LONG
    assert len(aws.asked) == asked


async def test_an_aws_key_of_another_kind_does_not_open(aws: AwsStandIn, told: Told) -> None:
    settings = told({**aws.settings, "XORJ_SIGNER_AWS_KEY_ARN": aws.p256_arn})
    assert await fault_at_opening(settings) is ProviderFault.MISCONFIGURED


async def test_aws_is_asked_where_our_settings_say_and_nothing_else(
    aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    credentials = Path(aws.settings["XORJ_SIGNER_AWS_CREDENTIALS_FILE"])
    client = client_of(aws.key_arn, credentials, None)
    assert client.meta.endpoint_url == "https://kms.eu-west-1.amazonaws.com"
    client.close()


async def test_a_key_that_can_be_seen_but_not_used_does_not_open(aws: AwsStandIn, told: Told) -> None:
    told(aws.settings)
    for wrong in (Wrong.DENIED, Wrong.SIGNATURE):
        aws.act_on_signing = wrong
        try:
            with pytest.raises(ProviderFailed) as failed:
                await open_checked(load_provider_settings(aws.settings))
        finally:
            aws.act_on_signing = None
        assert failed.value.fault is wrong.fault


async def test_google_is_not_asked_for_more_than_it_may_sign(google: GoogleStandIn, keys: OpenKeys) -> None:
    with pytest.raises(ProviderFailed) as failed:
        await (await keys.of(google)).sign(bytes(GOOGLE_MESSAGE_BYTES_MAX + 1))
    assert failed.value.fault is ProviderFault.MESSAGE_TOO_LONG


async def test_a_google_key_of_another_kind_does_not_open(google: GoogleStandIn, told: Told) -> None:
    google.algorithm = Algorithm.EC_SIGN_P256_SHA256
    try:
        assert await fault_at_opening(told(google.settings)) is ProviderFault.MISCONFIGURED
    finally:
        google.algorithm = Algorithm.EC_SIGN_ED25519


async def test_a_google_version_that_is_not_there_does_not_open(google: GoogleStandIn, told: Told) -> None:
    version = google.settings["XORJ_SIGNER_GCP_KEY_VERSION"]
    settings = told({**google.settings, "XORJ_SIGNER_GCP_KEY_VERSION": version + "1"})
    assert await fault_at_opening(settings) is ProviderFault.WRONG_KEY


async def test_what_azure_signs_in_the_upper_half_leaves_in_the_lower(azure: AzureStandIn, keys: OpenKeys) -> None:
    key = await keys.of(azure)
    for number in range(8):
        message = bytes([number])
        signature = await key.sign(message)
        s = int.from_bytes(signature[32:])
        assert verify_p256(azure.public_key, message, signature)
        assert not verify_p256(azure.public_key, message, signature[:32] + (P256_N - s).to_bytes(32))


@pytest.mark.parametrize("attribute", [{"exp": -60}, {"nbf": 60}])
async def test_an_azure_key_out_of_its_time_is_unfit(
    attribute: dict[str, int], azure: AzureStandIn, keys: OpenKeys
) -> None:
    key = await keys.of(azure)
    await key.check()
    azure.attributes = {name: int(time.time()) + seconds for name, seconds in attribute.items()}
    try:
        assert await fault_of_check(key) is ProviderFault.KEY_DISABLED
    finally:
        azure.attributes = {}


async def test_an_azure_key_on_another_curve_or_not_for_signing_is_unfit(azure: AzureStandIn, keys: OpenKeys) -> None:
    key = await keys.of(azure)
    try:
        azure.curve = "P-256K"
        assert await fault_of_check(key) is ProviderFault.MISCONFIGURED
        azure.curve, azure.operations = "P-256", ["verify"]
        assert await fault_of_check(key) is ProviderFault.MISCONFIGURED
    finally:
        azure.curve, azure.operations = "P-256", ["sign", "verify"]


async def test_azure_is_not_believed_without_its_certificate(azure: AzureStandIn, told: Told) -> None:
    settings = {n: v for n, v in azure.settings.items() if n != "XORJ_SIGNER_AZURE_CA_FILE"}
    assert await fault_at_opening(told(settings)) is ProviderFault.UNREACHABLE


async def test_a_wrong_azure_secret_is_denied_and_not_told(
    azure: AzureStandIn, told: Told, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("wrong") / "secret"
    secret.write_text("hunter2")
    settings = told({**azure.settings, "XORJ_SIGNER_AZURE_CLIENT_SECRET_FILE": str(secret)})
    with pytest.raises(ProviderFailed) as failed:
        await load_provider_settings(settings).open()
    assert failed.value.fault is ProviderFault.DENIED
    assert "hunter2" not in str(failed.value)
