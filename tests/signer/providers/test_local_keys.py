"""Keys of this machine: the token's spellings and labels, and the file that opens on a local cluster only."""

from pathlib import Path

import pytest
from xorj_localnet.hsm import provision
from xorj_signer.providers import ProviderFailed, ProviderFault
from xorj_signer.providers.checked import check_key
from xorj_signer.providers.file import FileKey
from xorj_signer.providers.pkcs11 import Pkcs11Key, public_key_of_point

from tests.signer.providers.token import LocalKey


def opened(token: LocalKey, *, token_label: str = "", key_label: str = "", pin: str = "") -> Pkcs11Key:
    told = token.settings
    return Pkcs11Key(
        Path(told["XORJ_SIGNER_PKCS11_MODULE"]),
        token_label or told["XORJ_SIGNER_PKCS11_TOKEN"],
        key_label or told["XORJ_SIGNER_PKCS11_KEY"],
        pin or Path(told["XORJ_SIGNER_PKCS11_PIN_FILE"]).read_text(),
    )


def test_a_missing_token_key_or_pin_is_named(pkcs11: LocalKey) -> None:
    for wrong, told, fault in (
        ({"token_label": "nowhere"}, "'nowhere'", ProviderFault.MISCONFIGURED),
        ({"key_label": "nobody"}, "'nobody'", ProviderFault.WRONG_KEY),
        ({"pin": "0000"}, "PinIncorrect", ProviderFault.DENIED),
    ):
        with pytest.raises(ProviderFailed, match=told) as failed:
            opened(pkcs11, **wrong)
        assert failed.value.fault is fault


def test_a_module_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProviderFailed, match="no-such-module"):
        Pkcs11Key(tmp_path / "no-such-module.so", "token", "key", "pin")


@pytest.mark.parametrize("wrapping", [b"", b"\x04\x20"])
def test_both_spellings_of_an_ec_point_are_read(wrapping: bytes) -> None:
    assert public_key_of_point(wrapping + bytes(range(32))) == bytes(range(32))


@pytest.mark.parametrize("point", [b"", bytes(31), bytes(33), b"\x04\x21" + bytes(33), b"\x03\x20" + bytes(32)])
def test_an_ec_point_of_another_form_is_refused(point: bytes) -> None:
    with pytest.raises(ProviderFailed, match="EC_POINT"):
        public_key_of_point(point)


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


async def test_a_file_that_was_replaced_is_noticed_by_a_check(tmp_path: Path) -> None:
    made = provision(tmp_path, None)
    path = Path(made.settings["XORJ_SIGNER_KEY_FILE"])
    key = FileKey(path, genesis_hash="local", local_genesis_hash="local")
    await check_key(key, made.public_key)
    path.write_text("11" * 32)  # noqa: ASYNC240 (nobody waits)
    with pytest.raises(ProviderFailed) as failed:
        await check_key(key, made.public_key)
    assert failed.value.fault is ProviderFault.WRONG_KEY
