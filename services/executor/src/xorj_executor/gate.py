"""The guard in the terms of the executor."""

from typing import Final

from xorj_core.facts import Halt
from xorj_halt.guard import Guard
from xorj_halt.view import HaltReason

_HALTS: Final = {
    HaltReason.KILLED: Halt.KILLED,
    HaltReason.NO_LEASE: Halt.NO_LEASE,
    HaltReason.BLOCKED: Halt.NO_LEASE,
}


class GuardGate:
    """The port `Gate` over the guard thread."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def verdict(self, vault: bytes) -> tuple[Halt, str] | None:
        """None while trading in this vault is allowed."""
        return self.judged(vault)[1]

    def judged(self, vault: bytes) -> tuple[int, tuple[Halt, str] | None]:
        """The verdict, and up to where control had been read for it."""
        control_next_offset, halted = self._guard.judged(vault)
        return control_next_offset, None if halted is None else (_HALTS[halted.reason], halted.detail)
