"""What lies between a provider's answer and its use: deadline, length, strict verification, the expected key.

1. No signature is returned that does not verify under the key that was expected at start.
2. Whatever an SDK raises becomes a `ProviderFailed`, and comes within its time.
3. A fault becomes exactly one refusal reason; the table is total.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from xorj_core.facts.signed_txs import SigningRefusedReason as Reason
from xorj_halt.strict import SIGNATURE_BYTES

from xorj_signer.providers import CALL_S_MAX, KeyKind, KeyProvider, ProviderFailed, ProviderFault
from xorj_signer.providers.addresses import public_key_text
from xorj_signer.verification import verifies

T = TypeVar("T")

REFUSED_AS: dict[ProviderFault, Reason] = {
    ProviderFault.MISCONFIGURED: Reason.PROVIDER_FAILED,
    ProviderFault.UNREACHABLE: Reason.PROVIDER_FAILED,
    ProviderFault.TIMEOUT: Reason.PROVIDER_TIMEOUT,
    ProviderFault.THROTTLED: Reason.PROVIDER_THROTTLED,
    ProviderFault.DENIED: Reason.PROVIDER_DENIED,
    ProviderFault.KEY_DISABLED: Reason.PROVIDER_KEY_DISABLED,
    ProviderFault.WRONG_KEY: Reason.PROVIDER_WRONG_KEY,
    ProviderFault.MALFORMED: Reason.PROVIDER_MALFORMED,
    ProviderFault.WRONG_SIGNATURE: Reason.BAD_SIGNATURE,
    ProviderFault.MESSAGE_TOO_LONG: Reason.BAD_REQUEST,
}
"""How a fault stands on the log and on the wire."""


async def answer_of(name: str, asked: Awaitable[T], timeout_s: float) -> T:
    """A provider's answer within the time, or `ProviderFailed`: no other exception gets past this."""
    try:
        async with asyncio.timeout(timeout_s):
            return await asked
    except ProviderFailed:
        raise
    except TimeoutError as error:
        raise ProviderFailed(f"{name}: no answer in time", ProviderFault.TIMEOUT) from error
    except Exception as error:
        # An SDK takes answers as they come: over a wrong one it raises whatever its code happens to.
        told = f"{name}: an answer that cannot be read ({type(error).__name__})"
        raise ProviderFailed(told, ProviderFault.MALFORMED) from error


async def sign_checked(key: KeyProvider, message: bytes, timeout_s: float = CALL_S_MAX) -> bytes:
    """A verified signature within `timeout_s` seconds, or `ProviderFailed` with what was wrong."""
    signature = await answer_of(key.name, key.sign(message), min(timeout_s, CALL_S_MAX))
    if len(signature) != SIGNATURE_BYTES:
        told = f"{key.name}: a signature of {len(signature)} bytes, {SIGNATURE_BYTES} were expected"
        raise ProviderFailed(told, ProviderFault.MALFORMED)
    if not verifies(key.kind, key.public_key(), message, signature):
        raise ProviderFailed(f"{key.name}: the signature does not verify", ProviderFault.WRONG_SIGNATURE)
    return signature


async def check_key(key: KeyProvider, expected: bytes) -> None:
    """Raises `ProviderFailed` unless the provider, asked now, has the expected public key and can use it."""
    found = await answer_of(key.name, key.check(), CALL_S_MAX)
    if found != expected or key.public_key() != expected:
        told = (
            f"{key.name}: the key is {public_key_text(found)}, XORJ_SIGNER_PUBLIC_KEY names {public_key_text(expected)}"
        )
        raise ProviderFailed(told, ProviderFault.WRONG_KEY)


def require_solana_key(key: KeyProvider) -> None:
    """Raises `ProviderFailed` for a key that cannot sign a trade: a bot authority of kind P-256 is not built yet."""
    if key.kind is not KeyKind.ED25519:
        told = (
            f"{key.name}: a {key.kind.value} key cannot sign trades; a vault's bot authority signs with Ed25519. "
            "`xorj signer selftest` works with it, serving trades does not"
        )
        raise ProviderFailed(told, ProviderFault.MISCONFIGURED)
