"""Whether a signature is one: the strict reading, in which a (key, message) has no second valid spelling.

Curve arithmetic is the library's; what it lets pass and a validator or another verifier would not is refused here.

1. Ed25519 as `xorj_halt.strict` reads it, by which others judge the same signatures.
2. P-256: r and s in 1 … n-1, and s in the lower half (the secp256r1 precompile refuses the upper one).
3. Wrong lengths and malformed points are "no", never an exception.
"""

from typing import assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from xorj_halt.strict import ED25519_KEY_BYTES, SIGNATURE_BYTES, is_strict_point, verify_ed25519

from xorj_signer.providers import KeyKind

P256_KEY_BYTES = 33
P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def verify_p256(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether r||s is the low-S ECDSA signature over SHA-256 of `message` by this 33-byte compressed key."""
    if len(public_key) != P256_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if not 0 < r < P256_N or not 0 < s <= P256_N // 2:
        return False
    try:
        key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), public_key)
        key.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def verifies(kind: KeyKind, public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature of a key of this kind is valid, strictly."""
    match kind:
        case KeyKind.ED25519:
            return verify_ed25519(public_key, message, signature)
        case KeyKind.P256:
            return verify_p256(public_key, message, signature)
        case _:
            assert_never(kind)


def low_s(signature: bytes) -> bytes:
    """The same P-256 signature, r||s, with s in the lower half: (r, s) and (r, n-s) are equally valid."""
    s = int.from_bytes(signature[32:])
    return signature if s <= P256_N // 2 else signature[:32] + (P256_N - s).to_bytes(32)


def is_public_key(kind: KeyKind, public_key: bytes) -> bool:
    """Whether these bytes are a usable public key of this kind."""
    match kind:
        case KeyKind.ED25519:
            return len(public_key) == ED25519_KEY_BYTES and is_strict_point(public_key)
        case KeyKind.P256:
            try:
                EllipticCurvePublicKey.from_encoded_point(SECP256R1(), public_key)
            except ValueError:
                return False
            return len(public_key) == P256_KEY_BYTES
        case _:
            assert_never(kind)
