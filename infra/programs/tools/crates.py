"""The set of crates that the programs are built from: crates.txt (name, version, checksum) against a Cargo.lock.

`lock` writes a lock file that holds exactly that set, which cargo completes with the dependency edges; `check` fails
when cargo resolved anything else.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
_PACKAGE = re.compile(
    r'\[\[package\]\]\nname = "(?P<name>[^"]+)"\nversion = "(?P<version>[^"]+)"\n'
    r'source = "[^"]+"\nchecksum = "(?P<checksum>[0-9a-f]{64})"'
)


def listed(text: str) -> set[tuple[str, str, str]]:
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {(name, version, checksum) for name, version, checksum in rows}


def locked(text: str) -> set[tuple[str, str, str]]:
    return {(found["name"], found["version"], found["checksum"]) for found in _PACKAGE.finditer(text)}


def lock_text(crates: set[tuple[str, str, str]]) -> str:
    parts = ["version = 4\n"]
    for name, version, checksum in sorted(crates):
        parts.append(
            f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = "{REGISTRY}"\nchecksum = "{checksum}"\n'
        )
    return "\n".join(parts)


def main(arguments: Sequence[str]) -> int:
    action, pins_path, lock_path = arguments
    pins = listed(Path(pins_path).read_text())
    if action == "lock":
        Path(lock_path).write_text(lock_text(pins))
        return 0
    resolved = locked(Path(lock_path).read_text())
    for name, version, checksum in sorted(resolved ^ pins):
        side = "resolved but not in crates.txt" if (name, version, checksum) in resolved else "in crates.txt, not used"
        sys.stderr.write(f"programs: {name} {version} {checksum}: {side}\n")
    return 1 if resolved != pins else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
