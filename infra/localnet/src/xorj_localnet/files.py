"""Owns how the local world writes files that others read while it runs.

1. A reader sees the old content or the new one, never a part: write aside, fsync, rename.
2. A secret file has mode 0600 from the moment it exists.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replaces `path` by `content` with the given permission bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def write_secret(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read."""
    write_atomically(path, content, mode=0o600)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Writes a JSON object, readable by people."""
    write_atomically(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())
