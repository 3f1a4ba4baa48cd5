"""One delta becomes one finalized trade on real parts; a killed executor, a kill and a bad venue change nothing of that."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from xorj_core.facts import AttemptPlanned, TradeConfirmed, TradeFinalized, TradeIntended, TradeSigned, TradeSubmitted

from tests.executor.real_world import Stage, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory: Path = tmp_path_factory.mktemp("executor-world")
    async with staged(directory) as found:
        yield found


async def test_all_usdc_becomes_jup(stage: Stage) -> None:
    opened = stage.vault("conservative")
    vault = bytes(opened.vault)
    await stage.publish_settings(opened)
    await stage.publish_delta(opened, {"USDC": 1_000_000_000}, "JUP", 0)
    finalized: TradeFinalized = await stage.wait(TradeFinalized, vault)
    intended: TradeIntended = stage.of(TradeIntended, vault)[0]
    assert intended.amount_in_base_units == 1_000_000_000
    assert finalized.amount_in_base_units == 1_000_000_000
    assert finalized.amount_out_base_units == intended.quote.amount_out_base_units
    assert finalized.amount_out_base_units >= intended.amount_out_min_base_units
    for kind in (TradeIntended, AttemptPlanned, TradeSigned, TradeSubmitted, TradeConfirmed, TradeFinalized):
        assert len(stage.of(kind, vault)) == 1, kind
