"""Owns one local world as a whole: its parts, in which order they start and stop, and what it says about itself.

`async with World(options) as world:` starts broker, database, topics, rules and schemas; processes and services are
added with `start_process` and `start_service`. `world.json` is there exactly while the world is ready.

1. A fresh world keeps nothing of the one before: the local chain forgets when it stops, so log and database must too.
2. What a service is told, it is told by its environment; the caller's own XORJ_ settings are not passed on.
3. Two worlds in two directories share nothing but the caches.
"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from xorj_localnet.broker import Broker, start_broker
from xorj_localnet.certificates import PRINCIPALS, Certificates, issue_certificates
from xorj_localnet.database import DATABASES, Database, discard_database, start_database
from xorj_localnet.files import write_json
from xorj_localnet.keys import KeyRing, generate_keys
from xorj_localnet.migrations import migrate, workspace_migrations
from xorj_localnet.paths import Home
from xorj_localnet.policy import write_policy
from xorj_localnet.ports import port_setting
from xorj_localnet.process import ProcessSpec
from xorj_localnet.stopping import until_told_to_stop
from xorj_localnet.supervisor import Supervisor
from xorj_localnet.topics import create_topics

T = TypeVar("T")

_OWNED = ("broker", "certificates", "database", "keys", "logs", "parts", "pids.json", "ready", "world.json")

SERVICE_LAYER = 1
"""Services use broker, database, chain, engine and venue, which are of layer 0 and do without one another's end."""

Progress = Callable[[str, float], None]
"""Called when a step is done, with its name and how long it took in milliseconds."""


def silent(step: str, took_ms: float) -> None:
    """Progress for nobody."""


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """Where the world lives and which ports it uses; port 0 means any free one."""

    home: Home = field(default_factory=Home.from_environment)
    directory: Path | None = None
    fresh: bool = True
    broker_port: int = field(default_factory=partial(port_setting, "XORJ_BROKER_PORT"))
    database_port: int = field(default_factory=partial(port_setting, "XORJ_DATABASE_PORT"))


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service to start as `python -m module` under its principal; `env` is added to what every service is told."""

    name: str
    module: str
    env: Mapping[str, str] = field(default_factory=dict)
    principal: str = ""
    ready_s_max: float = 90.0


def inherited_environment() -> dict[str, str]:
    """The caller's environment without its XORJ_ settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("XORJ_")}


