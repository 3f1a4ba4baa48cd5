"""Keys of this machine for tests: a SoftHSM token whose session can be made to fail, and a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pkcs11
from xorj_localnet.hsm import SignerKey
from xorj_signer.providers import KeyKind, KeyProvider
from xorj_signer.providers.pkcs11 import Pkcs11Key

from tests.signer.providers.stand_ins import Wrong

RAISED: dict[Wrong, type[Exception]] = {
    Wrong.DOWN: pkcs11.DeviceRemoved,
    Wrong.BROKEN: pkcs11.DeviceError,
    Wrong.DENIED: pkcs11.PinLocked,
    Wrong.THROTTLED: pkcs11.SessionCount,
}


class LocalKey:
    """A key on this machine."""

    kind = KeyKind.ED25519
    ways: ClassVar[frozenset[Wrong]] = frozenset()

    def __init__(self, made: SignerKey) -> None:
        self.public_key = made.public_key
        self.settings = {n: v for n, v in made.settings.items() if n.startswith("XORJ_")}
        if made.provider == "file":
            self.settings |= {"XORJ_GENESIS_HASH": "local", "XORJ_LOCAL_GENESIS_HASH": "local"}

    def act(self, wrong: Wrong | None) -> None:
        """It is always right."""
        assert wrong is None


class WrongToken:
    """Stands where a private key's handle stands, and is wrong."""

    ways: ClassVar[frozenset[Wrong]] = frozenset({*RAISED, Wrong.SIGNATURE, Wrong.LENGTH})

    def __init__(self, real: Any, wrong: Wrong) -> None:
        self._real = real
        self._wrong = wrong

    def sign(self, message: bytes, mechanism: Any) -> bytes:
        if self._wrong in RAISED:
            raise RAISED[self._wrong]
        if self._wrong is Wrong.SIGNATURE:
            return bytes(self._real.sign(message + b"?", mechanism=mechanism))
        return bytes(self._real.sign(message, mechanism=mechanism))[:63]


@contextmanager
def bent(key: KeyProvider, wrong: Wrong) -> Iterator[None]:
    """The open token is wrong, until it is opened again or the test is over."""
    assert isinstance(key, Pkcs11Key)
    real = key._private
    bending = WrongToken(real, wrong)
    key._private = bending
    yield
    if key._private is bending:
        key._private = real
