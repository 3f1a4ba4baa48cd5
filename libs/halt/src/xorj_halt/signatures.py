"""Signs and verifies the facts that may stop or allow trading; the rules that use the result are in xorj_core.

1. A signature counts only by a registered key, in the role of the fact, over the fact's canonical bytes.
2. A service's heartbeat is signed by a key of the very service it names.
"""

from dataclasses import replace

from xorj_core.canonical import canonical_bytes
from xorj_core.facts import AuditHeartbeat, KillCommanded, ServiceHeartbeat
from xorj_core.ids import digest
from xorj_core.keys import KEY_ID_BYTES, KeyRegistry, RegisteredKey, Role
from xorj_core.kill import CONTROL_RECORD_DOMAIN, CONTROL_SIGNATURE_HEADER, KILL_DOMAIN
from xorj_core.lease import AUDIT_HEARTBEAT_DOMAIN, HEARTBEAT_DOMAIN

from xorj_halt.keys import SigningKey, verifies

Signed = KillCommanded | ServiceHeartbeat | AuditHeartbeat


def signed_kill(fact: KillCommanded, key: SigningKey) -> KillCommanded:
    """The command with key id and signature."""
    fact = replace(fact, key_id=key.key_id, signature=b"")
    return replace(fact, signature=key.sign(_message(KILL_DOMAIN, fact)))


def signed_heartbeat(fact: ServiceHeartbeat, key: SigningKey) -> ServiceHeartbeat:
    """The heartbeat with key id and signature."""
    fact = replace(fact, key_id=key.key_id, signature=b"")
    return replace(fact, signature=key.sign(_message(HEARTBEAT_DOMAIN, fact)))


def signed_audit_heartbeat(fact: AuditHeartbeat, key: SigningKey) -> AuditHeartbeat:
    """The auditor's heartbeat with key id and signature."""
    fact = replace(fact, key_id=key.key_id, signature=b"")
    return replace(fact, signature=key.sign(_message(AUDIT_HEARTBEAT_DOMAIN, fact)))


def signer_of_kill(registry: KeyRegistry, fact: KillCommanded) -> RegisteredKey | None:
    """The registered key that commanded it, or None: then it is no command."""
    return _signer(registry, Role.KILL, KILL_DOMAIN, fact)


def signer_of_heartbeat(registry: KeyRegistry, fact: ServiceHeartbeat) -> RegisteredKey | None:
    """The key of the service that the heartbeat names, or None."""
    key = _signer(registry, Role.HEARTBEAT, HEARTBEAT_DOMAIN, fact)
    return key if key is not None and key.principal == fact.service else None


def signer_of_audit_heartbeat(registry: KeyRegistry, fact: AuditHeartbeat) -> RegisteredKey | None:
    """The auditor's key, or None."""
    return _signer(registry, Role.AUDIT_HEARTBEAT, AUDIT_HEARTBEAT_DOMAIN, fact)


def control_signature(value: bytes, key: SigningKey) -> tuple[str, bytes]:
    """The record header with which a control record of any kind is signed."""
    return CONTROL_SIGNATURE_HEADER, key.key_id + key.sign(digest(CONTROL_RECORD_DOMAIN, value))


def signer_of_control_record(
    registry: KeyRegistry, value: bytes, headers: tuple[tuple[str, bytes], ...]
) -> RegisteredKey | None:
    """The registered key, with a role on control, that signed the record's bytes; None if its headers show none."""
    for name, signed in headers:
        key = registry.find((signed or b"")[:KEY_ID_BYTES], Role.KILL, Role.RESUME)
        if name != CONTROL_SIGNATURE_HEADER or key is None:
            continue
        if verifies(key.public_key, digest(CONTROL_RECORD_DOMAIN, value), signed[KEY_ID_BYTES:]):
            return key
    return None


def _signer(registry: KeyRegistry, role: Role, domain: str, fact: Signed) -> RegisteredKey | None:
    key = registry.find(fact.key_id, role)
    if key is None or not verifies(key.public_key, _message(domain, fact), fact.signature):
        return None
    return key


def _message(domain: str, fact: Signed) -> bytes:
    return canonical_bytes(domain, fact, without=("signature",))
