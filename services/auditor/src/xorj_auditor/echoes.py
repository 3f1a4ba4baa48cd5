"""What the auditor hears on the heartbeats topic: the last counter of each instance, to echo, and changes of state.

1. Only counters in verified heartbeats of this cluster, under a name of the service that signed, are echoed.
2. An instance that has been silent for `FORGET_AFTER_S` is no longer echoed, so the list stays short.
3. Of an instance's verified heartbeats, those are changes that say another kill state or other acknowledgements than
   the one before; its first one is a change too. The first of each auditor is a change: it shows takeovers.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from xorj_contracts.codec import Undecodable, decode, fact_type
from xorj_core.facts import AuditHeartbeat, Echo, ServiceHeartbeat
from xorj_core.keys import KeyRegistry
from xorj_halt.signatures import signer_of_audit_heartbeat, signer_of_heartbeat

FORGET_AFTER_S = 60.0
AUDITORS_MAX = 100


class Heard(IntEnum):
    """What a record of the heartbeats topic was."""

    IGNORED = 0  # no heartbeat that counts
    SAME = 1
    CHANGED = 2


class HeartbeatRecord(Protocol):
    """A record of the heartbeats topic; its key is the instance's name."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class _Instance:
    counter: int
    at_s: float
    state: tuple[int, tuple[bytes, ...]]


@dataclass(slots=True)
class Echoes:
    """What was heard, with the monotonic second at which it was."""

    registry: KeyRegistry
    cluster_id: str
    _heard: dict[str, _Instance] = field(default_factory=dict)
    _auditors: set[bytes] = field(default_factory=set)

    def hear(self, record: HeartbeatRecord, now_s: float) -> Heard:
        """Takes a record of the heartbeats topic."""
        match fact_type(record.value):
            case "ServiceHeartbeat":
                return self._hear_service(record.value, now_s)
            case "AuditHeartbeat":
                return Heard.SAME if record.key in self._auditors else self._hear_auditor(record.value)
            case _:
                return Heard.IGNORED

    def current(self, now_s: float) -> tuple[Echo, ...]:
        """The counters to echo, ordered by instance."""
        for instance in [name for name, heard in self._heard.items() if now_s - heard.at_s > FORGET_AFTER_S]:
            del self._heard[instance]
        return tuple(Echo(instance, self._heard[instance].counter) for instance in sorted(self._heard))

    def _hear_service(self, value: bytes | None, now_s: float) -> Heard:
        try:
            fact = decode(value).fact
        except Undecodable:
            return Heard.IGNORED
        if not isinstance(fact, ServiceHeartbeat) or fact.cluster_id != self.cluster_id:
            return Heard.IGNORED
        if not fact.instance.startswith(f"{fact.service}/") or signer_of_heartbeat(self.registry, fact) is None:
            return Heard.IGNORED
        state = (int(fact.state), tuple(sorted(one.command_id for one in fact.acknowledgements)))
        before = self._heard.get(fact.instance)
        self._heard[fact.instance] = _Instance(fact.counter, now_s, state)
        return Heard.SAME if before is not None and before.state == state else Heard.CHANGED

    def _hear_auditor(self, value: bytes | None) -> Heard:
        """Asked only where it would be a change: auditors' heartbeats are the most frequent records of all."""
        try:
            fact = decode(value).fact
        except Undecodable:
            return Heard.IGNORED
        if not isinstance(fact, AuditHeartbeat) or fact.cluster_id != self.cluster_id:
            return Heard.IGNORED
        if signer_of_audit_heartbeat(self.registry, fact) is None:
            return Heard.IGNORED
        name = fact.instance.encode()
        if name in self._auditors or len(self._auditors) >= AUDITORS_MAX:
            return Heard.SAME
        self._auditors.add(name)
        return Heard.CHANGED
