"""Each service killed (SIGKILL) and started again under a changed target: one trade each time, no more and no less."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from xorj_cli.audit import verify_audit
from xorj_cli.audit_place import place_of
from xorj_cli.output import Exit
from xorj_core.facts import RiskProfile, TradeFinalized
from xorj_localnet.genesis.vaults import VaultPlan
from xorj_log.topics import SERVICES

from tests.stage import Stage, staged

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300), pytest.mark.slow]

VAULT = "moderate"
PLAN = VaultPlan(VAULT, RiskProfile.MODERATE, {"USDC": 1_000})
ROUNDS = list(zip(SERVICES * 2, ("JUP", "SOL", "BONK", "JTO", "USDC") * 2, strict=True))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(Path(tmp_path_factory.mktemp("restarts")) / "world", (PLAN,)) as started:
        yield started


@pytest.mark.parametrize(("round_number", "name", "symbol"), [(i, *r) for i, r in enumerate(ROUNDS, start=1)])
async def test_a_killed_service_comes_back_and_the_trade_happens_once(
    stage: Stage, round_number: int, name: str, symbol: str
) -> None:
    begun = len(stage.facts)
    stage.world.small.kill(name)
    await stage.target(**{symbol: 10_000})
    await stage.world.small.restart(name)
    finalized = await stage.next(TradeFinalized, after=begun)
    assert finalized.trade_seq == round_number
    assert {name for name, amount in (await stage.balances(VAULT)).items() if amount} == {symbol}


async def test_the_log_holds_every_trade_once_and_is_intact(stage: Stage) -> None:
    sequences = [fact.trade_seq for fact in stage.of(TradeFinalized)]
    assert sorted(sequences) == list(range(1, len(ROUNDS) + 1))
    _, exit_code = await verify_audit(place_of(stage.running), show_progress=False)
    assert exit_code is Exit.OK
