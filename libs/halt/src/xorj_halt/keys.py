"""Key files of one process: the registry of public keys, and its own Ed25519 seeds.

1. A seed file that others may read is refused; a seed leaves its object only as a signature.
2. Every mistake is a `KeysUnusable` that names the file and says what to do.
"""

import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from xorj_core.keys import KeyRegistry, RegistryRefused, key_id_of, parse_registry

SEED_BYTES = 32


class KeysUnusable(Exception):
    """A key file is missing, readable by others or malformed."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An own Ed25519 key."""

    key_id: bytes
    _private: Ed25519PrivateKey = field(repr=False)

    @property
    def public_key(self) -> bytes:
        """The 32 bytes by which its signatures are verified."""
        return self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        return self._private.sign(message)


def load_registry(path: Path) -> KeyRegistry:
    """The registry in `keys.json`; raises KeysUnusable."""
    try:
        return parse_registry(path.read_bytes())
    except OSError as error:
        raise KeysUnusable(f"{path}: {error.strerror} (the registry of public keys)") from error
    except RegistryRefused as error:
        raise KeysUnusable(f"{path}: {error}") from error


def load_seed(path: Path) -> SigningKey:
    """The key whose seed, 32 bytes as hex, is in the file; raises KeysUnusable."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            text = file.read(4 * SEED_BYTES)
    except OSError as error:
        raise KeysUnusable(f"{path}: {error.strerror} (an Ed25519 seed is expected here)") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeysUnusable(f"{path}: mode {mode:04o} lets others read a secret; make it 0600")
    try:
        seed = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        raise KeysUnusable(f"{path}: not hexadecimal") from None
    if len(seed) != SEED_BYTES:
        raise KeysUnusable(f"{path}: {len(seed)} bytes, a seed has {SEED_BYTES}")
    return signing_key(seed)


def signing_key(seed: bytes) -> SigningKey:
    """The key of a 32-byte seed."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(key_id_of(private.public_key().public_bytes_raw()), private)


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the Ed25519 signature of `message` by `public_key`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
