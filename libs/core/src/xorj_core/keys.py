"""Who may sign what: the registry of public keys and their roles, as data.

Verifying a signature is the shell's work; this module only says which key a key id names and what it may mean.

1. A key id is derived from the public key, so a registry cannot give one key the id of another.
2. A signature means something only in a role that the registry gives to its key.
3. A registry with a mistake in it is refused whole.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

KEY_ID_BYTES = 8
PUBLIC_KEY_BYTES = 32


class Role(StrEnum):
    """What a key's signature may mean."""

    KILL = "kill"
    RESUME = "resume"
    HEARTBEAT = "heartbeat"
    AUDIT_HEARTBEAT = "audit-heartbeat"


class RegistryRefused(ValueError):
    """The registry's text is not a valid registry; the message says where."""


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """One Ed25519 public key, whose it is, and its roles."""

    key_id: bytes
    public_key: bytes
    principal: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class KeyRegistry:
    """Registered keys by key id."""

    by_id: Mapping[bytes, RegisteredKey]

    def find(self, key_id: bytes, *roles: Role) -> RegisteredKey | None:
        """The key with this id if it has at least one of `roles`."""
        key = self.by_id.get(key_id)
        return key if key is not None and not key.roles.isdisjoint(roles) else None

    def __iter__(self) -> Iterator[RegisteredKey]:
        return iter(self.by_id.values())


def key_id_of(public_key: bytes) -> bytes:
    """The first 8 bytes of the SHA-256 of the public key."""
    return hashlib.sha256(public_key).digest()[:KEY_ID_BYTES]


def parse_registry(text: str | bytes) -> KeyRegistry:
    """The registry in the JSON text of `keys.json` (docs/interfaces.md); raises RegistryRefused."""
    try:
        entries = json.loads(text)["keys"]
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryRefused(f'not a JSON object with "keys": {error}') from error
    if not isinstance(entries, list):
        raise RegistryRefused('"keys" is not a list')
    keys: dict[bytes, RegisteredKey] = {}
    for number, entry in enumerate(entries):
        try:
            key = _parse_key(entry)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise RegistryRefused(f"keys[{number}]: {type(error).__name__}: {error}") from error
        if key.key_id in keys:
            raise RegistryRefused(f"keys[{number}]: {key.key_id.hex()} is there twice")
        keys[key.key_id] = key
    return KeyRegistry(keys)


def _parse_key(entry: Any) -> RegisteredKey:
    public_key = base64.b64decode(entry["public_key"], validate=True)
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"the public key has {len(public_key)} bytes, not {PUBLIC_KEY_BYTES}")
    key_id = bytes.fromhex(entry["key_id"])
    if key_id != key_id_of(public_key):
        raise ValueError(f"{key_id.hex()} is not the id of its public key")
    principal = entry["principal"]
    if not isinstance(principal, str) or not principal:
        raise ValueError("no principal")
    return RegisteredKey(key_id, public_key, principal, frozenset(Role(role) for role in entry["roles"]))
