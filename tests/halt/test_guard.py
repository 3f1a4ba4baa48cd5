"""The guard against a real broker and a real auditor process. The tests of this file follow one another in one world."""

import asyncio
import dataclasses
import os
import time

import pytest
from xorj_core.facts import Position, ReferencePriceObserved
from xorj_halt.guard import Guard
from xorj_halt.keys import signing_key
from xorj_halt.view import HaltReason
from xorj_localnet.world import World

from tests.contracts.fact_examples import example
from tests.halt.guards import (
    OTHER_VAULT,
    VAULT,
    armed,
    guard_of,
    halted_for,
    key_named,
    kill,
    publish,
    running,
    start_auditor,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_without_an_auditor_nobody_is_armed(world: World) -> None:
    guard = guard_of(world, "executor")
    assert halted_for(guard, HaltReason.BLOCKED)
    with running(guard):
        await until(lambda: guard.problem() is None, "control is read to its end")
        assert halted_for(guard, HaltReason.NO_LEASE)
    assert halted_for(guard, HaltReason.BLOCKED)


async def test_the_auditors_echo_arms_a_guard_and_its_cover_is_awaited(world: World) -> None:
    await start_auditor(world)
    guard = guard_of(world, "signer")
    with running(guard):
        await armed(guard)
        began = time.monotonic()
        price: ReferencePriceObserved = example(ReferencePriceObserved)
        position = await publish(world, price, "ingestor")
        assert await guard.wait_covered([position], 5.0)
        print("covered after", time.monotonic() - began)
        assert guard.covered(position)
        assert not guard.covered(dataclasses.replace(position, cluster_id="another"))
        later = Position(position.cluster_id, position.topic, position.partition, position.offset + 1)
        assert not await guard.wait_covered([position, later], 0.05)
