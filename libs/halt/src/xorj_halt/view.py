"""What a guard knows at one moment: an immutable view, the verdict it gives, and how a record changes it.

Verification happens here, the rules are in xorj_core.kill and xorj_core.lease; there is no I/O and no clock.

1. A kill is asked before the lease: it names who stopped what, and outlives any lease.
2. Nothing that does not verify changes the view.
3. Control that is not read to its end blocks everything.
"""

from dataclasses import dataclass, field, replace
from enum import Enum

from xorj_contracts.codec import Undecodable, decode
from xorj_core.facts import AuditHeartbeat, KillCommanded
from xorj_core.facts.common import Position
from xorj_core.keys import KeyRegistry
from xorj_core.kill import KillState, apply_kill, apply_not_understood, kill_of, read_up_to, told
from xorj_core.lease import LeaseState, apply_heartbeat, is_covered, missing_lease
from xorj_log.reader import LogRecord

from xorj_halt.signatures import signer_of_audit_heartbeat, signer_of_control_record, signer_of_kill


class HaltReason(Enum):
    """Why nothing may be traded."""

    KILLED = "killed"
    BLOCKED = "blocked"
    NO_LEASE = "no-lease"


@dataclass(frozen=True, slots=True)
class Halted:
    """A verdict against trading."""

    reason: HaltReason
    detail: str


@dataclass(frozen=True, slots=True)
class GuardView:
    """Kill switch and lease as one instance sees them."""

    lease: LeaseState
    kill: KillState = field(default_factory=KillState)
    problem: str = "control has not been read"
    """Why control is not being read ("" while it is)."""


def verdict_of(view: GuardView, vault: bytes | None, now_ns: int) -> Halted | None:
    """None when `vault` (None: anything) may trade at this moment of the lease's clock."""
    if kill := kill_of(view.kill, vault):
        return Halted(HaltReason.KILLED, told(kill))
    if view.problem or not view.kill.read_to_end:
        return Halted(HaltReason.BLOCKED, view.problem or "control has not been read to its end")
    if missing := missing_lease(view.lease, now_ns, view.kill.next_offset):
        return Halted(HaltReason.NO_LEASE, missing)
    return None


def covers(view: GuardView, position: Position) -> bool:
    """Whether the audit log holds the record at `position`, as far as this view knows."""
    return is_covered(view.lease, position)


def read_control(view: GuardView, registry: KeyRegistry, record: LogRecord) -> tuple[GuardView, str]:
    """The view after a record of control, and why it was ignored ("" when it was not)."""
    offset = record.position.offset
    kill, ignored = _apply_control(view.kill, registry, record, offset)
    return replace(view, kill=read_up_to(kill, offset + 1, at_end=False)), ignored


def _apply_control(state: KillState, registry: KeyRegistry, record: LogRecord, offset: int) -> tuple[KillState, str]:
    try:
        fact = decode(record.value).fact
    except Undecodable as error:
        reason = str(error)
    else:
        if isinstance(fact, KillCommanded):
            if key := signer_of_kill(registry, fact):
                return apply_kill(state, fact, key.principal, offset), ""
            reason = "a kill whose signature is by no registered key with that role"
        else:
            reason = f"{type(fact).__name__} on control"
    value = record.value or b""
    if key := signer_of_control_record(registry, value, record.headers):
        return apply_not_understood(state, value, reason, key.principal, offset), ""
    return state, reason


def read_audit_heartbeat(view: GuardView, registry: KeyRegistry, record: LogRecord) -> GuardView | None:
    """The view after a record that claims to be an AuditHeartbeat, or None if it does not verify."""
    try:
        fact = decode(record.value).fact
    except Undecodable:
        return None
    if not isinstance(fact, AuditHeartbeat) or signer_of_audit_heartbeat(registry, fact) is None:
        return None
    if fact.cluster_id != view.lease.cluster_id:
        return None
    return replace(view, lease=apply_heartbeat(view.lease, fact))
