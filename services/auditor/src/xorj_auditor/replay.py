"""Decides again every decision in the log: reads the records in order, looks up what they rest on, compares.

The rules are `xorj_core.replay`; here is where the records come from.

1. Every record of a kind that is a decision is decided again or listed as undecided, also one that does not decode.
2. What a decision rests on is taken from the log whatever its place: partitions are entered in order of arrival, so an
   input may stand after the decision.
3. Control is folded as every service folds it, signatures and all; a heartbeat that changed an instance's state must
   state what control gives.
4. Memory is bounded: of inputs only the latest are kept, older ones are looked up.
"""

import bisect
import functools
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf.message import DecodeError
from xorj.envelope.v1.envelope_pb2 import Envelope as EnvelopeMessage
from xorj_contracts.codec import Undecodable, decode
from xorj_core.facts import Fact, HaltState, PolicyAdopted, ServiceHeartbeat, SigningRefused
from xorj_core.facts.common import Position
from xorj_core.keys import KeyRegistry
from xorj_core.kill import KillState, halt_state
from xorj_core.lease import LeaseState
from xorj_core.policy.file import PolicyInvalid, parse_policy
from xorj_core.policy.limits import PolicyLimits, policy_sha256
from xorj_core.replay import DECIDERS, Agrees, Difference, Differs, Undecided, needed, redecide
from xorj_core.replay_signing import is_refusal_by_policy
from xorj_core.replay_sources import Recorded
from xorj_halt.signatures import signer_of_heartbeat
from xorj_halt.strict import verify_ed25519
from xorj_halt.view import GuardView, read_control
from xorj_log.reader import LogRecord

INPUTS_KEPT = 100_000
FINDINGS_LISTED = 1_000
DECISIONS = {kind.__name__ for kind in DECIDERS}
INPUTS = {
    "RankingObserved",
    "SettingsChanged",
    "ReferencePriceObserved",
    "PortfolioReconciled",
    "TradeIntended",
    "AttemptPlanned",
}
TOPICS = ("strategies", "user-settings", "prices", "portfolio-deltas", "trade-intents", "signed-txs", "heartbeats")


class Record(NamedTuple):
    """A record of the log as replay needs it."""

    entry: int
    cluster_id: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None


class Stored(NamedTuple):
    """A record as an input: its value, when the broker appended it, and where."""

    value: bytes
    timestamp_ms: int
    cluster_id: str
    topic: str
    partition: int
    offset: int


Lookup = Callable[[Sequence[bytes]], Awaitable[Iterable[Stored]]]
"""Every record of the facts with these ids."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A decision that the log does not bear out, or that cannot be decided again."""

    index: int
    kind: str
    at: str
    differences: tuple[Difference, ...]
    reason: str = ""


