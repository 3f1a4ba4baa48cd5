"""Every provider keeps the same promises; what it is not given, it names."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from xorj_halt.keys import verifies
from xorj_localnet.hsm import HOW_TO_GET, SignerKey, find_softhsm, provision
from xorj_signer.providers import KeyProvider, ProviderFailed
from xorj_signer.providers.file import FileKey
from xorj_signer.providers.pkcs11 import Pkcs11Key, public_key_of_point

from tests.parts import require_part


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignerKey]:
    """A SoftHSM token with a key, for the PKCS#11 module of this process."""
    softhsm = find_softhsm()
    require_part("softhsm", softhsm, HOW_TO_GET)
    key = provision(tmp_path_factory.mktemp("hsm"), softhsm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", key.settings["SOFTHSM2_CONF"])
        yield key


def opened(token: SignerKey, *, token_label: str = "", key_label: str = "", pin: str = "") -> Pkcs11Key:
    told = token.settings
    return Pkcs11Key(
        Path(told["XORJ_SIGNER_PKCS11_MODULE"]),
        token_label or told["XORJ_SIGNER_PKCS11_TOKEN"],
        key_label or told["XORJ_SIGNER_PKCS11_KEY"],
        pin or Path(told["XORJ_SIGNER_PKCS11_PIN_FILE"]).read_text(),
    )


@contextlib.asynccontextmanager
async def closing(key: KeyProvider) -> AsyncIterator[KeyProvider]:
    try:
        yield key
    finally:
        await key.close()


@pytest_asyncio.fixture(params=["file", "pkcs11"])
async def provider(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[KeyProvider, bytes]]:
    """A provider with the public key that was made for it."""
    if request.param == "pkcs11":
        token: SignerKey = request.getfixturevalue("token")
        made, key = token, opened(token)
        async with closing(key) as usable:
            yield usable, made.public_key
        return
    made = provision(tmp_path, None)
    path = Path(made.settings["XORJ_SIGNER_KEY_FILE"])
    yield FileKey(path, genesis_hash="local", local_genesis_hash="local"), made.public_key


async def test_a_provider_states_the_key_it_signs_with(provider: tuple[KeyProvider, bytes]) -> None:
    key, public_key = provider
    assert key.public_key() == public_key


async def test_a_provider_signs_the_message_itself(provider: tuple[KeyProvider, bytes]) -> None:
    key, public_key = provider
    for message in (b"", b"x", os.urandom(1_167)):
        assert verifies(public_key, message, await key.sign(message))


async def test_a_provider_signs_the_same_bytes_alike_and_many_at_once(provider: tuple[KeyProvider, bytes]) -> None:
    key, public_key = provider
    messages = [bytes([number]) * 40 for number in range(60)]
    signatures = await asyncio.gather(*(key.sign(message) for message in messages))
    assert all(verifies(public_key, m, s) for m, s in zip(messages, signatures, strict=True))
    assert await key.sign(messages[0]) == signatures[0]


def test_a_file_key_opens_on_the_local_cluster_only(tmp_path: Path) -> None:
    path = Path(provision(tmp_path, None).settings["XORJ_SIGNER_KEY_FILE"])
    for genesis, local in (("mainnet", "local"), ("mainnet", ""), ("", "")):
        with pytest.raises(ProviderFailed, match="local cluster only"):
            FileKey(path, genesis_hash=genesis, local_genesis_hash=local)


def test_a_key_file_that_is_missing_malformed_or_readable_by_others_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.seed"
    for content, mode, told in (
        (None, 0o600, "no key file"),
        ("zz", 0o600, "hexadecimal"),
        ("00" * 31, 0o600, "a seed has 32"),
        ("00" * 32, 0o644, "0600"),
    ):
        if content is not None:
            path.write_text(content)
            path.chmod(mode)
        with pytest.raises(ProviderFailed, match=told) as failed:
            FileKey(path, genesis_hash="local", local_genesis_hash="local")
        assert "some.seed" in str(failed.value)


def test_a_missing_token_key_or_pin_is_named(token: SignerKey) -> None:
    for wrong, told in (
        ({"token_label": "nowhere"}, "'nowhere'"),
        ({"key_label": "nobody"}, "'nobody'"),
        ({"pin": "0000"}, "PinIncorrect"),
    ):
        with pytest.raises(ProviderFailed, match=told):
            opened(token, **wrong)


def test_a_module_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProviderFailed, match="no-such-module"):
        Pkcs11Key(tmp_path / "no-such-module.so", "token", "key", "pin")


@pytest.mark.parametrize("wrapping", [b"", b"\x04\x20"])
def test_both_spellings_of_an_ec_point_are_read(wrapping: bytes) -> None:
    assert public_key_of_point(wrapping + bytes(range(32))) == bytes(range(32))


def test_an_ec_point_of_another_length_is_refused() -> None:
    with pytest.raises(ProviderFailed, match="33 bytes"):
        public_key_of_point(bytes(33))


RFC_8032 = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b"
        "be24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302"
        "aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed"
        "28dc027beceea1ec40a",
    ),
)


@pytest.mark.parametrize(("public_key", "message", "signature"), RFC_8032)
def test_verification_agrees_with_the_standards_vectors(public_key: str, message: str, signature: str) -> None:
    key, said, signed = bytes.fromhex(public_key), bytes.fromhex(message), bytes.fromhex(signature)
    assert verifies(key, said, signed)
    assert not verifies(key, said + b"\0", signed)
    for index in (0, 31, 32, 63):
        changed = bytearray(signed)
        changed[index] ^= 1
        assert not verifies(key, said, bytes(changed))
