"""Attacks with records: intents that are not there, not audited, of another cluster, or second for their sequence."""

import asyncio
import dataclasses
import os
from collections import Counter
from typing import Any

import grpc
import pytest
from xorj.signer.v1 import signer_pb2
from xorj_core.facts.common import Position

from tests.signer.attacks.fortress import Fortress
from tests.signer.rig import RefusedCall
from tests.signer.trades import Bytes, Trade, honest_trade, new_owner, some_key

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def answer_of(fortress: Fortress, positions: list[Position]) -> str:
    """The reason of a refusal, or "" for a signature, asked once."""
    try:
        await fortress.ask(positions[0], positions[1])
    except RefusedCall as refused:
        return refused.reason or refused.code.name
    return ""


async def test_an_honest_trade_is_signed_between_the_attacks(fortress: Fortress) -> None:
    """The control: what refuses everything would pass every other test of this suite."""
    await fortress.sign(honest_trade(fortress.bot))


async def test_a_record_that_is_not_on_this_log_is_not_signed(fortress: Fortress) -> None:
    intent, attempt = await fortress.publish_trade(honest_trade(fortress.bot))
    places: list[dict[str, Any]] = [
        {"offset": 10**9},
        {"offset": 2**63 - 1},
        {"partition": 7_777},
        {"cluster_id": "another-cluster-id-xxx"},
        {"cluster_id": ""},
    ]
    pairs = [[dataclasses.replace(intent, **place), attempt] for place in places]
    pairs += [[intent, dataclasses.replace(attempt, **place)] for place in places]
    reasons = await asyncio.gather(*(answer_of(fortress, pair) for pair in pairs))
    assert set(reasons) <= {"RECORD_NOT_FOUND", "BAD_REQUEST"}


@pytest.mark.parametrize("topic", ["", "signed-txs", "prices", "trade-intents\0", "TRADE-INTENTS", "../trade-intents"])
async def test_a_record_of_another_topic_is_not_signed(fortress: Fortress, topic: str) -> None:
    intent, attempt = await fortress.publish_trade(honest_trade(fortress.bot))
    elsewhere = dataclasses.replace(attempt, topic=topic)
    assert await answer_of(fortress, [intent, elsewhere]) in ("BAD_REQUEST", "RECORD_NOT_FOUND", "RECORD_MISMATCH")


async def test_records_that_are_no_intent_and_attempt_are_not_signed(fortress: Fortress) -> None:
    trade = honest_trade(fortress.bot)
    intent, attempt = await fortress.publish_trade(trade)
    garbage = await fortress.writers["executor"].append("trade-intents", trade.intent.vault, os.urandom(400))
    for pair in ([attempt, intent], [intent, intent], [attempt, attempt], [intent, garbage], [garbage, attempt]):
        refused = await fortress.refusal(pair)
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RECORD_MISMATCH")


async def test_the_attempt_of_another_vault_is_not_signed_for_an_intent(fortress: Fortress) -> None:
    one, other = honest_trade(fortress.bot), honest_trade(fortress.bot)
    stolen = dataclasses.replace(one, plan=dataclasses.replace(other.plan, vault=one.plan.vault))
    assert await fortress.refused(stolen) == "RECORD_MISMATCH"


async def test_an_intent_whose_ids_were_made_up_is_not_signed(fortress: Fortress) -> None:
    made_up = (
        honest_trade(fortress.bot).with_intent(intent_id=some_key("made up")).with_plan(intent_id=some_key("made up"))
    )
    assert await fortress.refused(made_up) == "RECORD_MISMATCH"


async def test_a_second_intent_for_a_sequence_is_not_signed(fortress: Fortress) -> None:
    owner = new_owner()
    await fortress.sign(honest_trade(fortress.bot, owner=owner))
    assert await fortress.refused(honest_trade(fortress.bot, owner=owner)) == "SEQUENCE_TAKEN"


async def test_a_storm_of_intents_for_one_sequence_gets_one_signature(fortress: Fortress) -> None:
    owner = new_owner()
    rivals = [honest_trade(fortress.bot, owner=owner) for _ in range(12)]
    fortress.lawful(*(rival.plan for rival in rivals))  # whoever comes first may have it; the rest is counted below
    positions = [await fortress.publish_trade(rival) for rival in rivals]
    await asyncio.gather(*(fortress.running.answer(pair) for pair in positions))
    answers = await asyncio.gather(*(fortress.running.answer(pair) for pair in positions for _ in range(3)))
    reasons = Counter(answer.reason if isinstance(answer, RefusedCall) else "" for answer in answers)
    assert reasons == {"": 3, "SEQUENCE_TAKEN": 33}
    signed = [fact for fact in await fortress.signed() if fact.vault == rivals[0].intent.vault]
    assert len({fact.intent_id for fact in signed}) == 1


async def test_a_storm_on_one_attempt_gets_one_signature_and_one_fact(fortress: Fortress) -> None:
    trade = honest_trade(fortress.bot)
    fortress.lawful(trade.plan)
    positions = await fortress.publish_trade(trade)
    answers = await asyncio.gather(*(fortress.running.answer(positions) for _ in range(32)))
    signatures = {a.signature for a in answers if isinstance(a, signer_pb2.SignTradeResponse)}
    assert len(signatures) == 1, [a for a in answers if isinstance(a, RefusedCall)]
    known = [fact.signature for fact in await fortress.signed() if fact.vault == trade.intent.vault]
    assert known == list(signatures)


async def test_of_many_messages_for_one_attempt_one_is_signed(fortress: Fortress) -> None:
    first = honest_trade(fortress.bot)
    owner = first.settings.owner

    def other(price: int) -> Trade:
        made = Bytes(unit_price=price)
        rival = honest_trade(fortress.bot, owner=owner, delta=first.intent.delta_id, made=made)
        return dataclasses.replace(first, plan=rival.plan)

    rivals = [other(10_000 + number) for number in range(8)]
    assert len({rival.plan.message for rival in rivals}) == len(rivals)
    fortress.lawful(*(rival.plan for rival in rivals))
    await fortress.publish("ingestor", *first.background())
    (intent,) = await fortress.publish("executor", first.intent)
    attempts = await fortress.publish("executor", *(rival.plan for rival in rivals))
    answers = await asyncio.gather(*(fortress.running.answer([intent, attempt]) for attempt in attempts))
    reasons = Counter(answer.reason if isinstance(answer, RefusedCall) else "" for answer in answers)
    assert reasons == {"": 1, "ATTEMPT_TAKEN": 7}
    signed = [fact for fact in await fortress.signed() if fact.vault == first.intent.vault]
    assert len({fact.message_sha256 for fact in signed}) == 1
