"""A kill between each two steps of the request path, and prices that grow old or are said again."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from xorj_core.facts import SigningRefused, TradeSigned
from xorj_core.facts.common import Position
from xorj_halt.view import Halted, HaltReason

from tests.signer.rig import RefusedCall, Rig, refusal
from tests.signer.trades import LIMITS, USDC, honest_trade, price_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPS = {
    "fetcher": ("fetch",),
    "guard": ("wait_covered",),
    "knowledge": ("wait_for_prices",),
    "ledger": ("reserve", "complete"),
    "key": ("sign",),
    "publisher": ("publish",),
}
BEFORE_THE_LAST_LOOK = ("fetch", "wait_covered", "wait_for_prices", "reserve", "sign")
"""After these steps the guard is asked once more; what is stored later has been signed, and is known."""


class Wired:
    """A part of the request path that tells when one of its steps is over."""

    def __init__(self, part: Any, steps: Sequence[str], over: Callable[[str], None]) -> None:
        self._part = part
        self._steps = steps
        self._over = over

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name not in self._steps:
            return real

        async def step(*args: Any, **kwargs: Any) -> Any:
            result = await real(*args, **kwargs)
            self._over(name)
            return result

        return step


class Killable:
    """The guard that a test may kill for good."""

    control_next_offset = 7

    def __init__(self) -> None:
        self.killed = False

    def verdict(self, vault: bytes | None) -> Halted | None:
        return Halted(HaltReason.KILLED, "killed by a test") if self.killed else None

    def covered(self, position: Position) -> bool:
        return True

    async def wait_covered(self, positions: Sequence[Position], timeout_s: float) -> bool:
        return True


@pytest.mark.parametrize("step", [step for steps in STEPS.values() for step in steps])
async def test_a_kill_after_any_step_lets_no_unknown_signature_out(rig: Rig, step: str) -> None:
    guard, parts = Killable(), rig.signing
    met: list[str] = []

    def over(name: str) -> None:
        met.append(name)
        guard.killed = guard.killed or name == step

    wired = {part: Wired(getattr(parts, part), steps, over) for part, steps in STEPS.items() if part != "guard"}
    rig.change(guard=Wired(guard, STEPS["guard"], over), **wired)
    trade = honest_trade(rig.bot)
    positions = await rig.publish_trade(trade)
    try:
        given, reason = (await rig.ask(*positions)).signature, ""
    except RefusedCall as refused:
        given, reason = b"", refused.reason
    finally:
        known = [fact for fact in await rig.log_of("signed-txs") if getattr(fact, "vault", b"") == trade.intent.vault]
    assert step in met
    signed = [fact for fact in known if isinstance(fact, TradeSigned)]
    if step in BEFORE_THE_LAST_LOOK:
        assert (given, reason, signed) == (b"", "KILLED", [])
        assert [fact.reason.name for fact in known if isinstance(fact, SigningRefused)] == ["KILLED"]
    else:
        assert [fact.signature for fact in signed] == [given]
    with pytest.raises(RefusedCall) as again:
        await rig.ask(*positions)
    assert again.value.reason == "KILLED"
    rig.change(guard=parts.guard, **{part: getattr(parts, part) for part in wired})


async def test_a_price_grows_old_and_saying_it_again_does_not_make_it_young(rig: Rig) -> None:
    """Also not for a signature that is stored: the policy is asked before the ledger."""
    rig.change(limits=dataclasses.replace(LIMITS, price_age_ms_max=2_000))
    trade = honest_trade(rig.bot)
    positions = await rig.publish_trade(trade)
    await rig.ask(*positions)
    rig.change(limits=dataclasses.replace(LIMITS, price_age_ms_max=50))
    seen = rig.signing.knowledge.price(trade.intent.price_in_fact_id)
    assert seen is not None
    async with asyncio.timeout(10):
        while rig.signing.knowledge.newest_ms <= seen.timestamp_ms + 50:
            await rig.publish("ingestor", price_of(USDC, 10**12))
    with pytest.raises(RefusedCall) as stored:
        await rig.ask(*positions)
    assert stored.value.reason == "PRICE_STALE"
    late = dataclasses.replace(honest_trade(rig.bot, owner=trade.settings.owner, seq=2))
    late = late.with_intent(
        price_in_fact_id=trade.intent.price_in_fact_id, price_out_fact_id=trade.intent.price_out_fact_id
    )
    late = dataclasses.replace(late, price_in=trade.price_in, price_out=trade.price_out)
    with pytest.raises(RefusedCall) as again:
        await rig.sign(late)  # publishes the same prices a second time
    assert again.value.reason == "PRICE_STALE"


async def test_a_refusal_binds_nothing(rig: Rig) -> None:
    """Whoever is refused leaves no row: an honest attempt of the same intent is signed afterwards."""
    bad = honest_trade(rig.bot)
    cheap = dataclasses.replace(bad, plan=dataclasses.replace(bad.plan, message=bad.plan.message[:-1]))
    assert (await refusal(rig, cheap)).reason == "MALFORMED_TRANSACTION"
    await rig.sign(bad)
