"""A key version in Google Cloud KMS: Ed25519 (EC_SIGN_ED25519), over the message itself.

1. One key version, by its full name; no "primary" that somebody may move.
2. CRC32C both ways: KMS says that it received what was sent, and what came back is what it sent.
3. Every call has a timeout of its own and is tried once: the client's own retries would hide a minute.
"""

from pathlib import Path
from typing import Any

import google.auth
import google_crc32c
import grpc
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, MalformedError
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcAsyncIOTransport
from google.oauth2 import service_account

from xorj_signer.providers import CALL_S_MAX, KeyKind, ProviderFailed, ProviderFault

MESSAGE_BYTES_MAX = 64 * 1024
_SCOPES = ("https://www.googleapis.com/auth/cloudkms",)
_ALGORITHM = kms_v1.CryptoKeyVersion.CryptoKeyVersionAlgorithm.EC_SIGN_ED25519
_ENABLED = kms_v1.CryptoKeyVersion.CryptoKeyVersionState.ENABLED

_FAULTS: dict[type[exceptions.GoogleAPICallError], ProviderFault] = {
    exceptions.DeadlineExceeded: ProviderFault.TIMEOUT,
    exceptions.TooManyRequests: ProviderFault.THROTTLED,
    exceptions.Unauthorized: ProviderFault.DENIED,
    exceptions.Forbidden: ProviderFault.DENIED,
    exceptions.NotFound: ProviderFault.WRONG_KEY,
    exceptions.FailedPrecondition: ProviderFault.KEY_DISABLED,
    exceptions.InvalidArgument: ProviderFault.MISCONFIGURED,
    exceptions.DataLoss: ProviderFault.MALFORMED,
}
"""KMS's errors, each with its subclasses; every other one is UNREACHABLE."""


class GoogleKmsKey:
    """One key version."""

    name = "google-kms"
    kind = KeyKind.ED25519

    def __init__(self, client: kms_v1.KeyManagementServiceAsyncClient, key_version: str) -> None:
        self._client = client
        self._version = key_version
        self._public = b""

    @classmethod
    async def open(
        cls, key_version: str, *, credentials_file: Path | None, local_address: str | None
    ) -> "GoogleKmsKey":
        """The key, asked for once. Without a file the credentials are the platform's own.

        `local_address` is a stand-in's on this machine, without TLS. Raises `ProviderFailed`.
        """
        key = cls(_client(credentials_file, local_address), key_version)
        try:
            key._public = await key.check()
        except BaseException:
            await key.close()
            raise
        return key

    def public_key(self) -> bytes:
        return self._public

    async def sign(self, message: bytes) -> bytes:
        if len(message) > MESSAGE_BYTES_MAX:
            told = f"{self._version}: {len(message)} bytes to sign, KMS signs at most {MESSAGE_BYTES_MAX}"
            raise ProviderFailed(told, ProviderFault.MESSAGE_TOO_LONG)
        request = kms_v1.AsymmetricSignRequest(name=self._version, data=message, data_crc32c=_crc32c(message))
        answer = await self._call(self._client.asymmetric_sign, request)
        self._require_own(answer.name)
        if not answer.verified_data_crc32c:
            self._damaged("the message, on its way to KMS")
        signature = bytes(answer.signature)
        if answer.signature_crc32c != _crc32c(signature):
            self._damaged("the signature, on its way from KMS")
        return signature

    async def check(self) -> bytes:
        version = await self._call(
            self._client.get_crypto_key_version, kms_v1.GetCryptoKeyVersionRequest(name=self._version)
        )
        self._require_own(version.name)
        if version.algorithm != _ALGORITHM:
            told = f"{self._version}: {_name_of(version.algorithm)}, EC_SIGN_ED25519 is needed"
            raise ProviderFailed(told, ProviderFault.MISCONFIGURED)
        if version.state != _ENABLED:
            told = f"{self._version}: the version's state is {_name_of(version.state)}"
            raise ProviderFailed(told, ProviderFault.KEY_DISABLED)
        answer = await self._call(self._client.get_public_key, kms_v1.GetPublicKeyRequest(name=self._version))
        self._require_own(answer.name)
        if answer.pem_crc32c != _crc32c(answer.pem.encode()):
            self._damaged("the public key, on its way from KMS")
        try:
            public = load_pem_public_key(answer.pem.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            told = f"{self._version}: its public key cannot be read"
            raise ProviderFailed(told, ProviderFault.MALFORMED) from error
        if not isinstance(public, Ed25519PublicKey):
            raise ProviderFailed(f"{self._version}: not an Ed25519 public key", ProviderFault.MALFORMED)
        return public.public_bytes_raw()

    async def close(self) -> None:
        transport: Any = self._client.transport
        await transport.close()

    def _require_own(self, name: str) -> None:
        if name != self._version:
            raise ProviderFailed(f"{self._version}: KMS answers for {name!r}", ProviderFault.WRONG_KEY)

    def _damaged(self, what: str) -> None:
        raise ProviderFailed(f"{self._version}: CRC32C does not fit {what}", ProviderFault.MALFORMED)

    async def _call(self, method: Any, request: Any) -> Any:
        try:
            return await method(request=request, retry=None, timeout=CALL_S_MAX)
        except exceptions.GoogleAPICallError as error:
            fault = next((f for kind, f in _FAULTS.items() if isinstance(error, kind)), ProviderFault.UNREACHABLE)
            raise ProviderFailed(f"{self._version}: {type(error).__name__} {error.message}", fault) from error
        except GoogleAuthError as error:
            raise ProviderFailed(f"{self._version}: {type(error).__name__}", ProviderFault.DENIED) from error


def _client(credentials_file: Path | None, local_address: str | None) -> kms_v1.KeyManagementServiceAsyncClient:
    if local_address is not None:
        channel = grpc.aio.insecure_channel(local_address, [("grpc.enable_http_proxy", 0)])
        return kms_v1.KeyManagementServiceAsyncClient(
            transport=KeyManagementServiceGrpcAsyncIOTransport(channel=channel)
        )
    try:
        if credentials_file is None:
            credentials, _ = google.auth.default(scopes=_SCOPES)
        else:
            account: Any = service_account.Credentials
            credentials = account.from_service_account_file(str(credentials_file), scopes=_SCOPES)
    except DefaultCredentialsError as error:
        told = "google-kms: the platform gives no credentials, and XORJ_SIGNER_GCP_CREDENTIALS_FILE is not set"
        raise ProviderFailed(told, ProviderFault.MISCONFIGURED) from error
    except (OSError, ValueError, MalformedError) as error:
        # `from None`: an error's text may quote what the file holds.
        told = f"{credentials_file}: not a service account's credentials ({type(error).__name__})"
        raise ProviderFailed(told, ProviderFault.MISCONFIGURED) from None
    return kms_v1.KeyManagementServiceAsyncClient(credentials=credentials)


def _crc32c(data: bytes) -> int:
    return int(google_crc32c.value(data))


def _name_of(value: Any) -> str:
    return str(getattr(value, "name", value))
