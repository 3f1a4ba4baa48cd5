"""What stands between a provider's answer and its use."""

import asyncio
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from xorj_signer.providers import KeyKind, ProviderFailed, ProviderFault
from xorj_signer.providers.addresses import parse_public_key, public_key_text
from xorj_signer.providers.checked import REFUSED_AS, check_key, sign_checked
from xorj_signer.providers.settings import load_provider_settings, open_checked

from tests.signer.providers.conftest import Told
from tests.signer.providers.stand_ins import StandIn


@dataclass(slots=True)
class BentKey:
    """Answers with what it is told to, or never."""

    answer: bytes | None
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    kind: KeyKind = KeyKind.ED25519
    name: str = "file"

    def public_key(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    async def sign(self, message: bytes) -> bytes:
        if self.answer is None:
            await asyncio.Event().wait()
        assert self.answer is not None
        return self.answer

    async def check(self) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def close(self) -> None:
        """Nothing is held."""


async def test_another_key_than_the_expected_one_does_not_open(stand_in: StandIn, told: Told) -> None:
    settings = told({**stand_in.settings, "XORJ_SIGNER_PUBLIC_KEY": public_key_text(new_public_key(stand_in.kind))})
    with pytest.raises(ProviderFailed, match="XORJ_SIGNER_PUBLIC_KEY") as failed:
        await open_checked(load_provider_settings(settings))
    assert failed.value.fault is ProviderFault.WRONG_KEY


def new_public_key(kind: KeyKind) -> bytes:
    """A key that nobody has."""
    if kind is KeyKind.ED25519:
        return Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    return generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def test_every_fault_is_refused_for_its_own_reason() -> None:
    assert set(REFUSED_AS) == set(ProviderFault)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", ProviderFault.MALFORMED),
        (bytes(63), ProviderFault.MALFORMED),
        (bytes(65), ProviderFault.MALFORMED),
        (bytes(64), ProviderFault.WRONG_SIGNATURE),
        (None, ProviderFault.TIMEOUT),
    ],
)
async def test_nothing_but_a_verified_signature_comes_through(answer: bytes | None, fault: ProviderFault) -> None:
    with pytest.raises(ProviderFailed) as failed:
        await sign_checked(BentKey(answer), b"message", timeout_s=0.05)
    assert failed.value.fault is fault


async def test_the_signature_of_another_message_does_not_come_through() -> None:
    key = BentKey(b"")
    key.answer = key.private.sign(b"another message")
    with pytest.raises(ProviderFailed) as failed:
        await sign_checked(key, b"message")
    assert failed.value.fault is ProviderFault.WRONG_SIGNATURE
    assert await sign_checked(key, b"another message") == key.answer


async def test_a_caller_whose_time_is_up_gets_no_signature() -> None:
    with pytest.raises(ProviderFailed) as failed:
        await sign_checked(BentKey(None), b"message", timeout_s=0.0)
    assert failed.value.fault is ProviderFault.TIMEOUT


async def test_a_check_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xorj_signer.providers.checked.CALL_S_MAX", 0.05)
    key = BentKey(None)
    with pytest.raises(ProviderFailed) as failed:
        await check_key(key, key.public_key())
    assert failed.value.fault is ProviderFault.TIMEOUT


@pytest.mark.parametrize("kind", KeyKind)
def test_a_public_key_has_one_spelling(kind: KeyKind) -> None:
    key = new_public_key(kind)
    assert parse_public_key(public_key_text(key)) == key
    for other in (
        key.hex().upper(),
        " " + public_key_text(key),
        public_key_text(key) + "\n",
        "0" + public_key_text(key),
        "",
    ):
        with pytest.raises(ValueError):
            parse_public_key(other)
