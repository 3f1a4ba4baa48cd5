"""Brings the audit database to the schema of this build: `python -m xorj_auditor.schema`, as the owner's role.

Alembic orders the migrations and writes them out as SQL; asyncpg, which every service uses, applies them.

1. The owner's connection string comes from a file (`XORJ_AUDIT_OWNER_DSN_FILE`); no service has it.
2. Migrations and the note that they were applied are one transaction; two at once wait for one another.
3. Applying twice changes nothing.
"""

import asyncio
import io
import os
import sys
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

OWNER_DSN_SETTING = "XORJ_AUDIT_OWNER_DSN_FILE"
MIGRATION_LOCK = 0x786F726A_6D696772
"""Advisory lock of whoever migrates ("xorjmigr")."""


async def upgrade(dsn: str) -> bool:
    """Applies what is missing, as the role of `dsn`; whether something was. Raises asyncpg's errors and OSError."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            script = migration_sql(await _applied(connection))
            if script is not None:
                await connection.execute(script)
    finally:
        await connection.close()
    return script is not None


def migration_sql(applied: str | None) -> str | None:
    """What brings a database at this revision (None: an empty one) to this build's; None when it is there."""
    written = io.StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", "xorj_auditor:migrations")
    if applied == ScriptDirectory.from_config(config).get_current_head():
        return None
    command.upgrade(config, f"{applied or 'base'}:head", sql=True)
    statements = (line for line in written.getvalue().splitlines() if line.strip() not in {"BEGIN;", "COMMIT;"})
    return "\n".join(statements)


async def _applied(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
        return None
    applied: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return applied


def main() -> int:
    """0 when the schema is that of this build, 2 without the owner's connection string, 3 when it cannot be reached."""
    file = os.environ.get(OWNER_DSN_SETTING)
    if file is None:
        sys.stderr.write(f"{OWNER_DSN_SETTING}: is not set: the file with the owner's connection string\n")
        return 2
    try:
        asyncio.run(upgrade(Path(file).read_text().strip()))
    except (asyncpg.PostgresError, OSError) as error:
        sys.stderr.write(f"the audit database was not migrated: {type(error).__name__}: {error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
