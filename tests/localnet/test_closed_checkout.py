"""A checkout that only root may enter still gets a database, although PostgreSQL does not run as root."""

import asyncio
import os
from pathlib import Path

import asyncpg
import pytest
from xorj_localnet.database import discard_database, start_database
from xorj_localnet.supervisor import Supervisor

from tests.parts import require_part


def test_database_and_programs_move_to_where_another_user_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_part("root", os.geteuid() == 0, "only root needs this, an ordinary user runs PostgreSQL as itself")
    monkeypatch.setattr("xorj_localnet.database.reachable_by_all", lambda path: False)
    supervisor = Supervisor(tmp_path / "world")

    async def scenario() -> Path:
        supervisor.open()
        try:
            database = await start_database(supervisor)
            connection = await asyncpg.connect(database.dsn("auditor"))
            assert await connection.fetchval("SELECT current_user") == "auditor"
            await connection.close()
        finally:
            await supervisor.stop()
        return database.directory

    directory = asyncio.run(scenario())
    assert not directory.is_relative_to(tmp_path)
    discard_database(supervisor.directory)
    assert not directory.exists()
