"""A key in a file: for a local cluster only.

1. It opens only if the cluster's genesis hash is the one that a local world says is its own.
2. The file holds the seed as 64 hexadecimal digits and is readable by its owner alone.
"""

import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from xorj_signer.providers import KeyKind, ProviderFailed, ProviderFault


class FileKey:
    """The seed of one file, in memory."""

    name = "file"
    kind = KeyKind.ED25519

    def __init__(self, path: Path, *, genesis_hash: str, local_genesis_hash: str) -> None:
        """Raises `ProviderFailed` on any other cluster than a local one, and for a file that is not fit."""
        if not local_genesis_hash or genesis_hash != local_genesis_hash:
            raise ProviderFailed(
                "a key in a file is for a local cluster only: XORJ_GENESIS_HASH is not XORJ_LOCAL_GENESIS_HASH; "
                "name another provider in XORJ_SIGNER_PROVIDER",
                ProviderFault.MISCONFIGURED,
            )
        self._path = path
        self._key = Ed25519PrivateKey.from_private_bytes(_seed(path))

    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    async def check(self) -> bytes:
        """The public key of the seed that the file holds now."""
        return Ed25519PrivateKey.from_private_bytes(_seed(self._path)).public_key().public_bytes_raw()

    async def close(self) -> None:
        """Nothing is held open."""


def _seed(path: Path) -> bytes:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            told = f"{path}: others than its owner may read the key; set its mode to 0600"
            raise ProviderFailed(told, ProviderFault.MISCONFIGURED)
        seed = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as error:
        raise ProviderFailed(f"{path}: no key file ({error.strerror})", ProviderFault.MISCONFIGURED) from error
    except ValueError:
        # `from None`: the error's text quotes what the file holds.
        raise ProviderFailed(f"{path}: not a seed in hexadecimal", ProviderFault.MISCONFIGURED) from None
    if len(seed) != 32:
        raise ProviderFailed(f"{path}: {len(seed)} bytes, a seed has 32", ProviderFault.MISCONFIGURED)
    return seed
