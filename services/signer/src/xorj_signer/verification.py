"""Whether a signature is one: the strict reading, in which a (key, message) has no second valid spelling.

Curve arithmetic is the library's; what it lets pass and a validator or another verifier would not is refused here.

1. Ed25519 (RFC 8032, section 5.1.7, and the strict rule that validators apply): S < L; R and A are canonical encodings
   of points and neither has small order.
2. P-256: r and s in 1 … n-1, and s in the lower half (the secp256r1 precompile refuses the upper one).
3. Wrong lengths and malformed points are "no", never an exception.
"""

from typing import assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from xorj_signer.providers import KeyKind

SIGNATURE_BYTES = 64
ED25519_KEY_BYTES = 32
P256_KEY_BYTES = 33

ED25519_P = 2**255 - 19
ED25519_L = 2**252 + 27742317777372353535851937790883648493
P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, ED25519_P - 1, _Y_OF_ORDER_8, ED25519_P - _Y_OF_ORDER_8})
"""y of the eight points whose order divides 8: 1 (order 1), p-1 (2), 0 (4), and two for order 8."""


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether these 64 bytes are the strict Ed25519 signature of `message` by this 32-byte key."""
    if len(public_key) != ED25519_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    if int.from_bytes(signature[32:], "little") >= ED25519_L:
        return False
    if not _is_strict_point(public_key) or not _is_strict_point(signature[:32]):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


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
            return len(public_key) == ED25519_KEY_BYTES and _is_strict_point(public_key)
        case KeyKind.P256:
            try:
                EllipticCurvePublicKey.from_encoded_point(SECP256R1(), public_key)
            except ValueError:
                return False
            return len(public_key) == P256_KEY_BYTES
        case _:
            assert_never(kind)


def _is_strict_point(encoded: bytes) -> bool:
    """Canonical (y < p) and not of small order; x = 0, whose sign bit has two spellings, is of small order too."""
    y = int.from_bytes(encoded, "little") & ((1 << 255) - 1)
    return y < ED25519_P and y not in _SMALL_ORDER_Y
