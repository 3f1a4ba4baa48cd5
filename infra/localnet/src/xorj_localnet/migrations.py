"""Owns how the schemas of the services' databases come to be.

A package that owns a schema has `migrations/NNNN_name.sql`; each file is applied once, in order, by the owning role.
The audit log's schema, which has to be brought from build to build, comes by Alembic from its own package.

1. A file and its row in `schema_migrations` are written in one transaction.
2. A file that was applied never changes: another SHA-256 under the same name is refused.
"""

import hashlib
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from xorj_auditor.schema import upgrade

from xorj_localnet.database import DATABASES, OWNER, Database

PACKAGES = {"xorj_signer": "xorj_signer", "xorj_ingestor": "xorj_settings"}
"""Each package that brings files, with its database."""

_TABLE = """\
CREATE TABLE IF NOT EXISTS schema_migrations (
    component text NOT NULL,
    version text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (component, version)
)"""


class MigrationRefused(Exception):
    """A migration that was applied has changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file of one component, for one database."""

    database: str
    component: str
    version: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def workspace_migrations() -> tuple[Migration, ...]:
    """The migrations that the services' packages bring, in order."""
    found: list[Migration] = []
    for package, database in PACKAGES.items():
        directory = importlib.resources.files(package) / "migrations"
        if not directory.is_dir():
            continue
        files = sorted((file for file in directory.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
        found.extend(
            Migration(database, package, file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
            for file in files
        )
    return tuple(found)


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> bool:
    async with connection.transaction():
        await connection.execute("LOCK TABLE schema_migrations IN EXCLUSIVE MODE")
        applied = await connection.fetchval(
            "SELECT sha256 FROM schema_migrations WHERE component = $1 AND version = $2",
            migration.component,
            migration.version,
        )
        if applied is not None:
            if applied != migration.sha256:
                raise MigrationRefused(
                    f"{migration.component}/{migration.version} was applied with other content; add a new file instead"
                )
            return False
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (component, version, sha256) VALUES ($1, $2, $3)",
            migration.component,
            migration.version,
            migration.sha256,
        )
        return True


async def migrate(database: Database, migrations: Sequence[Migration]) -> int:
    """Applies what was not applied yet; returns how many files. Raises MigrationRefused and PostgreSQL's errors."""
    done = 0
    for name, members in DATABASES.items():
        connection = await asyncpg.connect(database.dsn(OWNER, name), timeout=10)
        try:
            await connection.execute(_TABLE)
            await connection.execute(f"GRANT USAGE ON SCHEMA public TO {', '.join(members)}")
            for migration in migrations:
                if migration.database == name:
                    done += await _apply(connection, migration)
        finally:
            await connection.close()
    done += await upgrade(database.dsn(OWNER, "xorj_audit"))
    return done