class World:
    """One local world; use it from the main thread of one event loop."""

    certificates: Certificates
    keys: KeyRing
    broker: Broker
    database: Database

    def __init__(self, options: WorldOptions | None = None, progress: Progress = silent) -> None:
        self.options = options or WorldOptions()
        self.directory = (self.options.directory or self.options.home.world).resolve()
        self.supervisor = Supervisor(self.directory, inherited_environment())
        self.parts_directory = self.directory / "parts"
        self._progress = progress
        self._published: dict[str, object] = {}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, beside: Callable[[], Coroutine[object, object, None]] | None = None) -> None:
        """Starts broker and database with all that belongs in them; undoes everything when a part fails.

        `beside` starts what needs neither: it runs beside them as soon as certificates and keys are there.
        """
        began = time.monotonic()
        ended = self.supervisor.open()
        if ended:
            self._tell(f"ended leftovers: {', '.join(ended)}", began)
        try:
            if self.options.fresh:
                self._clear()
            self.certificates = await self._step("certificates", asyncio.to_thread(self._issue_certificates))
            self.keys = await self._step("keys", asyncio.to_thread(generate_keys, self.directory / "keys"))
            further = () if beside is None else (beside(),)
            await self._both(self._start_broker(), self._start_database(), *further)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends every process, the services before what they use, and withdraws `world.json`."""
        self.world_file.unlink(missing_ok=True)
        await self.supervisor.end_children()
        if self.options.fresh:
            discard_database(self.directory)
        self.supervisor.close()

    @property
    def world_file(self) -> Path:
        return self.directory / "world.json"

    async def start_process(self, spec: ProcessSpec) -> int:
        """Starts a further part and waits until it serves; returns its pid. Raises ChildFailed."""
        began = time.monotonic()
        pid = await self.supervisor.start(spec)
        self._tell(spec.name, began)
        return pid

    async def start_service(self, spec: ServiceSpec) -> int:
        """Starts a service with its principal's certificate, keys and database; returns its pid. Raises ChildFailed."""
        return await self.start_process(self.service_process(spec))

    def module_process(
        self,
        name: str,
        module: str,
        env: Mapping[str, str],
        *,
        ready_file: Path | None = None,
        ready_s_max: float = 90.0,
        layer: int = 0,
    ) -> ProcessSpec:
        """A Python module as a process that writes a ready file (default: `ready/NAME.json`)."""
        return ProcessSpec(
            name,
            (sys.executable, "-m", module),
            {"PYTHONUNBUFFERED": "1", **env},
            ready_s_max=ready_s_max,
            ready_file=ready_file or self.ready_file(name),
            layer=layer,
        )

    def ready_file(self, name: str) -> Path:
        return self.directory / "ready" / f"{name}.json"

    def service_process(self, spec: ServiceSpec) -> ProcessSpec:
        """The process of a service, told what every service is told."""
        principal = spec.principal or spec.name
        told = {
            "XORJ_MODE": "live",
            "XORJ_KAFKA_BOOTSTRAP": self.broker.address,
            **self.certificates.of(principal).settings(),
            "XORJ_KEYS_FILE": str(self.keys.registry_file),
            "XORJ_HEARTBEAT_KEY_FILE": str(self.keys.named(principal).seed_file),
            "XORJ_HEALTH_PORT": "0",
            "XORJ_READY_FILE": str(self.ready_file(spec.name)),
        }
        if any(principal in roles for roles in DATABASES.values()):
            told["XORJ_DATABASE_DSN_FILE"] = str(self.database.dsn_files[principal])
        if principal == "signer":
            told["XORJ_SIGNER_POLICY_FILE"] = str(write_policy(self.directory / "parts" / "signer-policy.toml"))
        env = {**told, **spec.env}
        return self.module_process(spec.name, spec.module, env, ready_s_max=spec.ready_s_max, layer=SERVICE_LAYER)

    def publish(self, **more: object) -> None:
        """Adds to what the world says about itself and writes `world.json`."""
        self._published.update(more)
        write_json(self.world_file, {**self._base(), **self._published})

    def kill(self, name: str) -> None:
        """SIGKILL, and waits until the process is gone."""
        self.supervisor.kill(name)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self.supervisor.pause(name)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.supervisor.resume(name)

    async def end(self, name: str) -> None:
        """Stops one process in order."""
        await self.supervisor.end(name)

    async def restart(self, name: str) -> int:
        """Starts a process again as it was described, ending it first if it runs; returns the new pid."""
        return await self.supervisor.restart(name)

    async def until_told_to_stop(self) -> None:
        """Waits for Ctrl-C or SIGTERM. Raises ChildFailed when a process ends by itself before that."""
        told = asyncio.create_task(until_told_to_stop())
        died = asyncio.create_task(self.supervisor.wait_for_death())
        try:
            done, _ = await asyncio.wait((told, died), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            told.cancel()
            died.cancel()
            await asyncio.gather(told, died, return_exceptions=True)

    def logs(self, name: str) -> str:
        """Everything the process wrote so far."""
        path = self.supervisor.log_file(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def _base(self) -> dict[str, object]:
        principals = {}
        for name in PRINCIPALS:
            identity = self.certificates.of(name)
            principals[name] = {"cert_file": str(identity.certificate_file), "key_file": str(identity.key_file)}
        return {
            "pid": os.getpid(),
            "cluster_id": self.broker.cluster_id,
            "kafka": {
                "bootstrap": self.broker.address,
                "ca_file": str(self.certificates.of("admin").ca_file),
                "principals": principals,
            },
            "database": {
                "host": self.database.host,
                "port": self.database.port,
                "dsn_files": {role: str(path) for role, path in self.database.dsn_files.items()},
            },
            "keys_file": str(self.keys.registry_file),
            "key_files": {key.name: str(key.seed_file) for key in self.keys.keys},
            "processes": [{"name": name, "pid": pid} for name, pid in self.supervisor.pids().items()],
        }

    def _tell(self, step: str, began: float) -> None:
        self._progress(step, (time.monotonic() - began) * 1000)

    async def _step(self, name: str, work: Awaitable[T]) -> T:
        began = time.monotonic()
        result = await work
        self._tell(name, began)
        return result

    async def _both(self, *parts: Coroutine[object, object, None]) -> None:
        """Runs the parts together; the first failure ends the others and is raised as it is."""
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    def _clear(self) -> None:
        discard_database(self.directory)
        for name in _OWNED:
            path = self.directory / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self.supervisor.logs_directory.mkdir()

    def _issue_certificates(self) -> Certificates:
        return issue_certificates(self.directory / "certificates")

    async def _start_broker(self) -> None:
        identity = self.certificates.of("broker")
        started = start_broker(self.supervisor, self.options.home, identity, port=self.options.broker_port)
        self.broker = await self._step("broker", started)
        await self._step("topics and rules", create_topics(self.broker.address, self.certificates.of("admin")))

    async def _start_database(self) -> None:
        self.database = await self._step("database", start_database(self.supervisor, port=self.options.database_port))
        await self._step("schemas", migrate(self.database, workspace_migrations()))


async def _alone() -> int:
    def tell(step: str, took_ms: float) -> None:
        sys.stderr.write(f"{step}: {took_ms:.0f} ms\n")

    async with World(progress=tell) as world:
        world.publish()
        sys.stdout.write(f"world in {world.directory}; Ctrl-C stops it\n")
        sys.stdout.flush()
        await world.until_told_to_stop()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_alone()))
