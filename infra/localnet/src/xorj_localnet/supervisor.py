"""Owns the child processes of one local world: start, readiness, death, stop, and no orphans.

1. One supervisor per directory: a lock file says so, and a second one is refused with the holder's pid.
2. Every child is recorded in `pids.json` before anything is asked of it; what a killed supervisor left is ended first.
3. Every child dies with its parent, also when the parent is killed (Linux: parent-death signal; elsewhere: rule 2).
4. A dead child is reported, never restarted by itself.
5. All children stop layer by layer, the highest first, those of one layer together: signal, deadline, SIGKILL.
6. Children are started from the main thread only: the kernel ties the parent-death signal to the starting thread.
"""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from xorj_localnet.files import write_json
from xorj_localnet.process import ProcessId, ProcessSpec, end_all, identify

READY_POLL_S = 0.03
DEATH_POLL_S = 0.2
LAST_LINES = 15


class SupervisorError(Exception):
    """The supervisor cannot do what it was asked to."""


class WorldBusy(SupervisorError):
    """Another process supervises this directory."""


class ChildFailed(SupervisorError):
    """A child died or did not become ready; the message holds the last lines of its log."""

    def __init__(self, name: str, what: str, log: str) -> None:
        super().__init__(f"{name} {what}" + (f"; last lines of its log:\n{log}" if log else "; its log is empty"))
        self.name = name
        self.log = log


@dataclass(slots=True)
class _Child:
    spec: ProcessSpec
    process: subprocess.Popen[bytes]
    identity: ProcessId
    ended_on_purpose: bool = False


