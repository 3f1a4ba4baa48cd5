"""A key in AWS KMS: Ed25519 (ECC_NIST_EDWARDS25519), signed in pure mode.

1. One key, by its ARN: an alias could be pointed at another key.
2. ED25519_SHA_512 with MessageType RAW; a message over 4,096 bytes is refused here, before KMS does.
3. One attempt for each call, with its own timeouts: whether to ask again is for the caller to decide.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import SharedCredentialProvider
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from xorj_signer.providers import CALL_S_MAX, CONNECT_S_MAX, KeyKind, ProviderFailed, ProviderFault

MESSAGE_BYTES_MAX = 4_096
CALLS_AT_ONCE_MAX = 32
_ALGORITHM = "ED25519_SHA_512"
_KEY_SPEC = "ECC_NIST_EDWARDS25519"

_FAULTS = {
    "ThrottlingException": ProviderFault.THROTTLED,
    "LimitExceededException": ProviderFault.THROTTLED,
    "RequestLimitExceeded": ProviderFault.THROTTLED,
    "TooManyRequestsException": ProviderFault.THROTTLED,
    "AccessDeniedException": ProviderFault.DENIED,
    "ExpiredTokenException": ProviderFault.DENIED,
    "IncompleteSignature": ProviderFault.DENIED,
    "InvalidClientTokenId": ProviderFault.DENIED,
    "InvalidSignatureException": ProviderFault.DENIED,
    "MissingAuthenticationTokenException": ProviderFault.DENIED,
    "OptInRequired": ProviderFault.DENIED,
    "UnrecognizedClientException": ProviderFault.DENIED,
    "DisabledException": ProviderFault.KEY_DISABLED,
    "KMSInvalidStateException": ProviderFault.KEY_DISABLED,
    "NotFoundException": ProviderFault.WRONG_KEY,
    "InvalidArnException": ProviderFault.MISCONFIGURED,
    "InvalidKeyUsageException": ProviderFault.MISCONFIGURED,
    "UnsupportedOperationException": ProviderFault.MISCONFIGURED,
    "ValidationException": ProviderFault.MISCONFIGURED,
    "DependencyTimeoutException": ProviderFault.TIMEOUT,
}
"""KMS's error codes; every other one is UNREACHABLE."""


class AwsKmsKey:
    """One KMS key."""

    name = "aws-kms"
    kind = KeyKind.ED25519

    def __init__(self, client: Any, key_arn: str) -> None:
        self._client = client
        self._arn = key_arn
        self._public = b""
        self._threads = ThreadPoolExecutor(CALLS_AT_ONCE_MAX, thread_name_prefix="aws-kms")

    @classmethod
    async def open(cls, key_arn: str, *, credentials_file: Path | None, endpoint_url: str | None) -> "AwsKmsKey":
        """The key, asked for once. Without a file the credentials are the platform's own. Raises `ProviderFailed`."""
        key = cls(await asyncio.to_thread(client_of, key_arn, credentials_file, endpoint_url), key_arn)
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
            told = f"{self._arn}: {len(message)} bytes to sign, KMS signs at most {MESSAGE_BYTES_MAX}"
            raise ProviderFailed(told, ProviderFault.MESSAGE_TOO_LONG)
        answer = await self._call(
            lambda: self._client.sign(KeyId=self._arn, Message=message, MessageType="RAW", SigningAlgorithm=_ALGORITHM)
        )
        self._require_own(answer)
        return self._bytes_of(answer, "Signature")

    async def check(self) -> bytes:
        described = (await self._call(lambda: self._client.describe_key(KeyId=self._arn))).get("KeyMetadata", {})
        if described.get("KeyState") != "Enabled":
            told = f"{self._arn}: the key's state is {described.get('KeyState')}"
            raise ProviderFailed(told, ProviderFault.KEY_DISABLED)
        answer = await self._call(lambda: self._client.get_public_key(KeyId=self._arn))
        self._require_own(answer)
        if answer.get("KeySpec") != _KEY_SPEC or answer.get("KeyUsage") != "SIGN_VERIFY":
            told = f"{self._arn}: a {answer.get('KeySpec')} key for {answer.get('KeyUsage')}, {_KEY_SPEC} is needed"
            raise ProviderFailed(told, ProviderFault.MISCONFIGURED)
        try:
            public = load_der_public_key(self._bytes_of(answer, "PublicKey"))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ProviderFailed(f"{self._arn}: its public key cannot be read", ProviderFault.MALFORMED) from error
        if not isinstance(public, Ed25519PublicKey):
            raise ProviderFailed(f"{self._arn}: not an Ed25519 public key", ProviderFault.MALFORMED)
        return public.public_bytes_raw()

    async def close(self) -> None:
        """Calls under way end by their own timeouts; nobody waits for them."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _require_own(self, answer: dict[str, Any]) -> None:
        if answer.get("KeyId") != self._arn:
            raise ProviderFailed(f"{self._arn}: KMS answers for {answer.get('KeyId')}", ProviderFault.WRONG_KEY)

    def _bytes_of(self, answer: dict[str, Any], name: str) -> bytes:
        value = answer.get(name)
        if not isinstance(value, bytes):
            raise ProviderFailed(f"{self._arn}: an answer without {name}", ProviderFault.MALFORMED)
        return value

    async def _call(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(CALL_S_MAX):  # credentials and the call itself have each their own timeouts
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            fault = _FAULTS.get(code, ProviderFault.THROTTLED if status == 429 else ProviderFault.UNREACHABLE)
            raise ProviderFailed(f"{self._arn}: {code or status}", fault) from error
        except (TimeoutError, ConnectTimeoutError, ReadTimeoutError) as error:
            raise ProviderFailed(f"{self._arn}: KMS does not answer in time", ProviderFault.TIMEOUT) from error
        except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
            raise ProviderFailed(f"{self._arn}: {error}", ProviderFault.DENIED) from error
        except (ResponseParserError, ValueError) as error:
            raise ProviderFailed(f"{self._arn}: KMS's answer cannot be read", ProviderFault.MALFORMED) from error
        except BotoCoreError as error:
            raise ProviderFailed(f"{self._arn}: {type(error).__name__}", ProviderFault.UNREACHABLE) from error


def client_of(key_arn: str, credentials_file: Path | None, endpoint_url: str | None) -> Any:
    """A client for the key's region, or for the endpoint that is given. Raises `ProviderFailed`."""
    session = botocore.session.get_session()
    if credentials_file is not None:
        try:
            credentials = SharedCredentialProvider(str(credentials_file), "default").load()
        except BotoCoreError as error:
            told = f"{credentials_file}: {type(error).__name__}"
            raise ProviderFailed(told, ProviderFault.MISCONFIGURED) from error
        if credentials is None:
            told = f"{credentials_file}: no credentials of the profile `default` (an AWS credentials file is expected)"
            raise ProviderFailed(told, ProviderFault.MISCONFIGURED)
        session.set_credentials(credentials.access_key, credentials.secret_key, credentials.token)
    config = Config(
        connect_timeout=CONNECT_S_MAX,
        read_timeout=CALL_S_MAX - CONNECT_S_MAX,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=CALLS_AT_ONCE_MAX,
        ignore_configured_endpoint_urls=True,  # where KMS is asked is said by our settings alone
    )
    region = key_arn.split(":")[3]
    return session.create_client("kms", region_name=region, endpoint_url=endpoint_url, config=config)
