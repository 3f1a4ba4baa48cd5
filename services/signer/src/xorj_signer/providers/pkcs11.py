"""A key in a PKCS#11 token (SoftHSM, YubiHSM, Nitrokey, CloudHSM): Ed25519 by CKM_EDDSA.

1. The private key never leaves the token; a missing token, key or PIN is named at start.
2. Calls block, so they run in one thread of their own with one session: a session does one thing at a time, and
   sessions used from several threads have been seen to end the process with SoftHSM 2.6.
3. EC_POINT is read in both encodings that tokens use: raw, and wrapped in an OCTET STRING.
4. A session that the token has ended fails the call that meets it; the next call opens a new one.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from xorj_signer.providers import CALL_S_MAX, KeyKind, ProviderFailed, ProviderFault
from xorj_signer.providers.thread import OneThread

_FAULTS: dict[type[pkcs11.PKCS11Error], ProviderFault] = {
    pkcs11.PinIncorrect: ProviderFault.DENIED,
    pkcs11.PinLocked: ProviderFault.DENIED,
    pkcs11.PinExpired: ProviderFault.DENIED,
    pkcs11.UserNotLoggedIn: ProviderFault.DENIED,
    pkcs11.SessionCount: ProviderFault.THROTTLED,
    pkcs11.DeviceMemory: ProviderFault.THROTTLED,
    pkcs11.DataLenRange: ProviderFault.MESSAGE_TOO_LONG,
    pkcs11.NoSuchKey: ProviderFault.WRONG_KEY,
    pkcs11.MultipleObjectsReturned: ProviderFault.WRONG_KEY,
}
"""What a token's error means; every other one is UNREACHABLE."""

_SESSION_ENDED = (pkcs11.SessionHandleInvalid, pkcs11.SessionClosed, pkcs11.UserNotLoggedIn, pkcs11.DeviceRemoved)


class Pkcs11Key:
    """One key, by label, in one token, by label."""

    name = "pkcs11"
    kind = KeyKind.ED25519

    def __init__(self, module: Path, token_label: str, key_label: str, pin: str) -> None:
        """Raises `ProviderFailed` naming what is missing."""
        self._where = f"key {key_label!r} in token {token_label!r}"
        self._key_label = key_label
        self._pin = pin
        try:
            self._token = _token(module, token_label)
            self._session = self._token.open(user_pin=pin)
            try:
                self._public = _public_key(self._session, key_label)
                self._private = _one(self._session, ObjectClass.PRIVATE_KEY, key_label)
            except (pkcs11.PKCS11Error, ProviderFailed):
                self._session.close()
                raise
        except pkcs11.PKCS11Error as error:
            raise self._failed(error) from error
        self._thread = OneThread("pkcs11")

    def public_key(self) -> bytes:
        return self._public

    async def sign(self, message: bytes) -> bytes:
        return await self._call(lambda: self._sign(message))

    async def check(self) -> bytes:
        return await self._call(self._look)

    async def close(self) -> None:
        """The session is closed in its turn; a token that hangs is not waited for."""
        with contextlib.suppress(ProviderFailed):  # a session that the token has ended already
            await self._call(self._end)
        self._thread.end()

    async def _call(self, work: Callable[[], bytes]) -> bytes:
        try:
            async with asyncio.timeout(CALL_S_MAX):
                return await self._thread.call(work)
        except TimeoutError as error:
            raise ProviderFailed(f"{self._where}: the token does not answer", ProviderFault.TIMEOUT) from error
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise self._failed(error) from error

    def _end(self) -> bytes:
        self._session.close()  # the one that is open then
        return b""

    def _sign(self, message: bytes) -> bytes:
        try:
            return bytes(self._private.sign(message, mechanism=Mechanism.EDDSA))
        except _SESSION_ENDED:
            self._reopen()
            raise

    def _look(self) -> bytes:
        """The public key as the token has it now, and that the private one is there."""
        try:
            _one(self._session, ObjectClass.PRIVATE_KEY, self._key_label)
            return _public_key(self._session, self._key_label)
        except _SESSION_ENDED:
            self._reopen()
            raise

    def _reopen(self) -> None:
        with contextlib.suppress(pkcs11.PKCS11Error):  # it has ended, or ends here: a token has one login a process
            self._session.close()
        self._session = self._token.open(user_pin=self._pin)
        self._private = _one(self._session, ObjectClass.PRIVATE_KEY, self._key_label)

    def _failed(self, error: Exception) -> ProviderFailed:
        fault = next((f for kind, f in _FAULTS.items() if isinstance(error, kind)), ProviderFault.UNREACHABLE)
        return ProviderFailed(f"{self._where}: {type(error).__name__} {error}".rstrip(), fault)


def _token(module: Path, label: str) -> Any:
    try:
        library = pkcs11.lib(str(module))
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        told = f"PKCS#11 module {module} cannot be loaded: {error}"
        raise ProviderFailed(told, ProviderFault.MISCONFIGURED) from error
    try:
        return library.get_token(token_label=label)
    except pkcs11.NoSuchToken:
        # A token made after the module was first loaded in this process shows only after a fresh look at the slots.
        library.reinitialize()
    try:
        return library.get_token(token_label=label)
    except (pkcs11.NoSuchToken, pkcs11.MultipleTokensReturned) as error:
        told = f"not exactly one PKCS#11 token has the label {label!r}"
        raise ProviderFailed(told, ProviderFault.MISCONFIGURED) from error


def _public_key(session: Any, label: str) -> bytes:
    return public_key_of_point(bytes(_one(session, ObjectClass.PUBLIC_KEY, label)[Attribute.EC_POINT]))


def public_key_of_point(point: bytes) -> bytes:
    """The 32 bytes in an EC_POINT, wrapped or raw. Raises `ProviderFailed`."""
    if len(point) == 34 and point[:2] == b"\x04\x20":
        point = point[2:]
    if len(point) != 32:
        raise ProviderFailed(f"the token's EC_POINT has {len(point)} bytes", ProviderFault.MALFORMED)
    return point


def _one(session: Any, kind: ObjectClass, label: str) -> Any:
    try:
        return session.get_key(object_class=kind, key_type=KeyType.EC_EDWARDS, label=label)
    except (pkcs11.NoSuchKey, pkcs11.MultipleObjectsReturned) as error:
        told = f"not exactly one {kind.name} of Ed25519 in the token has the label {label!r}"
        raise ProviderFailed(told, ProviderFault.WRONG_KEY) from error