class Supervisor:
    """Starts and ends the processes of the world in `directory`; use it from the main thread of one event loop."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        """`environment` replaces the inherited one as the base of every child's (default: the inherited one)."""
        self.directory = directory
        self.logs_directory = directory / "logs"
        self._environment = dict(os.environ if environment is None else environment)
        self._children: dict[str, _Child] = {}
        self._lock: IO[str] | None = None

    def open(self) -> list[str]:
        """Takes the directory and ends leftovers; returns the names of those ended. Raises WorldBusy."""
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = (self.directory / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise WorldBusy(
                f"the world in {self.directory} is in use by process {holder}; stop it, "
                "or set XORJ_HOME to another directory for a second world"
            ) from busy
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock
        ended = self._end_leftovers()
        self.logs_directory.mkdir(exist_ok=True)
        return ended

    def _end_leftovers(self) -> list[str]:
        record = self.directory / "pids.json"
        if not record.exists():
            return []
        left = [
            (entry["name"], ProcessId(entry["pid"], entry["started"]), signal.Signals(entry["stop_signal"]))
            for entry in json.loads(record.read_bytes())["processes"]
        ]
        living = [entry for entry in left if entry[1].alive()]
        end_all([(identity, stop_signal) for _, identity, stop_signal in reversed(living)], grace_s=5.0)
        record.unlink()
        return [name for name, _, _ in living]

    def _record(self) -> None:
        entries = [
            {
                "name": child.spec.name,
                "pid": child.identity.pid,
                "started": child.identity.started,
                "stop_signal": int(child.spec.stop_signal),
            }
            for child in self._children.values()
        ]
        write_json(self.directory / "pids.json", {"supervisor": os.getpid(), "processes": entries})

    def launch(self, spec: ProcessSpec) -> int:
        """Starts the process without waiting for readiness; returns its pid."""
        if self._lock is None:
            raise SupervisorError("open() comes before launch()")
        if threading.current_thread() is not threading.main_thread():
            raise SupervisorError("children must be started from the main thread, or they die with another one")
        if self.running(spec.name):
            raise SupervisorError(f"{spec.name} is already running")
        program = shutil.which(spec.argv[0], path=self._environment.get("PATH"))
        if program is None:
            raise SupervisorError(f"cannot start {spec.name}: program {spec.argv[0]} not found")
        user = "-" if spec.user_and_group is None else "{}:{}".format(*spec.user_and_group)
        wrapper = (sys.executable, "-I", "-S", str(Path(__file__).with_name("child.py")))
        wrapped = (*wrapper, str(os.getpid()), str(int(spec.death_signal)), user, program, *spec.argv[1:])
        if spec.ready_file is not None:
            spec.ready_file.parent.mkdir(parents=True, exist_ok=True)
            spec.ready_file.unlink(missing_ok=True)
        with self.log_file(spec.name).open("ab") as log:
            process = subprocess.Popen(
                wrapped,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self._environment, **spec.env},
                cwd=spec.cwd,
                start_new_session=True,
            )
        identity = identify(process.pid) or ProcessId(process.pid, "gone")
        self._children[spec.name] = _Child(spec, process, identity)
        self._record()
        return process.pid

    async def wait_ready(self, name: str) -> None:
        """Returns when the child serves. Raises ChildFailed when it died or its deadline passed."""
        child = self._child(name)
        deadline = time.monotonic() + child.spec.ready_s_max
        while True:
            code = child.process.poll()
            if code is not None:
                raise ChildFailed(name, f"ended with status {code} before it was ready", self.last_lines(name))
            written = child.spec.ready_file is None or child.spec.ready_file.exists()
            if written and await child.spec.ready():
                return
            if time.monotonic() > deadline:
                what = f"was not ready within {child.spec.ready_s_max:g} s"
                raise ChildFailed(name, what, self.last_lines(name))
            await asyncio.sleep(READY_POLL_S)

    async def start(self, spec: ProcessSpec) -> int:
        """Starts the process and waits until it serves; ends it again when it does not. Returns its pid."""
        pid = self.launch(spec)
        try:
            await self.wait_ready(spec.name)
        except BaseException:
            self.forget(spec.name)
            raise
        return pid

    def forget(self, name: str) -> None:
        """Kills the child at once and drops it from the record, for a start that is to be tried again."""
        self.kill(name)
        self._children.pop(name)
        self._record()

    def kill(self, name: str) -> None:
        """SIGKILL, and waits until the process is gone."""
        child = self._child(name)
        child.ended_on_purpose = True
        child.identity.send(signal.SIGKILL)
        child.process.wait(timeout=10)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self._child(name).identity.send(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self._child(name).identity.send(signal.SIGCONT)

    async def end(self, name: str) -> None:
        """Stops one child in order: its signal, its deadline, SIGKILL."""
        await self._end([self._child(name)])

    async def restart(self, name: str) -> int:
        """Ends the child if it runs and starts it again as it was described; returns the new pid."""
        spec = self._child(name).spec
        if self.running(name):
            await self.end(name)
        return await self.start(spec)

    async def stop(self) -> None:
        """Ends every child, the highest layer first, and gives the directory back."""
        await self.end_children()
        self.close()

    async def end_children(self) -> None:
        """Ends every child, the highest layer first; the directory stays taken."""
        children = list(self._children.values())
        for layer in sorted({child.spec.layer for child in children}, reverse=True):
            await self._end([child for child in reversed(children) if child.spec.layer == layer])
        self._children.clear()

    async def _end(self, children: Sequence[_Child]) -> None:
        for child in children:
            child.ended_on_purpose = True
        grace_s = max(child.spec.stop_s_max for child in children)
        await asyncio.to_thread(end_all, [(c.identity, c.spec.stop_signal) for c in children], grace_s=grace_s)
        for child in children:
            child.process.wait(timeout=10)

    def close(self) -> None:
        """Gives the directory back."""
        if self._lock is not None:
            (self.directory / "pids.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def running(self, name: str) -> bool:
        """Whether a child of this name was started and lives."""
        child = self._children.get(name)
        return child is not None and child.process.poll() is None

    def pids(self) -> dict[str, int]:
        """Name to pid of the children that live, in the order of their start."""
        return {name: child.process.pid for name, child in self._children.items() if child.process.poll() is None}

    def dead(self) -> dict[str, int]:
        """Name to exit status (negative: signal) of the children that ended by themselves."""
        codes = {name: child.process.poll() for name, child in self._children.items() if not child.ended_on_purpose}
        return {name: code for name, code in codes.items() if code is not None}

    async def wait_for_death(self) -> NoReturn:
        """Waits until a child ends by itself, then raises ChildFailed for it."""
        while True:
            for name, code in self.dead().items():
                raise ChildFailed(name, f"ended by itself with status {code}", self.last_lines(name))
            await asyncio.sleep(DEATH_POLL_S)

    def said_when_ready(self, name: str) -> dict[str, object]:
        """The JSON object that the child wrote to its ready file. Raises SupervisorError when there is none."""
        path = self._child(name).spec.ready_file
        said = json.loads(path.read_bytes()) if path is not None and path.exists() else None
        if not isinstance(said, dict):
            raise SupervisorError(f"{name} wrote no JSON object when it was ready")
        return said

    def log_file(self, name: str) -> Path:
        return self.logs_directory / f"{name}.log"

    def last_lines(self, name: str, count: int = LAST_LINES) -> str:
        """The end of a child's log, for messages to people."""
        path = self.log_file(name)
        if not path.exists():
            return ""
        return "\n".join(path.read_text(errors="replace").splitlines()[-count:])

    def _child(self, name: str) -> _Child:
        child = self._children.get(name)
        if child is None:
            raise SupervisorError(f"no process called {name} was started")
        return child
