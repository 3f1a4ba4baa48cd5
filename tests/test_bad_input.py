"""Bad input at every door of the running system: a refusal or a dead letter, every service alive, and it still trades.

One world for all tests; the last one trades.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from xorj.envelope.v1.envelope_pb2 import Envelope as EnvelopeMessage
from xorj_contracts.codec import Envelope, encode
from xorj_core.facts import (
    DeadLettered,
    RankingObserved,
    RankingRefused,
    ReconcileDue,
    RiskProfile,
    TradeConfirmed,
    TradeExpired,
    TradeFinalized,
    TradeIntended,
    TradeRefused,
    TradeRefusedReason,
    fact_id,
)
from xorj_localnet.genesis.vaults import VaultPlan
from xorj_log.topics import BY_NAME, SERVICES, TOPICS, Topic
from xorj_log.writer import LogWriter

from tests.stage import Stage, staged
from tests.worlds import connection_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(200)]

VAULT = "moderate"
PLAN = VaultPlan(VAULT, RiskProfile.MODERATE, {"USDC": 1_000})
RANKING = "/internal/ranked-traders"
# The signer fetches single intents; executions and observations have no reader yet.
READS_NO_STREAM = {("trade-intents", "signer"), ("observations", "reconciler"), ("observations", "executor")}
READ_BY_SERVICES = tuple(
    t for t in TOPICS if t.readers and t.name not in ("control", "heartbeats", "breakers", "executions")
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(Path(tmp_path_factory.mktemp("bad")) / "world", (PLAN,)) as started:
        yield started


def alive(stage: Stage) -> None:
    pids = stage.world.small.supervisor.pids()
    assert set(SERVICES) <= set(pids), stage.world.small.supervisor.dead()


async def append(stage: Stage, topic: Topic, *values: bytes, key: bytes | None = b"\x07" * 32) -> list[int]:
    """Raw bytes on a topic, as its lawful writer whose build is broken; the offsets."""
    writer_name = next(name for name in (*topic.writers, "operator") if name in (*SERVICES, "operator"))
    async with LogWriter(connection_of(stage.world.small, writer_name), f"{writer_name}/broken", "test") as writer:
        return [(await writer.append(topic.name, key, value)).offset for value in values]


def unknown_fact() -> bytes:
    return EnvelopeMessage(type=f"xorj.{'x' * 40}.v9.FromTheFuture", fact=b"\x01\x02").SerializeToString()


@pytest.mark.parametrize("topic", READ_BY_SERVICES, ids=lambda t: t.name)
async def test_garbage_and_unknown_facts_on_a_topic_become_dead_letters(stage: Stage, topic: Topic) -> None:
    begun = len(stage.facts)
    for offset in await append(stage, topic, b"\xff\x00garbage", unknown_fact(), b""):
        for reader in topic.readers:
            if (topic.name, reader) not in READS_NO_STREAM:
                await stage.next(DeadLettered, _letter(reader, topic.name, offset), after=begun)
    alive(stage)


def _letter(reader: str, topic: str, offset: int) -> Callable[[DeadLettered], bool]:
    return lambda f: (f.reader, f.position.topic, f.position.offset) == (reader, topic, offset)


@pytest.mark.parametrize("name", ["control", "heartbeats"])
async def test_garbage_on_control_and_heartbeats_changes_nothing(stage: Stage, name: str) -> None:
    await append(stage, BY_NAME[name], b"\xff\x00garbage", unknown_fact(), b"", key=None)
    alive(stage)


async def test_a_fact_on_a_topic_that_is_not_its_own_is_a_dead_letter(stage: Stage) -> None:
    begun = len(stage.facts)
    due = ReconcileDue(b"\x07" * 32, b"\x08" * 32, 1)
    value = encode(Envelope(fact_id(due), (), b"", "ingestor/broken", "test", 1, 0, ""), due)
    (offset,) = await append(stage, BY_NAME["strategies"], value)
    letter = await stage.next(DeadLettered, lambda f: f.position.offset == offset, after=begun)
    assert "does not belong" in letter.reason


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "garbage"},
        {"kind": "status", "status": 500},
        {"kind": "body", "body": "[]"},
        {"kind": "body", "body": '{"status": "success", "data": [{"rank": 1, "wallet_address": "x"}], "meta": {}}'},
    ],
    ids=["garbage", "500", "wrong shape", "wrong wallet"],
)
async def test_a_malformed_engine_answer_is_refused_and_the_next_good_one_taken(
    stage: Stage, fault: dict[str, Any]
) -> None:
    begun = len(stage.facts)
    await stage.world.engine_fault({"path": RANKING, **fault})
    await stage.next(RankingRefused, after=begun)
    await stage.world.engine_fault({"path": RANKING, "kind": None})
    # The other target each time: a ranking is published when it changed.
    done = len(stage.facts)
    await stage.target(
        **{"USDC": 9_000 + len(stage.of(RankingObserved)), "SOL": 1_000 - len(stage.of(RankingObserved))}
    )
    await stage.next(RankingObserved, after=done)
    alive(stage)


async def test_quotes_for_a_wrong_mint_and_a_failing_venue_are_refused(stage: Stage) -> None:
    await asyncio.wait_for(_quiet(stage), 60)
    for kind in ("wrong_mint", "garbage"):
        begun = len(stage.facts)
        await stage.world.venue_fault({"path": "/swap/v2/build", "kind": kind})
        await stage.target(JUP=5_000 + len(kind), USDC=5_000 - len(kind))
        refused = await stage.next(TradeRefused, after=begun)
        assert refused.reason in (TradeRefusedReason.QUOTE_INVALID, TradeRefusedReason.QUOTE_UNAVAILABLE)
        alive(stage)
    await stage.world.venue_fault({"path": "/swap/v2/build", "kind": None})


async def test_an_endpoint_that_answers_500_and_rubbish_only_delays_the_trade(stage: Stage) -> None:
    begun = len(stage.facts)
    stage.proxy.fail_next(6)
    await stage.target(BONK=10_000)
    await stage.next(TradeConfirmed, after=begun)
    assert stage.proxy.failures_left == 0
    await stage.next(TradeFinalized, after=begun)
    alive(stage)


async def _quiet(stage: Stage) -> None:
    """Until every intent has ended."""
    while True:
        ended = {f.intent_id for f in stage.of(TradeFinalized)} | {f.intent_id for f in stage.of(TradeExpired)}
        if {f.intent_id for f in stage.of(TradeIntended)} <= ended:
            return
        await asyncio.sleep(0.1)
