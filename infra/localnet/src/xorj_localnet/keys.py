"""Owns the Ed25519 keys that sign commands and heartbeats in one local world, and the public registry of them.

1. A service's key may kill and sign its own heartbeat; only an operator's key may also resume.
2. The auditor's heartbeat key is its own: what proves "audited" is not what proves "alive".
3. Seeds exist only in files of mode 0600 inside the world's directory; the registry holds public keys only.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from xorj_core.keys import key_id_of
from xorj_log.topics import SERVICES

from xorj_localnet.files import write_json, write_secret

Role = Literal["kill", "resume", "heartbeat", "audit-heartbeat"]

OPERATORS = ("operator-1", "operator-2")


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """One public key and what its signature may mean."""

    name: str
    key_id: str
    public_key: bytes
    principal: str
    roles: tuple[Role, ...]
    seed_file: Path


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one world; `registry_file` is the JSON that services read."""

    registry_file: Path
    keys: tuple[RegisteredKey, ...]

    def named(self, name: str) -> RegisteredKey:
        """The key called `name` (a service, an operator, or `auditor-heartbeat`); KeyError if there is none."""
        for key in self.keys:
            if key.name == name:
                return key
        raise KeyError(name)


def _generate(directory: Path, name: str, principal: str, roles: tuple[Role, ...]) -> RegisteredKey:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    seed_file = directory / f"{name}.seed"
    write_secret(seed_file, private.private_bytes_raw().hex().encode())
    return RegisteredKey(name, key_id_of(public).hex(), public, principal, roles, seed_file)


def generate_keys(directory: Path) -> KeyRing:
    """Makes every key of a world and writes `keys.json` beside the seeds."""
    keys = [_generate(directory, service, service, ("kill", "heartbeat")) for service in SERVICES]
    keys.append(_generate(directory, "auditor-heartbeat", "auditor", ("audit-heartbeat",)))
    keys.extend(_generate(directory, operator, "operator", ("kill", "resume")) for operator in OPERATORS)
    registry = directory / "keys.json"
    entries = [
        {
            "key_id": key.key_id,
            "public_key": base64.b64encode(key.public_key).decode(),
            "principal": key.principal,
            "roles": list(key.roles),
        }
        for key in keys
    ]
    write_json(registry, {"keys": entries})
    return KeyRing(registry, tuple(keys))
