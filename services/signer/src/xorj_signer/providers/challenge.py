"""Bytes that a key may sign before anything depends on it: they could be no transaction of any cluster.

1. A challenge begins with 0xFF. A transaction's message begins with its number of signatures, below 0x80, or with 0x80
   and its version: 0xFF would be version 127, which does not exist. The off-chain messages of Solana begin with 0xFF
   too, but with another name behind it. A P-256 signature counts on chain only over a digest of 32 bytes; a challenge
   has 65.
2. Every challenge is new.
"""

import secrets

CHALLENGE_DOMAIN = b"\xffxorj signer selftest v1\x00"
CHALLENGE_BYTES = 65


def challenge() -> bytes:
    """New bytes to sign."""
    return CHALLENGE_DOMAIN + secrets.token_bytes(CHALLENGE_BYTES - len(CHALLENGE_DOMAIN))
