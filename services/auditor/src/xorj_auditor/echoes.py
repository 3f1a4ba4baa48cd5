"""The last counter heard from each instance, for the auditor to echo.

1. Only counters in verified heartbeats of this cluster, under a name of the service that signed, are echoed.
2. An instance that has been silent for `FORGET_AFTER_S` is no longer echoed, so the list stays short.
"""

from dataclasses import dataclass, field

from xorj_contracts.codec import Undecodable, decode
from xorj_core.facts import Echo, ServiceHeartbeat
from xorj_core.keys import KeyRegistry
from xorj_halt.signatures import signer_of_heartbeat
from xorj_log.reader import LogRecord

FORGET_AFTER_S = 60.0


@dataclass(slots=True)
class Echoes:
    """What was heard, with the monotonic second at which it was."""

    registry: KeyRegistry
    cluster_id: str
    _heard: dict[str, tuple[int, float]] = field(default_factory=dict)

    def hear(self, record: LogRecord, now_s: float) -> bool:
        """Takes a record of the heartbeats topic; False when it is not a heartbeat that counts."""
        try:
            fact = decode(record.value).fact
        except Undecodable:
            return False
        if not isinstance(fact, ServiceHeartbeat) or fact.cluster_id != self.cluster_id:
            return False
        if not fact.instance.startswith(f"{fact.service}/") or signer_of_heartbeat(self.registry, fact) is None:
            return False
        self._heard[fact.instance] = (fact.counter, now_s)
        return True

    def current(self, now_s: float) -> tuple[Echo, ...]:
        """The counters to echo, ordered by instance."""
        for instance in [name for name, (_, at_s) in self._heard.items() if now_s - at_s > FORGET_AFTER_S]:
            del self._heard[instance]
        return tuple(Echo(instance, self._heard[instance][0]) for instance in sorted(self._heard))
