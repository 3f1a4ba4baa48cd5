"""One besieged signer for all attacks; each of them must leave the same process serving and nothing unlawful signed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.signer.attacks.fortress import Fortress, besieged


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fortress]:
    async with besieged(Path(tmp_path_factory.mktemp("fortress"))) as fortress:
        yield fortress
        await fortress.only_lawful()


@pytest_asyncio.fixture(loop_scope="session")
async def fortress(standing: Fortress) -> AsyncIterator[Fortress]:
    pid = standing.pid
    yield standing
    assert standing.pid == pid
    assert standing.running.world.supervisor.running("signer"), standing.running.world.logs("signer")[-2_000:]
    assert await standing.serves()
