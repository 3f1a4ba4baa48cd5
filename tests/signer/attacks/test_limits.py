"""Attacks on what is counted: counters that a crash should not reset, attempts that should not count twice."""

import dataclasses

import pytest
from xorj.signer.v1 import signer_pb2

from tests.signer.attacks.fortress import Fortress
from tests.signer.trades import Trade, honest_trade, new_owner, signed

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY_MICRO_USD_MAX = 250_000_000
"""Two trades of 100 USD fit into it, a third does not."""


def of_day(fortress: Fortress, owner: bytes, seq: int) -> Trade:
    """A trade of 100 USD in a vault whose owner allows 250 a day."""
    trade = honest_trade(fortress.bot, owner=owner, seq=seq)
    settings = dataclasses.replace(trade.settings, day_value_micro_usd_max=DAY_MICRO_USD_MAX)
    return dataclasses.replace(trade, settings=signed(settings))


async def test_a_day_is_counted_across_a_crash_and_retries_count_once(standing: Fortress) -> None:
    owner = new_owner()
    first, second, third = (of_day(standing, owner, seq) for seq in (1, 2, 3))
    positions, answer = await standing.sign(first)
    for _ in range(3):  # asking again counts nothing
        again = await standing.running.answer(positions)
        assert again == answer
    await standing.sign(second)
    assert await standing.refused(third) == "WINDOW_CAP"
    standing.running.world.kill("signer")
    await standing.running.world.restart("signer")
    refused = await standing.refusal(await standing.publish_trade(of_day(standing, owner, 4)))
    assert refused.reason == "WINDOW_CAP"
    assert isinstance(await standing.running.answer(positions), signer_pb2.SignTradeResponse)  # already counted
    await standing.sign(honest_trade(standing.bot))  # another vault has its own day
