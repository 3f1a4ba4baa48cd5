"""Whatever a provider answers, it is a signature that verifies or a fault that has a name; nothing else gets out."""

import json
import os
import random
from collections.abc import Iterator

import pytest
from google.cloud import kms_v1
from xorj_signer.providers import KeyProvider, ProviderFailed
from xorj_signer.providers.checked import check_key, sign_checked

from tests.signer.providers.aws import AwsStandIn
from tests.signer.providers.azure import VERSION, AzureStandIn
from tests.signer.providers.conftest import OpenKeys
from tests.signer.providers.google import VERSION as GOOGLE_VERSION
from tests.signer.providers.google import GoogleStandIn

pytestmark = pytest.mark.asyncio(loop_scope="module")
STATUSES = (200, 204, 302, 400, 401, 403, 404, 409, 429, 500, 503)
VALUES: tuple[object, ...] = (
    None,
    0,
    -1,
    1.5,
    True,
    "",
    "~~~",
    "AAAA",
    "\ud800",
    [],
    [[]],
    {},
    {"a": 1},
    "A" * 100_000,
)
"""What may stand where something else is expected."""


def bodies(shapes: list[dict[str, object]], seed: int) -> Iterator[tuple[int, bytes]]:
    """Statuses and bodies: no JSON at all, JSON of other shapes, right shapes with one wrong value."""
    chance = random.Random(seed)
    print(f"seed {seed}")  # noqa: T201
    for raw in (b"", b"{", b"null", b"[]", b"7", b"<html>no</html>", b"\xff" * 300, b"[" * 2_000):
        yield chance.choice(STATUSES), raw
        yield 200, raw
    for shape in shapes:
        for name in shape:
            for value in VALUES:
                yield 200, json.dumps({**shape, name: value}).encode()
    for status in STATUSES:
        yield status, json.dumps({"__type": chance.choice(VALUES), "error": chance.choice(VALUES)}).encode()


async def only_faults(key: KeyProvider, expected: bytes) -> None:
    with pytest.raises(ProviderFailed):
        await sign_checked(key, b"message")
    with pytest.raises(ProviderFailed):
        await check_key(key, expected)


async def test_aws(aws: AwsStandIn, keys: OpenKeys) -> None:
    key = await keys.of(aws)
    signed: dict[str, object] = {"KeyId": aws.key_arn, "Signature": "AAAA", "SigningAlgorithm": "ED25519_SHA_512"}
    described: dict[str, object] = {"KeyMetadata": {"KeyState": "Enabled"}, "KeyId": aws.key_arn, "PublicKey": "AAAA"}
    try:
        for aws.raw in bodies([signed, described], seed=int.from_bytes(os.urandom(4))):
            await only_faults(key, aws.public_key)
    finally:
        aws.raw = None
    await sign_checked(key, b"message")


async def test_azure(azure: AzureStandIn, keys: OpenKeys) -> None:
    key = await keys.of(azure)
    kid = f"{azure.url}/keys/bot/{VERSION}"
    signed: dict[str, object] = {"kid": kid, "value": "AAAA"}
    web_key = {"kid": kid, "kty": "EC", "crv": "P-256", "key_ops": ["sign"], "x": "AAAA", "y": "AAAA"}
    described: dict[str, object] = {"key": web_key, "attributes": {"enabled": True}}
    inside: list[dict[str, object]] = [
        {"key": {**web_key, name: value}, "attributes": {"enabled": True}} for name in web_key for value in VALUES
    ]
    try:
        for azure.raw in bodies([signed, described], seed=int.from_bytes(os.urandom(4))):
            await only_faults(key, azure.public_key)
        for body in inside:
            azure.raw = (200, json.dumps(body).encode())
            with pytest.raises(ProviderFailed):
                await check_key(key, azure.public_key)
    finally:
        azure.raw = None
    await sign_checked(key, b"message")


async def test_google(google: GoogleStandIn, keys: OpenKeys) -> None:
    key = await keys.of(google)
    seed = int.from_bytes(os.urandom(4))
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    right = kms_v1.AsymmetricSignResponse.serialize(
        kms_v1.AsymmetricSignResponse(name=GOOGLE_VERSION, signature=bytes(64), verified_data_crc32c=True)
    )
    try:
        for _ in range(60):
            cut = right[: chance.randrange(len(right))]
            flipped = bytearray(right)
            flipped[chance.randrange(len(right))] ^= 1 << chance.randrange(8)
            for google.raw in (chance.randbytes(chance.randrange(200)), cut, bytes(flipped)):
                await only_faults(key, google.public_key)
    finally:
        google.raw = None
    await sign_checked(key, b"message")
