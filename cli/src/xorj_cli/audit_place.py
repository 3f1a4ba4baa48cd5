"""Where the audit log is and whom to trust about it: the local world's, or the one that the options name."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from xorj_auditor.checkpoints import log_keys
from xorj_auditor.witnesses import Witness, WitnessesUnusable, load_witnesses
from xorj_core.checkpoint import CheckpointRefused, NoteKey, parse_key
from xorj_core.keys import KeyRegistry
from xorj_halt.keys import KeysUnusable, load_registry

from xorj_cli.output import Exit, Failure
from xorj_cli.running import RunningWorld, open_world


@dataclass(frozen=True, slots=True)
class PlaceOptions:
    """What the command line says; all or none of the first two, otherwise the local world's."""

    dsn_file: Path | None = None
    keys_file: Path | None = None
    origin: str = "xorj/audit"
    witnesses_file: Path | None = None


@dataclass(frozen=True, slots=True)
class AuditPlace:
    """One audit log. `world` is None for one that is not the local world's."""

    dsn: str
    origin: str
    registry: KeyRegistry
    witnesses: tuple[Witness, ...]
    world: RunningWorld | None

    @property
    def log_keys(self) -> tuple[NoteKey, ...]:
        """The keys that may have signed its checkpoints."""
        return log_keys(self.origin, self.registry)

    @property
    def witness_keys(self) -> tuple[NoteKey, ...]:
        """The witnesses' keys."""
        return tuple(witness.key for witness in self.witnesses)


def audit_place(options: PlaceOptions) -> AuditPlace:
    """The audit log to look at; raises `Failure`."""
    try:
        if options.dsn_file is not None and options.keys_file is not None:
            witnesses = load_witnesses(options.witnesses_file)
            dsn = options.dsn_file.read_text().strip()
            return AuditPlace(dsn, options.origin, load_registry(options.keys_file), witnesses, None)
        if options.dsn_file is not None or options.keys_file is not None:
            hint = "give both --dsn-file and --keys-file, or neither for the local world"
            raise Failure("usage", "half of a place", hint, Exit.USAGE)
        return place_of(open_world())
    except (OSError, ValueError, KeyError, TypeError, KeysUnusable, WitnessesUnusable, CheckpointRefused) as error:
        raise Failure("bad_place", f"{type(error).__name__}: {error}", "see docs/audit.md for the options") from error


def place_of(world: RunningWorld) -> AuditPlace:
    """The audit log of a local world; raises what a damaged description or registry raises."""
    body = json.loads((world.directory / "world.json").read_bytes())["audit"]
    witness = Witness(str(body["witness"]["url"]).rstrip("/"), parse_key(body["witness"]["key"]))
    return AuditPlace(world.audit_dsn, str(body["origin"]), load_registry(world.keys_file), (witness,), world)


def registry_of(options: PlaceOptions, named: KeyRegistry) -> KeyRegistry:
    """The keys to trust about a file: those of `--keys-file`, otherwise those that it names; raises `Failure`."""
    if options.keys_file is None:
        return named
    try:
        return load_registry(options.keys_file)
    except (OSError, KeysUnusable) as error:
        raise Failure("bad_place", str(error), "see docs/audit.md for the options") from error


@asynccontextmanager
async def reading(place: AuditPlace) -> AsyncIterator[Any]:
    """A connection within one snapshot; raises `Failure` when the database does not answer."""
    try:
        connection = await asyncpg.connect(place.dsn, timeout=10)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise unreachable(error) from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise unreachable(error) from error
    finally:
        await connection.close()


def unreachable(error: Exception) -> Failure:
    """The failure of a database that does not answer."""
    hint = "is the world running? `xorj status` tells"
    return Failure("database_unreachable", f"audit database: {type(error).__name__}: {error}", hint)


def refuse_empty_range(start: int, end: int | None) -> None:
    """Raises Failure for a range that holds no entry: nothing can be said of it, least of all that it is intact."""
    if end is not None and end <= start:
        text = f"--from {start} --to {end} holds no entry"
        raise Failure("usage", text, "--to is the entry after the last", Exit.USAGE)
