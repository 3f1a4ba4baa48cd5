"""Builds signed kill commands. Publishing one on control is the caller's: `LogWriter.publish`."""

from xorj_core.facts import HaltScope, KillCommanded

from xorj_halt.keys import SigningKey
from xorj_halt.signatures import signed_kill

REASON_LENGTH_MAX = 500


def kill_command(
    key: SigningKey, reason: str, *, command_id: bytes, issued_at_us: int, vault: bytes | None = None
) -> KillCommanded:
    """A command that stops everything, or one vault (32 bytes).

    `command_id`: 16 random bytes, one per decision to kill: the same id again is the same kill. Raises ValueError.
    """
    if len(command_id) != 16:
        raise ValueError("a command id has 16 bytes")
    if vault is not None and len(vault) != 32:
        raise ValueError("a vault has 32 bytes")
    if not reason or len(reason) > REASON_LENGTH_MAX:
        raise ValueError(f"a reason has 1 to {REASON_LENGTH_MAX} characters")
    scope = HaltScope.EVERYTHING if vault is None else HaltScope.VAULT
    command = KillCommanded(command_id, scope, vault or b"", reason, issued_at_us, key.key_id, b"")
    return signed_kill(command, key)