@dataclass(slots=True)
class ReplayReport:
    """What was decided again. Of findings at most `FINDINGS_LISTED` of a kind are listed, all are counted."""

    decisions: int = 0
    agreed: int = 0
    differing: int = 0
    undecided: int = 0
    kill_states: int = 0
    differences: list[Finding] = field(default_factory=list)
    open_questions: list[Finding] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether every decision was decided again and none differs."""
        return not self.differing and not self.undecided

    def differs(self, finding: Finding) -> None:
        """One that differs."""
        self.differing += 1
        if len(self.differences) < FINDINGS_LISTED:
            self.differences.append(finding)

    def is_open(self, finding: Finding) -> None:
        """One that could not be decided again."""
        self.undecided += 1
        if len(self.open_questions) < FINDINGS_LISTED:
            self.open_questions.append(finding)


class Controls:
    """Control of each cluster, folded: the kill state below any offset."""

    def __init__(self, registry: KeyRegistry, records: Iterable[Record]) -> None:
        self.registry = registry
        self._ends: dict[str, list[int]] = {}
        self._states: dict[str, list[KillState]] = {}
        views: dict[str, GuardView] = {}
        for one in records:
            view = views.get(one.cluster_id, GuardView(LeaseState("", one.cluster_id)))
            position = Position(one.cluster_id, one.topic, one.partition, one.offset)
            record = LogRecord(position, one.timestamp_ms, None, one.headers, one.value)
            views[one.cluster_id], _ = read_control(view, registry, record)
            self._ends.setdefault(one.cluster_id, []).append(one.offset + 1)
            self._states.setdefault(one.cluster_id, []).append(views[one.cluster_id].kill)

    def before(self, cluster_id: str, next_offset: int) -> KillState:
        """The kill state of whoever had read control up to, not including, this offset."""
        found = bisect.bisect_right(self._ends.get(cluster_id, []), next_offset)
        return self._states[cluster_id][found - 1] if found else KillState()


@dataclass(slots=True)
class _Sources:
    """What decisions of one cluster may ask for."""

    replay: "Replay"
    cluster_id: str

    def records(self, wanted: bytes) -> Sequence[Recorded]:
        return self.replay.recorded(wanted)

    def kills(self, control_next_offset: int) -> KillState | None:
        return self.replay.controls.before(self.cluster_id, control_next_offset)

    def policy(self, policy_sha256: bytes) -> PolicyLimits | None:
        return self.replay.policies.get(policy_sha256)

    def verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return _verifies(public_key, message, signature)


class Replay:
    """One run over a log."""

    def __init__(self, controls: Controls, policies: Mapping[bytes, PolicyLimits], lookup: Lookup) -> None:
        self.controls = controls
        self.policies = policies
        self.report = ReplayReport()
        self._lookup = lookup
        self._stored: OrderedDict[bytes, list[Stored]] = OrderedDict()
        self._decoded: dict[bytes, list[Recorded]] = {}
        self._sources: dict[str, _Sources] = {}

    async def take(self, records: Sequence[Record]) -> None:
        """Decides again what these records decided. What they rest on may stand anywhere in the log."""
        decisions: list[tuple[Record, Fact, int]] = []
        wanted: dict[bytes, None] = {}
        for record in records:
            self._read(record, decisions)
        for _, fact, _ in decisions:
            wanted.update(dict.fromkeys(found for found in needed(fact) if found not in self._stored))
        if wanted:
            for stored in await self._lookup(tuple(wanted)):
                self._keep(stored.value[2:34], stored)
        for record, fact, version in decisions:
            self._decide(record, fact, version)
        while len(self._stored) > INPUTS_KEPT:
            forgotten, _ = self._stored.popitem(last=False)
            self._decoded.pop(forgotten, None)

    def recorded(self, wanted: bytes) -> Sequence[Recorded]:
        """The records of a fact; those that do not decode are none."""
        known = self._decoded.get(wanted)
        if known is None:
            known = self._decoded[wanted] = list(_decoded(self._stored.get(wanted, ())))
        return known

    def _read(self, record: Record, decisions: list[tuple[Record, Fact, int]]) -> None:
        try:
            envelope = EnvelopeMessage.FromString(record.value or b"")
        except DecodeError:
            return
        name = envelope.type.rpartition(".")[2]
        if name in INPUTS:
            self._keep(envelope.fact_id, stored_of(record))
        if name not in DECISIONS and name != "ServiceHeartbeat":
            return
        try:
            fact = decode(record.value).fact
        except Undecodable as error:
            if name in DECISIONS:
                self.report.decisions += 1
                self.report.is_open(Finding(record.entry, name, _place(record), (), f"does not decode: {error}"))
            return
        if isinstance(fact, ServiceHeartbeat):
            self._compare_kill_state(record, fact)
        else:
            if name in INPUTS and len(self._stored[envelope.fact_id]) == 1:
                self._decoded[envelope.fact_id] = [Recorded(fact, record.timestamp_ms, _position(record))]
            if isinstance(fact, SigningRefused) and not is_refusal_by_policy(fact):
                return
            decisions.append((record, fact, envelope.decision_version))

    def _keep(self, fact_id: bytes, stored: Stored) -> None:
        known = self._stored.setdefault(fact_id, [])
        if stored not in known:
            known.append(stored)
            self._decoded.pop(fact_id, None)
        self._stored.move_to_end(fact_id)

    def _decide(self, record: Record, fact: Fact, version: int) -> None:
        report = self.report
        report.decisions += 1
        sources = self._sources.setdefault(record.cluster_id, _Sources(self, record.cluster_id))
        name = type(fact).__name__
        match redecide(fact, version, sources):
            case Agrees():
                report.agreed += 1
            case Differs(decided, differences):
                decided_name = type(decided).__name__
                reason = "" if decided_name == name else f"its inputs give {decided_name}"
                report.differs(Finding(record.entry, name, _place(record), differences, reason))
            case Undecided(reason):
                report.is_open(Finding(record.entry, name, _place(record), (), reason))

    def _compare_kill_state(self, record: Record, beat: ServiceHeartbeat) -> None:
        """A heartbeat that changed its instance's state says of the kill switch what control gives."""
        if signer_of_heartbeat(self.controls.registry, beat) is None:
            return
        self.report.kill_states += 1
        state = self.controls.before(beat.cluster_id, beat.control_next_offset)
        found: list[Difference] = []
        given = halt_state(state)
        if (beat.state is HaltState.TRIGGERED) != (given is HaltState.TRIGGERED):
            found.append(Difference("state", beat.state.name, given.name))
        said = [one.command_id.hex() for one in beat.acknowledgements]
        folded = [kill.command_id.hex() for kill in state.kills][-max(1, len(said)) :]  # a heartbeat has the latest
        if said != folded:
            found.append(Difference("acknowledgements", " ".join(said), " ".join(folded)))
        if found:
            self.report.differs(Finding(record.entry, f"kill state of {beat.instance}", _place(record), tuple(found)))


async def replay(
    batches: AsyncIterator[Sequence[Record]],
    controls: Controls,
    policies: Mapping[bytes, PolicyLimits],
    lookup: Lookup,
) -> ReplayReport:
    """Decides again everything in `batches`; `policies` by their hash."""
    run = Replay(controls, policies, lookup)
    async for batch in batches:
        await run.take(batch)
    return run.report


def _decoded(found: Iterable[Stored]) -> Iterable[Recorded]:
    for stored in found:
        try:
            yield Recorded(decode(stored.value).fact, stored.timestamp_ms, _position(stored))
        except Undecodable:
            continue


def adopted_policies(observations: Iterable[Record]) -> Mapping[bytes, PolicyLimits]:
    """The signers' policies among the observations, by hash: whoever says them, a text that has the hash is the one."""
    found: dict[bytes, PolicyLimits] = {}
    for record in observations:
        try:
            fact = decode(record.value).fact
            if isinstance(fact, PolicyAdopted):
                limits = parse_policy(fact.policy)
                found[policy_sha256(limits)] = limits
        except (Undecodable, PolicyInvalid):
            continue  # a decision under it stays undecided, and says so
    return found


def stored_of(record: Record) -> Stored:
    """The record as an input."""
    place = (record.cluster_id, record.topic, record.partition, record.offset)
    return Stored(record.value or b"", record.timestamp_ms, *place)


@functools.lru_cache(maxsize=10_000)
def _verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    return verify_ed25519(public_key, message, signature)  # an owner's settings are asked for with every trade


def _position(at: Record | Stored) -> Position:
    return Position(at.cluster_id, at.topic, at.partition, at.offset)


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"
