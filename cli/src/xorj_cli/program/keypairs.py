"""Key pairs of operators, in files: what Solana's tools write (a JSON array of 64 numbers), or a seed in hexadecimal.

1. Key material is read from files only, never from arguments or the environment, and never shown.
2. A file that others than its owner may read is refused.
3. A file whose public half is not that of its seed is refused.
"""

import json
import os
import stat
from pathlib import Path

from solders.keypair import Keypair

from xorj_cli.output import Exit, Failure

SEED_BYTES = 32
_TOO_OPEN = stat.S_IRWXG | stat.S_IRWXO
_FORMAT = "a key file holds a JSON array of 64 numbers, or 64 hexadecimal digits"


def load_keypair(path: Path) -> Keypair:
    """The key pair in a file. Raises `Failure` (usage) that names the file and never its content."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(4_096)
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__, "check the path") from error
    if not stat.S_ISREG(mode):
        raise _unusable(path, "not a regular file", _FORMAT)
    if mode & _TOO_OPEN:
        raise _unusable(path, "others may read it", f"chmod 600 {path}")
    try:
        return _parse(content.decode("ascii").strip())
    except (ValueError, TypeError, OverflowError):
        raise _unusable(path, "not a key pair", _FORMAT) from None  # the cause could quote the content


def make_keypair(path: Path) -> Keypair:
    """A new key pair in a new file that only its owner can read. Raises `Failure` when the file exists."""
    pair = Keypair()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        hint = "an existing file is never overwritten: give another name"
        raise _unusable(path, error.strerror or type(error).__name__, hint) from error
    with os.fdopen(descriptor, "w") as file:
        json.dump(list(bytes(pair)), file)
        file.flush()
        os.fsync(file.fileno())
    return pair


def _parse(text: str) -> Keypair:
    if not text.startswith("["):
        seed = bytes.fromhex(text)
        if len(seed) != SEED_BYTES:
            raise ValueError
        return Keypair.from_seed(seed)
    raw = bytes(json.loads(text))
    pair = Keypair.from_seed(raw[:SEED_BYTES])
    if bytes(pair) != raw:
        raise ValueError
    return pair


def _unusable(path: Path, reason: str, hint: str) -> Failure:
    return Failure("key_unusable", f"{path}: {reason}", hint, Exit.USAGE)
