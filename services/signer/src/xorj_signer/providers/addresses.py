"""How a public key is written: an Ed25519 key as its address, a P-256 key as hexadecimal.

1. `parse_public_key(public_key_text(key)) == key` for every usable key; no text has two readings.
"""

import re

from xorj_core.base58 import address_bytes, address_text

from xorj_signer.providers import KeyKind
from xorj_signer.verification import P256_KEY_BYTES, is_public_key


def parse_public_key(text: str) -> bytes:
    """An address (base58, Ed25519) or 66 hexadecimal digits (P-256, compressed); raises ValueError."""
    if re.fullmatch(r"0[23][0-9a-f]{64}", text):
        key, kind = bytes.fromhex(text), KeyKind.P256
    else:
        key, kind = address_bytes(text), KeyKind.ED25519
    if not is_public_key(kind, key):
        raise ValueError(f"no usable {kind.value} public key")
    return key


def public_key_text(key: bytes) -> str:
    """As XORJ_SIGNER_PUBLIC_KEY takes it."""
    return key.hex() if len(key) == P256_KEY_BYTES else address_text(key)
