"""Owns the witness of a local world: its key, the log that it knows, and what the auditor is told about it.

1. Its key and what it has seen are its own: neither is in the database, nor in the registry of keys.
2. A fresh world has a fresh witness, as it has a fresh log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from xorj_core.checkpoint import KeyType, NoteKey

from xorj_localnet.files import write_json, write_secret
from xorj_localnet.ports import choose_port
from xorj_localnet.world import World

ORIGIN = "xorj/audit"
"""The name of the local world's audit log, which is the auditor's default."""


@dataclass(frozen=True, slots=True)
class LocalWitness:
    """A witness that serves. `witnesses_file` tells the auditor about it."""

    url: str
    key: str
    witnesses_file: Path

    def settings(self) -> Mapping[str, str]:
        """What the auditor is told."""
        return {"XORJ_AUDIT_ORIGIN": ORIGIN, "XORJ_AUDIT_WITNESSES_FILE": str(self.witnesses_file)}


async def start_witness(world: World, name: str = "witness") -> LocalWitness:
    """Starts a witness for the world's auditor, which goes on with what is in its directory. Raises ChildFailed."""
    directory = world.parts_directory / name
    directory.mkdir(parents=True, exist_ok=True)
    seed_file, logs_file = directory / "witness.seed", directory / "logs.json"
    if not seed_file.exists():
        write_secret(seed_file, Ed25519PrivateKey.generate().private_bytes_raw().hex().encode())
    log_key = NoteKey(ORIGIN, KeyType.ED25519, world.keys.named("auditor-heartbeat").public_key)
    write_json(logs_file, {"logs": [str(log_key)]})
    told = {
        "XORJ_WITNESS_NAME": f"xorj/{name}",
        "XORJ_WITNESS_KEY_FILE": str(seed_file),
        "XORJ_WITNESS_LOGS_FILE": str(logs_file),
        "XORJ_WITNESS_STORE_FILE": str(directory / "seen.sqlite"),
        "XORJ_WITNESS_PORT": str(choose_port()),  # known before, so that it comes back where it was
        "XORJ_READY_FILE": str(world.ready_file(name)),
    }
    await world.start_process(world.module_process(name, "xorj_witness", told))
    said = world.supervisor.said_when_ready(name)
    url, key = str(said["url"]), str(said["key"])
    witnesses_file = directory / "witnesses.json"
    write_json(witnesses_file, {"witnesses": [{"url": url, "key": key}]})
    return LocalWitness(url, key, witnesses_file)
