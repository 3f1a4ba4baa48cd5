"""The ledger behind the request path: one intent a sequence, one message an attempt, nothing signed and then lost."""

import asyncio

import asyncpg
import grpc
import pytest
from xorj_core.facts import TradeExpired, TradeSigned
from xorj_core.facts.common import Position
from xorj_halt.view import Halted, HaltReason
from xorj_signer.ledger import Ledger, Reservation, StoredSignature

from tests.signer.rig import RefusedCall, Rig, refusal
from tests.signer.trades import EXPIRY_SLOT, Bytes, Trade, honest_trade, new_owner, some_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

KILLED = Halted(HaltReason.KILLED, "killed by a test")


async def test_the_same_bytes_again_give_the_same_signature_without_the_key(rig: Rig) -> None:
    positions = await rig.publish_trade(honest_trade(rig.bot))
    first = await rig.ask(*positions)
    uses = rig.key.uses
    assert await rig.ask(*positions) == first
    assert rig.key.uses == uses


async def test_a_stored_signature_is_not_given_out_while_halted(rig: Rig) -> None:
    positions = await rig.publish_trade(honest_trade(rig.bot))
    await rig.ask(*positions)
    for halts in ([KILLED], [None, KILLED]):
        rig.guard.halts = list(halts)
        with pytest.raises(RefusedCall) as refused:
            await rig.ask(*positions)
        assert refused.value.reason == "KILLED"


async def test_two_calls_at_once_for_one_attempt_give_one_signature(rig: Rig) -> None:
    positions = await rig.publish_trade(honest_trade(rig.bot))
    answers = await asyncio.gather(*(rig.ask(*positions) for _ in range(8)))
    assert len({answer.signature for answer in answers}) == 1


async def test_other_bytes_for_a_signed_attempt_are_refused(rig: Rig) -> None:
    owner, delta = new_owner(), some_key("delta")
    await rig.sign(honest_trade(rig.bot, owner=owner, delta=delta))
    other = honest_trade(rig.bot, owner=owner, delta=delta, made=Bytes(unit_price=20_000), settings_version=2)
    with pytest.raises(RefusedCall) as refused:
        await rig.sign(other)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ATTEMPT_TAKEN")


async def test_a_second_attempt_of_the_same_intent_is_signed(rig: Rig) -> None:
    owner, delta = new_owner(), some_key("delta")
    first = await rig.sign(honest_trade(rig.bot, owner=owner, delta=delta))
    again = honest_trade(rig.bot, owner=owner, delta=delta, attempt=2, settings_version=2)
    assert (await rig.sign(again)).signature != first.signature


def expired(trade: Trade, context_slot: int) -> TradeExpired:
    return TradeExpired(
        intent_id=trade.intent.intent_id,
        trade_id=trade.intent.trade_id,
        vault=trade.intent.vault,
        trade_seq=trade.intent.trade_seq,
        expiry_slot=trade.intent.expiry_slot,
        context_slot=context_slot,
        observed_trade_seq=trade.intent.trade_seq - 1,
        providers=1,
    )


async def publish_expiry(rig: Rig, trade: Trade, context_slot: int) -> Position:
    """Publish a TradeExpired and wait until the signer knows it."""
    (position,) = await rig.publish("executor", expired(trade, context_slot))
    intent = trade.intent
    async with asyncio.timeout(10):
        while (known := rig.signing.knowledge.expiry(intent.vault, intent.trade_seq, intent.intent_id)) is None or (
            known.position != position
        ):
            await asyncio.sleep(0.01)
    return position


async def test_another_intent_gets_the_sequence_only_after_an_audited_expiry(rig: Rig) -> None:
    owner = new_owner()
    first = honest_trade(rig.bot, owner=owner)
    await rig.sign(first)
    second = honest_trade(rig.bot, owner=owner, settings_version=2)
    positions = await rig.publish_trade(second)
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(*positions)
    assert refused.value.reason == "SEQUENCE_TAKEN"

    await publish_expiry(rig, first, EXPIRY_SLOT)
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(*positions)
    assert refused.value.reason == "SEQUENCE_TAKEN", "the proof is not later than what was signed"

    position = await publish_expiry(rig, first, EXPIRY_SLOT + 1)
    rig.guard.uncovered = {position}
    with pytest.raises(RefusedCall) as refused:
        await rig.ask(*positions)
    assert refused.value.reason == "SEQUENCE_TAKEN", "the audit log does not hold the expiry"

    rig.guard.uncovered = set()
    await rig.ask(*positions)
    again = honest_trade(rig.bot, owner=owner, delta=first.intent.delta_id, attempt=2, settings_version=3)
    with pytest.raises(RefusedCall) as refused:
        await rig.sign(again)
    assert refused.value.reason == "SEQUENCE_TAKEN", "an expired intent never comes back"


class _CrashesBeforePublishing(Ledger):
    """The signer's own ledger, whose process dies right after the signature was stored."""

    async def complete(self, fact: TradeSigned) -> StoredSignature:
        await super().complete(fact)
        raise ConnectionResetError("the process is gone")


async def test_what_was_signed_but_not_published_is_published_at_the_next_start(rig: Rig) -> None:
    trade = honest_trade(rig.bot)
    async with _CrashesBeforePublishing(rig.world.database.dsn("signer")) as crashing:
        usual = rig.signing.ledger
        rig.change(ledger=crashing)
        with pytest.raises(RefusedCall):
            await rig.sign(trade)
        rig.change(ledger=usual)
    assert not [f for f in await rig.log_of("signed-txs") if isinstance(f, TradeSigned) and f.vault == trade.plan.vault]
    assert await rig.signing.publisher.publish_unpublished(0) == 1
    signed = [f for f in await rig.log_of("signed-txs") if isinstance(f, TradeSigned) and f.vault == trade.plan.vault]
    assert len(signed) == 1
    assert await rig.signing.publisher.publish_unpublished(0) == 0


async def test_without_its_ledger_the_signer_refuses(rig: Rig) -> None:
    usual = rig.signing.ledger
    async with Ledger(rig.world.database.dsn("signer")) as closed:
        pass
    rig.change(ledger=closed)
    assert (await refusal(rig, honest_trade(rig.bot))).reason == "LEDGER_UNAVAILABLE"
    rig.change(ledger=usual)


async def test_the_signers_role_can_neither_delete_nor_rebind_rows(rig: Rig) -> None:
    await rig.sign(honest_trade(rig.bot))
    connection = await asyncpg.connect(rig.world.database.dsn("signer"))
    try:
        for statement in (
            "DELETE FROM attempt",
            "UPDATE attempt SET message_sha256 = intent_id",
            "UPDATE intent SET trade_seq = trade_seq + 1",
            "TRUNCATE intent CASCADE",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_reservations_of_one_sequence_are_decided_one_after_the_other(rig: Rig) -> None:
    """Eight intents race for one place: the row that commits first wins, and seven are told so."""
    vault = some_key("contended vault")

    def wanted(index: int) -> Reservation:
        return Reservation(some_key(f"intent {index}"), vault, 1, 1, some_key("message"), 10, 0)

    ledger = rig.signing.ledger
    outcomes = await asyncio.gather(*(ledger.reserve(wanted(index), lambda *_: None) for index in range(8)))
    assert sum(type(outcome).__name__ == "Reserved" for outcome in outcomes) == 1
