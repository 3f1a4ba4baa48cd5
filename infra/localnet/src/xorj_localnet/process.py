"""Owns what a process of the local world is: how it is described, recognised later, and ended.

1. A process is identified by pid, start time and boot, so that a reused pid is never taken for it and never signalled.
2. Settings travel in the environment; arguments carry no secret.
"""

import os
import platform
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

Ready = Callable[[], Awaitable[bool]]
"""Answers whether the process serves. It must return quickly and raise only when waiting longer is pointless."""


async def at_once() -> bool:
    """The readiness of a process that is not waited for."""
    return True


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to start: `argv[0]` is a path or a name in PATH, `env` is added to the world's environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Ready = at_once
    ready_s_max: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s_max: float = 5.0
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends to this process when the process that started it dies (Linux)."""
    user_and_group: tuple[int, int] | None = None
    ready_file: Path | None = None
    """A JSON object that the process writes when it serves; it is removed before every start."""
    cwd: Path | None = None
    layer: int = 0
    """Processes use those of lower layers: when all end, the highest layer ends first, one layer together."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A pid that cannot be confused with a later process of the same number."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return identify(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Signals the process and its group if it is still this process; otherwise does nothing."""
        if not self.alive():
            return
        try:
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return


def identify(pid: int) -> ProcessId | None:
    """The identity of the process that has this pid now, or None when there is none or it is a zombie."""
    if platform.system() == "Linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, started_ticks = fields[0], fields[19]
        return None if state in "ZX" else ProcessId(pid, f"{boot}/{started_ticks}")
    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return None if zombie else ProcessId(pid, f"{process.create_time():.3f}")
    except psutil.NoSuchProcess:
        return None


def end_all(processes: list[tuple[ProcessId, signal.Signals]], *, grace_s: float) -> None:
    """Asks each process to stop with its own signal, waits up to `grace_s` in all, then kills what is left."""
    for process, stop_signal in processes:
        process.send(stop_signal)
        process.send(signal.SIGCONT)
    deadline = time.monotonic() + grace_s
    waiting = [process for process, _ in processes]
    while waiting and time.monotonic() < deadline:
        waiting = [process for process in waiting if process.alive()]
        time.sleep(0.02)
    for process in waiting:
        process.send(signal.SIGKILL)
    deadline = time.monotonic() + grace_s
    while waiting and time.monotonic() < deadline:
        waiting = [process for process in waiting if process.alive()]
        time.sleep(0.02)
