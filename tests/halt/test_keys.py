"""Key files, the registry, and what a signature covers."""

import base64
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from xorj_core.facts import AuditHeartbeat, HaltScope, KillCommanded, ServiceHeartbeat
from xorj_core.keys import KeyRegistry, RegistryRefused, Role, key_id_of, parse_registry
from xorj_halt.commands import kill_command
from xorj_halt.keys import KeysUnusable, SigningKey, load_registry, load_seed, signing_key
from xorj_halt.signatures import (
    control_signature,
    signed_audit_heartbeat,
    signed_heartbeat,
    signed_kill,
    signer_of_audit_heartbeat,
    signer_of_control_record,
    signer_of_heartbeat,
    signer_of_kill,
)

from tests.contracts.fact_examples import example

ALL = tuple(role.value for role in Role)


def entry(seed: bytes, *roles: str, principal: str = "executor") -> dict[str, Any]:
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return {
        "key_id": key_id_of(public).hex(),
        "public_key": base64.b64encode(public).decode(),
        "principal": principal,
        "roles": list(roles),
    }


def registry_with(*roles: str, principal: str = "executor") -> tuple[SigningKey, KeyRegistry]:
    seed = os.urandom(32)
    return signing_key(seed), parse_registry(json.dumps({"keys": [entry(seed, *roles, principal=principal)]}))


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(KillCommanded) if f.name != "signature"])
def test_a_change_of_any_field_of_a_kill_breaks_its_signature(name: str) -> None:
    key, registry = registry_with("kill")
    command = kill_command(key, "why", command_id=os.urandom(16), issued_at_us=5, vault=bytes(32))
    assert signer_of_kill(registry, command)
    value = getattr(command, name)
    other: Any = HaltScope.EVERYTHING if name == "scope" else value + 1 if isinstance(value, int) else value + value[:1]
    assert signer_of_kill(registry, dataclasses.replace(command, **{name: other})) is None


def test_a_signature_counts_only_in_the_roles_of_its_key() -> None:
    for role in ALL:
        key, registry = registry_with(role)
        kill: KillCommanded = signed_kill(example(KillCommanded), key)
        alive: ServiceHeartbeat = signed_heartbeat(
            dataclasses.replace(example(ServiceHeartbeat), service="executor"), key
        )
        audit: AuditHeartbeat = signed_audit_heartbeat(example(AuditHeartbeat), key)
        assert (signer_of_kill(registry, kill) is not None) == (role == "kill")
        assert (signer_of_heartbeat(registry, alive) is not None) == (role == "heartbeat")
        assert (signer_of_audit_heartbeat(registry, audit) is not None) == (role == "audit-heartbeat")
        header = control_signature(b"value", key)
        on_control = role in ("kill", "resume")
        assert (signer_of_control_record(registry, b"value", (header,)) is not None) == on_control
        assert signer_of_control_record(registry, b"other", (header,)) is None


def test_a_service_cannot_sign_anothers_heartbeat() -> None:
    key, registry = registry_with("heartbeat", principal="ingestor")
    forged = signed_heartbeat(dataclasses.replace(example(ServiceHeartbeat), service="executor"), key)
    assert signer_of_heartbeat(registry, forged) is None


def test_a_signature_of_one_kind_is_none_of_another() -> None:
    key, registry = registry_with(*ALL)
    kill: KillCommanded = signed_kill(example(KillCommanded), key)
    value = b"a record"
    header = control_signature(value, key)
    assert signer_of_kill(registry, dataclasses.replace(kill, signature=header[1][8:])) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keys": 5}',
        '{"keys": [{}]}',
        '{"keys": [5]}',
        json.dumps({"keys": [entry(bytes(32), "kill"), entry(bytes(32), "kill")]}),
        json.dumps({"keys": [entry(bytes(32), "emperor")]}),
        json.dumps({"keys": [entry(bytes(32), "kill") | {"key_id": "00" * 8}]}),
        json.dumps({"keys": [entry(bytes(32), "kill") | {"public_key": "AAAA"}]}),
        json.dumps({"keys": [entry(bytes(32), "kill") | {"principal": ""}]}),
    ],
)
def test_a_registry_with_a_mistake_is_refused_whole(text: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryRefused):
        parse_registry(text)
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(KeysUnusable, match=r"keys\.json"):
        load_registry(file)


def test_a_seed_file_must_be_there_private_and_whole(tmp_path: Path) -> None:
    file = tmp_path / "service.seed"
    with pytest.raises(KeysUnusable, match="No such file"):
        load_seed(file)
    seed = os.urandom(32)
    file.write_text(seed.hex())
    file.chmod(0o640)
    with pytest.raises(KeysUnusable, match="0640"):
        load_seed(file)
    file.chmod(0o600)
    assert load_seed(file).key_id == signing_key(seed).key_id
    assert seed.hex() not in repr(load_seed(file))
    for text, match in (("zz", "hexadecimal"), ("00" * 31, "31 bytes")):
        file.write_text(text)
        with pytest.raises(KeysUnusable, match=match):
            load_seed(file)
