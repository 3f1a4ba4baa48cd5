"""Where a decision that is made again finds what it rested on.

1. An input counts only as the log holds it: by its id and its append time, or by its place; anything else is
   `InputMissing`.
2. Two contents under one id are no input at all, unless the decision names the place of the one it read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from xorj_core.facts import Fact, SeenRecord
from xorj_core.facts.common import Position
from xorj_core.kill import KillState
from xorj_core.policy.limits import PolicyLimits

F = TypeVar("F")
_NOWHERE = Position()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fact as the log holds it, when the broker appended it, and where."""

    fact: Fact
    appended_at_ms: int
    position: Position = _NOWHERE


class Sources(Protocol):
    """What the log holds, as far as a decision may ask."""

    def records(self, wanted: bytes) -> Sequence[Recorded]:
        """Every record of the fact with this id."""
        ...

    def kills(self, control_next_offset: int) -> KillState | None:
        """Control as it stood below this offset; None where control is not at hand."""
        ...

    def policy(self, policy_sha256: bytes) -> PolicyLimits | None:
        """The signer's policy with this hash; None where no signer adopted it on this log."""
        ...

    def verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether it is that key's strict Ed25519 signature, as the signer judges it."""
        ...


class InputMissing(Exception):
    """An input is not on the log as the decision says."""


def only(sources: Sources, wanted: bytes, kind: type[F]) -> F | None:
    """The fact with this id, None for no id. Its records must agree: the id names its cause, not its content."""
    if not wanted:
        return None
    found = [record.fact for record in sources.records(wanted)]
    matching = [fact for fact in found if isinstance(fact, kind)]
    if not matching:
        raise InputMissing(f"{kind.__name__} {wanted.hex()} is not on the log")
    if any(fact != matching[0] for fact in matching):
        raise InputMissing(f"{kind.__name__} {wanted.hex()} stands on the log with two contents")
    return matching[0]


def seen_at(sources: Sources, seen: SeenRecord, kind: type[F]) -> F:
    """The fact of a record by its id and append time."""
    for record in sources.records(seen.fact_id):
        if record.appended_at_ms == seen.appended_at_ms and isinstance(record.fact, kind):
            return record.fact
    raise InputMissing(f"{kind.__name__} {seen.fact_id.hex()} was not appended at {seen.appended_at_ms} ms")


def placed_at(sources: Sources, wanted: bytes, position: Position, kind: type[F]) -> F:
    """The fact of the record at this place, by its id."""
    for record in sources.records(wanted):
        if record.position == position and isinstance(record.fact, kind):
            return record.fact
    raise InputMissing(f"{kind.__name__} {wanted.hex()} does not stand at {position}")
