"""A key in Azure Key Vault or Managed HSM: P-256, ES256. Azure has no Ed25519.

1. One key version, by vault, name and version.
2. The answer is r||s; s is brought into the lower half, which is an equally valid signature and the only accepted one.
3. The SDK does not say which version signed; a signature by another one does not verify.
4. Whether the key is enabled, in its time and of this version is asked for each time: the SDK's own knowledge of a key
   is fetched once and kept, so it would not notice.
5. One attempt for each call: the SDK's own retries would hide the time.
"""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    DeserializationError,
    HttpResponseError,
    ServiceRequestTimeoutError,
    ServiceResponseTimeoutError,
)
from azure.keyvault.keys import KeyClient, KeyCurveName, KeyOperation, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm, SignResult
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from xorj_halt.strict import SIGNATURE_BYTES

from xorj_signer.providers import CALL_S_MAX, CONNECT_S_MAX, KeyKind, ProviderFailed, ProviderFault
from xorj_signer.verification import low_s

CALLS_AT_ONCE_MAX = 16
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
T = TypeVar("T")


class AzureKeyVaultKey:
    """One version of one key."""

    name = "azure-keyvault"
    kind = KeyKind.P256

    def __init__(
        self, vault_url: str, key_name: str, version: str, credential: TokenCredential, ca: str | None
    ) -> None:
        self._id = f"{vault_url.rstrip('/')}/keys/{key_name}/{version}"
        self._key_name, self._version = key_name, version
        options: dict[str, Any] = {
            "retry_total": 0,
            "connection_timeout": CONNECT_S_MAX,
            "read_timeout": CALL_S_MAX - CONNECT_S_MAX,
            "connection_verify": True if ca is None else ca,
            # A vault on loopback is no subdomain of the tokens' resource.
            "verify_challenge_resource": urlsplit(vault_url).hostname not in _LOOPBACK,
        }
        self._keys = KeyClient(vault_url, credential, **options)
        self._options = options
        self._crypto: CryptographyClient | None = None
        self._public = b""
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE_MAX, thread_name_prefix="azure-keyvault")

    @classmethod
    async def open(
        cls, vault_url: str, key_name: str, version: str, *, credential: TokenCredential, ca: str | None
    ) -> "AzureKeyVaultKey":
        """The key, asked for once; `ca` is a file of certificates to trust instead of the usual ones.

        Raises `ProviderFailed`.
        """
        key = cls(vault_url, key_name, version, credential, ca)
        try:
            found = await key._fetch()
            key._public = key._point_of(found)
            # Given the key as it was checked: by its name alone, the SDK would fetch it once and believe that for ever.
            key._crypto = CryptographyClient(found, credential, **key._options)
        except BaseException:
            await key.close()
            raise
        return key

    def public_key(self) -> bytes:
        return self._public

    async def sign(self, message: bytes) -> bytes:
        crypto = self._crypto
        if crypto is None:
            raise ProviderFailed(f"{self._id}: not open", ProviderFault.UNREACHABLE)
        digest = hashlib.sha256(message).digest()
        answer: SignResult = await self._call(lambda: crypto.sign(SignatureAlgorithm.es256, digest))
        if not isinstance(answer.signature, bytes) or len(answer.signature) != SIGNATURE_BYTES:
            raise ProviderFailed(f"{self._id}: an answer that is no r||s", ProviderFault.MALFORMED)
        return low_s(answer.signature)

    async def check(self) -> bytes:
        return self._point_of(await self._fetch())

    async def _fetch(self) -> KeyVaultKey:
        key: KeyVaultKey = await self._call(lambda: self._keys.get_key(self._key_name, self._version))
        properties = key.properties
        if key.id != self._id:
            raise ProviderFailed(f"{self._id}: the vault answers for {key.id}", ProviderFault.WRONG_KEY)
        now = datetime.now(UTC)
        if properties.enabled is None:
            raise ProviderFailed(f"{self._id}: a description without `enabled`", ProviderFault.MALFORMED)
        if (
            not properties.enabled
            or (properties.not_before is not None and now < properties.not_before)
            or (properties.expires_on is not None and now >= properties.expires_on)
        ):
            told = f"{self._id}: the key is disabled, not valid yet, or expired"
            raise ProviderFailed(told, ProviderFault.KEY_DISABLED)
        operations = key.key_operations or []
        web_key: Any = key.key  # its fields are made at run time
        if web_key.crv != KeyCurveName.p_256 or KeyOperation.sign not in operations:
            told = f"{self._id}: a key on {web_key.crv} for {', '.join(operations)}; P-256 for `sign` is needed"
            raise ProviderFailed(told, ProviderFault.MISCONFIGURED)
        return key

    async def close(self) -> None:
        """Calls under way end by their own timeouts; nobody waits for them."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._keys.close()
        if self._crypto is not None:
            self._crypto.close()

    def _point_of(self, key: KeyVaultKey) -> bytes:
        web_key: Any = key.key
        try:
            x, y = int.from_bytes(web_key.x), int.from_bytes(web_key.y)
            point = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        except (TypeError, ValueError) as error:
            told = f"{self._id}: its public key is no point of P-256"
            raise ProviderFailed(told, ProviderFault.MALFORMED) from error
        return point.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(CALL_S_MAX):  # a token and the call itself have each their own timeouts
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError as error:
            raise ProviderFailed(f"{self._id}: no answer in time", ProviderFault.TIMEOUT) from error
        except AzureError as error:
            told = f"{self._id}: {type(error).__name__} {error.message}"
            raise ProviderFailed(told, _fault_of(error)) from error


def _fault_of(error: AzureError) -> ProviderFault:
    if isinstance(error, ServiceRequestTimeoutError | ServiceResponseTimeoutError):
        return ProviderFault.TIMEOUT
    if isinstance(error, DecodeError | DeserializationError):
        return ProviderFault.MALFORMED
    if isinstance(error, ClientAuthenticationError):
        # Also what a token could not be had for: then the reason stands behind it.
        cause = error.__cause__
        return _fault_of(cause) if isinstance(cause, AzureError) else ProviderFault.DENIED
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status == 403:
        # One status for "you may not" and for "not with this key"; only the text tells them apart.
        disabled = any(word in str(error.message).lower() for word in ("disabled", "expired", "not yet valid"))
        return ProviderFault.KEY_DISABLED if disabled else ProviderFault.DENIED
    if status == 404:
        return ProviderFault.WRONG_KEY
    if status == 429:
        return ProviderFault.THROTTLED
    return ProviderFault.UNREACHABLE
