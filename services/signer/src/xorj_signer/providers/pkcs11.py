"""A key in a PKCS#11 token (SoftHSM, YubiHSM, Nitrokey, CloudHSM): Ed25519 by CKM_EDDSA.

1. The private key never leaves the token; a missing token, key or PIN is named at start.
2. Calls block, so they run in one thread of their own with one session: a session does one thing at a time, and
   sessions used from several threads have been seen to end the process with SoftHSM 2.6.
3. EC_POINT is read in both encodings that tokens use: raw, and wrapped in an OCTET STRING.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from xorj_signer.providers import ProviderFailed

SIGN_S_MAX = 5.0


class Pkcs11Key:
    """One key, by label, in one token, by label."""

    name = "pkcs11"

    def __init__(self, module: Path, token_label: str, key_label: str, pin: str) -> None:
        """Raises `ProviderFailed` naming what is missing."""
        self._where = f"key {key_label!r} in token {token_label!r}"
        self._key_label = key_label
        self._pin = pin
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pkcs11")
        try:
            self._token = _token(module, token_label)
            self._session = self._token.open(user_pin=pin)
            try:
                self._public = _public_key(self._session, key_label, self._where)
                self._private = _private_key(self._session, key_label, self._where)
            except (pkcs11.PKCS11Error, ProviderFailed):
                self._session.close()
                raise
        except pkcs11.PKCS11Error as error:
            raise ProviderFailed(f"{self._where}: {type(error).__name__} {error}".rstrip()) from error

    def public_key(self) -> bytes:
        return self._public

    async def sign(self, message: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SIGN_S_MAX):
                return await loop.run_in_executor(self._thread, self._sign, message)
        except (pkcs11.PKCS11Error, TimeoutError, RuntimeError) as error:
            raise ProviderFailed(f"{self._where}: {type(error).__name__} {error}".rstrip()) from error

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._session.close)
        self._thread.shutdown(wait=False)

    def _sign(self, message: bytes) -> bytes:
        try:
            return bytes(self._private.sign(message, mechanism=Mechanism.EDDSA))
        except (pkcs11.SessionHandleInvalid, pkcs11.SessionClosed, pkcs11.UserNotLoggedIn, pkcs11.DeviceRemoved):
            # The token was reset: this signature fails, the next one finds a new session.
            self._session = self._token.open(user_pin=self._pin)
            self._private = _private_key(self._session, self._key_label, self._where)
            raise


def _token(module: Path, label: str) -> Any:
    try:
        library = pkcs11.lib(str(module))
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        raise ProviderFailed(f"PKCS#11 module {module} cannot be loaded: {error}") from error
    try:
        return library.get_token(token_label=label)
    except pkcs11.NoSuchToken:
        # A token made after the module was first loaded in this process shows only after a fresh look at the slots.
        library.reinitialize()
    try:
        return library.get_token(token_label=label)
    except (pkcs11.NoSuchToken, pkcs11.MultipleTokensReturned) as error:
        raise ProviderFailed(f"not exactly one PKCS#11 token has the label {label!r}") from error


def _private_key(session: Any, label: str, where: str) -> Any:
    return _one(session, ObjectClass.PRIVATE_KEY, label, f"no private {where}")


def _public_key(session: Any, label: str, where: str) -> bytes:
    point = bytes(_one(session, ObjectClass.PUBLIC_KEY, label, f"no public {where}")[Attribute.EC_POINT])
    if len(point) == 34 and point[:2] == b"\x04\x20":
        point = point[2:]
    if len(point) != 32:
        raise ProviderFailed(f"public {where}: EC_POINT has {len(point)} bytes")
    return point


def _one(session: Any, kind: ObjectClass, label: str, missing: str) -> Any:
    try:
        return session.get_key(object_class=kind, key_type=KeyType.EC_EDWARDS, label=label)
    except (pkcs11.NoSuchKey, pkcs11.MultipleObjectsReturned) as error:
        raise ProviderFailed(f"{missing} (not exactly one Ed25519 key has this label)") from error
