"""The trading lease: no audit, no trade. And the cover: which records the audit log holds.

An instance sends counters; the auditor echoes the last one it has read. The shell verifies signatures and reads the
clock; all times here are nanoseconds of one monotonic clock of the process.

1. The lease runs from when the echoed counter was *sent*, never from when its echo arrived: a heartbeat that was
   buffered or replayed proves only what it proved when it was fresh.
2. Only a counter that this process sent, and remembers, starts a lease.
3. The lease never gets shorter by a heartbeat, and no heartbeat makes it longer than `duration_ns` from a sending.
4. A lease holds only while control has been read up to every offset that a heartbeat has named.
5. A heartbeat of another cluster changes nothing.
6. Cover only grows: what the auditor has stored stays stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xorj_core.facts.common import Position
from xorj_core.facts.heartbeats import AuditHeartbeat

HEARTBEAT_DOMAIN = "xorj.heartbeat.v1"
AUDIT_HEARTBEAT_DOMAIN = "xorj.audit-heartbeat.v1"
LEASE_NS = 1_000_000_000
SENT_REMEMBERED_MAX = 64
"""Unanswered counters that are remembered: over six seconds of heartbeats, more than any lease."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A counter and when it was about to be sent."""

    counter: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What one instance knows of the auditor."""

    instance: str
    cluster_id: str
    sent: tuple[Sent, ...] = ()
    proven_ns: int | None = None  # when the latest counter that was echoed had been sent
    control_offset_named: int = 0
    covered: Mapping[tuple[str, int], int] = field(default_factory=dict)  # next offset by topic and partition
    entries: int = 0


def remember_sent(state: LeaseState, counter: int, now_ns: int) -> LeaseState:
    """Call before the heartbeat with `counter` is handed to the producer."""
    return replace(state, sent=(*state.sent[-(SENT_REMEMBERED_MAX - 1) :], Sent(counter, now_ns)))


def apply_heartbeat(state: LeaseState, heartbeat: AuditHeartbeat) -> LeaseState:
    """An AuditHeartbeat whose signature by the role `audit-heartbeat` the caller has verified."""
    if heartbeat.cluster_id != state.cluster_id:
        return state
    covered = dict(state.covered)
    for part in heartbeat.covered:
        key = (part.topic, part.partition)
        covered[key] = max(covered.get(key, 0), part.next_offset)
    echoed = next((e.counter for e in heartbeat.echoes if e.instance == state.instance), None)
    at_ns = next((s.at_ns for s in state.sent if s.counter == echoed), None)
    proven_ns = state.proven_ns
    sent = state.sent
    if at_ns is not None and (proven_ns is None or at_ns > proven_ns):
        proven_ns = at_ns
        sent = tuple(s for s in state.sent if s.at_ns > at_ns)
    return replace(
        state,
        sent=sent,
        proven_ns=proven_ns,
        control_offset_named=max(state.control_offset_named, heartbeat.control_next_offset),
        covered=covered,
        entries=max(state.entries, heartbeat.entries),
    )


def missing_lease(state: LeaseState, now_ns: int, control_next_offset: int, duration_ns: int = LEASE_NS) -> str | None:
    """Why there is no lease now, or None while it holds."""
    if state.proven_ns is None:
        return "no audit heartbeat has echoed this instance"
    if now_ns - state.proven_ns >= duration_ns:
        return f"the last echoed counter was sent {(now_ns - state.proven_ns) // 1_000_000} ms ago"
    if control_next_offset < state.control_offset_named:
        return f"control is read to {control_next_offset}, the auditor has seen {state.control_offset_named}"
    return None


def is_covered(state: LeaseState, position: Position) -> bool:
    """Whether the audit log holds the record at `position`."""
    if position.cluster_id != state.cluster_id:
        return False
    return position.offset < state.covered.get((position.topic, position.partition), 0)
