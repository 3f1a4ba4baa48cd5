"""Ed25519 verified by the strict reading, in which a (key, message) has no second valid spelling.

Curve arithmetic is the library's; what it lets pass and a validator or another verifier would not is refused here.

1. RFC 8032, section 5.1.7, and the strict rule that validators apply: S < L; R and A are canonical encodings of points
   and neither has small order.
2. Wrong lengths and malformed points are "no", never an exception.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE_BYTES = 64
ED25519_KEY_BYTES = 32
ED25519_P = 2**255 - 19
ED25519_L = 2**252 + 27742317777372353535851937790883648493

_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, ED25519_P - 1, _Y_OF_ORDER_8, ED25519_P - _Y_OF_ORDER_8})
"""y of the eight points whose order divides 8: 1 (order 1), p-1 (2), 0 (4), and two for order 8."""


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether these 64 bytes are the strict Ed25519 signature of `message` by this 32-byte key."""
    if len(public_key) != ED25519_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    if int.from_bytes(signature[32:], "little") >= ED25519_L:
        return False
    if not is_strict_point(public_key) or not is_strict_point(signature[:32]):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def is_strict_point(encoded: bytes) -> bool:
    """Canonical (y < p) and not of small order; x = 0, whose sign bit has two spellings, is of small order too."""
    y = int.from_bytes(encoded, "little") & ((1 << 255) - 1)
    return y < ED25519_P and y not in _SMALL_ORDER_Y
