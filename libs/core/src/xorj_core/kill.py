"""The kill switch: which commands are in force, folded from the control topic in arrival order.

The shell verifies signatures and hands in what it verified; nothing here trusts a record for what it says of itself.

1. A kill by any registered key with the role counts, whatever its issue time, epoch or configuration.
2. A command counts once, by its command id; repeats and replays change nothing.
3. A record signed by a registered key that this build does not understand counts as a kill of everything.
4. A kill whose scope is not clear is a kill of everything.
5. No record ends a kill: resuming is absent from this build.
6. Until control has been read to its end, everything is blocked.
"""

from dataclasses import dataclass, replace

from xorj_core.facts.common import HaltScope
from xorj_core.facts.control import KillCommanded
from xorj_core.facts.heartbeats import HaltState
from xorj_core.ids import digest

KILL_DOMAIN = "xorj.kill.v1"
CONTROL_RECORD_DOMAIN = "xorj.control-record.v1"
"""What the frame signature of a control record covers: digest(domain, record value)."""

CONTROL_SIGNATURE_HEADER = "xorj-control-signature"
"""Record header: key id (8 bytes) and Ed25519 signature (64 bytes). Every control fact but KillCommanded carries it, so
that a build which does not know the fact can still tell who wrote it."""


@dataclass(frozen=True, slots=True)
class ActiveKill:
    """A command in force. `vault` is empty for a kill of everything."""

    command_id: bytes
    vault: bytes
    reason: str
    principal: str
    control_offset: int

    def covers(self, vault: bytes | None) -> bool:
        """Whether this kill stops `vault`; None asks for what is not tied to one vault."""
        return not self.vault or self.vault == vault


@dataclass(frozen=True, slots=True)
class KillState:
    """What one reader of control knows. `next_offset`: control is read up to, not including, this offset."""

    kills: tuple[ActiveKill, ...] = ()
    next_offset: int = 0
    read_to_end: bool = False


def read_up_to(state: KillState, next_offset: int, *, at_end: bool) -> KillState:
    """Control has been read to `next_offset`; once at its end, a reader stays armed while it goes on tailing."""
    return replace(state, next_offset=max(state.next_offset, next_offset), read_to_end=state.read_to_end or at_end)


def apply_kill(state: KillState, command: KillCommanded, principal: str, offset: int) -> KillState:
    """A KillCommanded whose signature by a key of `principal` with the role `kill` the caller has verified."""
    one_vault = command.scope is HaltScope.VAULT and len(command.vault) == 32
    kill = ActiveKill(command.command_id, command.vault if one_vault else b"", command.reason, principal, offset)
    return _add(state, kill)


def apply_not_understood(state: KillState, value: bytes, reason: str, principal: str, offset: int) -> KillState:
    """A record whose frame signature by a registered key is verified but whose content this build cannot read."""
    command_id = digest(CONTROL_RECORD_DOMAIN, value)[:16]
    return _add(state, ActiveKill(command_id, b"", f"not understood: {reason}", principal, offset))


def kill_of(state: KillState, vault: bytes | None) -> ActiveKill | None:
    """The first kill that stops `vault` (None: only kills of everything are asked for)."""
    return next((kill for kill in state.kills if kill.covers(vault)), None)


def told(kill: ActiveKill) -> str:
    """The kill in words, as verdicts quote it."""
    what = "one vault" if kill.vault else "everything"
    return f"{what}, by {kill.principal}: {kill.reason} (control offset {kill.control_offset})"


def halt_state(state: KillState) -> HaltState:
    """What the instance's heartbeat says."""
    if kill_of(state, None) is not None:
        return HaltState.TRIGGERED
    return HaltState.ARMED if state.read_to_end else HaltState.BLOCKED


def _add(state: KillState, kill: ActiveKill) -> KillState:
    if any(known.command_id == kill.command_id for known in state.kills):
        return state
    return replace(state, kills=(*state.kills, kill))
