"""The reconciler as a process: facts in, deltas out, on a real broker and a real local chain."""

import pytest
from xorj_core.facts import PortfolioReconciled

from tests.reconciler.conftest import Stage
from tests.reconciler.vault_facts import JUP, USD, USDC, VaultExample, ranking

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_ranking_becomes_a_delta_with_every_number(stage: Stage) -> None:
    example = VaultExample()
    await stage.chain.put_vault(example, {USDC: 1_000 * USD}, trade_seq=3)
    await stage.publish_prices(1)
    await stage.ingestor.publish(example.settings())
    await stage.ingestor.publish(ranking(1, (JUP, 10_000)))
    print("READY AFTER", await stage.start_reconciler())
    [found] = await stage.seen.wait(lambda item: isinstance(item.fact, PortfolioReconciled))
    print(found.fact, stage.world.logs("reconciler"))
