"""One world and one serving signer for the tests of a module; what a test bends is straight again after it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from xorj_localnet.world import World

from tests.signer.rig import Rig, started_rig
from tests.worlds import small_world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with small_world(Path(tmp_path_factory.mktemp("world"))) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving(world: World) -> AsyncIterator[Rig]:
    async with started_rig(world) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def rig(serving: Rig) -> AsyncIterator[Rig]:
    parts = serving.signing
    yield serving
    serving.guard.halts.clear()
    serving.guard.uncovered.clear()
    serving.key.wrong = serving.key.broken = False
    serving.change(mode=parts.mode, limits=parts.limits, ledger=parts.ledger, publisher=parts.publisher)
